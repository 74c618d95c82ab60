//! Keyset pagination: `limit` and an opaque, sealed `cursor`.
//!
//! A cursor holds a position and no filter; it opens only for the same act, organisation and filter. It is sealed
//! and not merely signed, because the position has a time in it and a cursor stands in URLs.

use data_encoding::BASE64URL_NOPAD;
use http::header::LINK;
use http::{HeaderMap, HeaderValue, Uri};
use jiff::Timestamp;
use residency_policy::{Entropy, OrgId, Problem};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::parameters::{Parameters, bad};
use crate::{Limits, Refused, Secret};

/// Microseconds and an id.
const POSITION_LEN: usize = 8 + 16;

/// Where a page ends: the last item's place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The first key of the order.
    pub at: Timestamp,
    /// The second, which makes it total.
    pub id: Uuid,
}

/// Which page of what is asked for.
pub struct PageRequest {
    /// How many items at most.
    pub limit: u32,
    /// After which item, or from the start.
    pub after: Option<Position>,
    bound_to: [u8; 32],
    key: LessSafeKey,
}

/// How a list goes on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageInfo {
    /// Send it as `cursor` for the next page. `null` on the last one.
    #[schema(required, pattern = "^[A-Za-z0-9_-]{70}$", example = json!(null))]
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl Position {
    /// The place of something that is ordered by a number alone.
    pub const fn of_rank(rank: u128) -> Self {
        Self { at: Timestamp::UNIX_EPOCH, id: Uuid::from_u128(rank) }
    }
}

impl PageRequest {
    /// Reads `limit` and `cursor`. `filter` is whatever else the list depends on, in one spelling.
    pub fn read(
        parameters: &Parameters,
        limits: &Limits,
        secret: &Secret,
        act: &'static str,
        org: OrgId,
        filter: &[&[u8]],
    ) -> Result<Self, Problem> {
        let limit = match parameters.get("limit") {
            None => limits.page_items_default,
            Some(text) => whole(text)
                .filter(|limit| (1..=limits.page_items_max).contains(limit))
                .ok_or_else(|| bad("limit", "range", "is a whole number from 1 to 200"))?,
        };
        let org = org.to_bytes();
        let mut parts: Vec<&[u8]> = vec![act.as_bytes(), &org];
        parts.extend(filter);
        let bound_to = secret.mac("cursor is bound to v1", &parts);
        let key = UnboundKey::new(&AES_256_GCM, &secret.derive("cursor seal v1"))
            .map(LessSafeKey::new)
            .map_err(|_| bad("cursor", "format", "cannot be read"))?;
        let mut request = Self { limit, after: None, bound_to, key };
        if let Some(cursor) = parameters.get("cursor") {
            let opened = request.open(cursor);
            request.after = Some(opened.ok_or_else(|| {
                bad("cursor", "format", "is not one that this list gave out; start from the first page")
            })?);
        }
        Ok(request)
    }

    /// A keyed digest of what is asked for, whatever page of it: for the record.
    pub const fn asked(&self) -> [u8; 32] {
        self.bound_to
    }

    /// One more than fits, so that the last row tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts the extra row off and makes the next cursor.
    pub fn cut<T>(
        &self,
        rows: &mut Vec<T>,
        entropy: &dyn Entropy,
        position: impl Fn(&T) -> Position,
    ) -> Result<PageInfo, Refused> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if has_more => Some(self.seal(position(last), entropy)?),
            _ => None,
        };
        Ok(PageInfo { next_cursor, has_more })
    }

    fn seal(&self, position: Position, entropy: &dyn Entropy) -> Result<String, Refused> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut text = position.at.as_microsecond().to_be_bytes().to_vec();
        text.extend_from_slice(position.id.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.bound_to), &mut text)
            .map_err(|_| Refused::internal("page.seal"))?;
        let mut out = nonce.to_vec();
        out.append(&mut text);
        Ok(BASE64URL_NOPAD.encode(&out))
    }

    fn open(&self, cursor: &str) -> Option<Position> {
        let mut bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let open = self.key.open_in_place(nonce, Aad::from(self.bound_to), sealed).ok()?;
        let (at, id) = open.split_at_checked(POSITION_LEN - 16)?;
        Some(Position {
            at: Timestamp::from_microsecond(i64::from_be_bytes(at.try_into().ok()?)).ok()?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

/// The `Link` to the next page (RFC 8288), when there is one: the same request with the next cursor.
pub fn link(uri: &Uri, page: &PageInfo) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(cursor) = &page.next_cursor {
        let kept = uri.query().unwrap_or_default().split('&');
        let kept = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let mut query: String = kept.flat_map(|pair| [pair, "&"]).collect();
        query.push_str("cursor=");
        query.push_str(cursor);
        if let Ok(value) = HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", uri.path())) {
            headers.insert(LINK, value);
        }
    }
    headers
}

/// Digits only: `+5`, ` 5` and `5.0` are other spellings of nothing.
fn whole(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0'))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill(9);
        }
    }

    const TAKEN: &[&str] = &["limit", "cursor"];

    fn request(query: &str, org: u8, act: &'static str, filter: &[&[u8]]) -> Result<PageRequest, Problem> {
        let parameters = Parameters::read(Some(query), TAKEN)?;
        let secret = Secret::new([1; 32]);
        PageRequest::read(&parameters, &Limits::default(), &secret, act, OrgId::from_bytes([org; 16]), filter)
    }

    fn position() -> Position {
        Position {
            at: Timestamp::from_microsecond(1_763_770_000_123_456).expect("a time"),
            id: Uuid::from_bytes([3; 16]),
        }
    }

    #[test]
    fn a_cursor_opens_for_the_same_list_only() {
        let first = request("limit=2", 1, "a", &[b"f"]).expect("reads");
        let mut rows = vec![1, 2, 3];
        let page = first.cut(&mut rows, &Counting, |_| position()).expect("cuts");
        assert_eq!(rows, [1, 2]);
        let cursor = page.next_cursor.expect("has more");
        assert_eq!(cursor.len(), 70, "the documented pattern");
        let query = format!("cursor={cursor}");
        let again = request(&query, 1, "a", &[b"f"]).expect("the same list");
        assert_eq!(again.after, Some(position()));
        assert!(request(&query, 2, "a", &[b"f"]).is_err(), "another organisation");
        assert!(request(&query, 1, "b", &[b"f"]).is_err(), "another list");
        assert!(request(&query, 1, "a", &[b"g"]).is_err(), "another filter");
        let mut forged = query.clone().into_bytes();
        let last = forged.len() - 1;
        forged[last] = if forged[last] == b'A' { b'Q' } else { b'A' };
        assert!(request(&String::from_utf8(forged).expect("ascii"), 1, "a", &[b"f"]).is_err(), "a forged one");
    }

    #[test]
    fn a_cursor_does_not_show_its_position() {
        let first = request("limit=1", 1, "a", &[]).expect("reads");
        let page = first.cut(&mut vec![1, 2], &Counting, |_| position()).expect("cuts");
        let bytes = BASE64URL_NOPAD.decode(page.next_cursor.expect("more").as_bytes()).expect("base64");
        assert!(!bytes.windows(16).any(|w| w == [3; 16]));
    }

    #[test]
    fn a_limit_is_a_number_in_range() {
        for right in ["limit=1", "limit=200", ""] {
            assert!(request(right, 1, "a", &[]).is_ok(), "{right}");
        }
        for wrong in
            ["limit=0", "limit=201", "limit=", "limit=+5", "limit=05", "limit=5.0", "limit=99999999999"]
        {
            assert!(request(wrong, 1, "a", &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_link_keeps_the_request_and_changes_the_cursor() {
        let uri: Uri = "/v1/patients?home=US-TX&cursor=old&limit=2".parse().expect("a uri");
        let page = PageInfo { next_cursor: Some("new".to_owned()), has_more: true };
        assert_eq!(link(&uri, &page)[LINK], "</v1/patients?home=US-TX&limit=2&cursor=new>; rel=\"next\"");
        assert!(link(&uri, &PageInfo { next_cursor: None, has_more: false }).is_empty());
    }
}
