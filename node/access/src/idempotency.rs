//! `Idempotency-Key`: a request that is sent twice has one effect (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! The answer is stored in the transaction that has the effect, sealed under the patient's key, and given again
//! byte for byte. The fingerprint is over the bytes that came: a client that writes the same object with its
//! members in another order has made another request.

use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use residency_policy::{Problem, ProblemKind, wire};
use ring::digest;
use serde::Serialize;
use storage::idempotency::{Attempt, Before, Begun, Fresh};
use storage::{Access, AccessAction, Phi, Reading, RegionRead, RegionTx, Seen};
use uuid::Uuid;

use crate::etag::IfMatch;
use crate::problem::not_found;
use crate::{Act, Credential, Here, OpenCall, Refused};

/// The grammar of the header, for the documentation: an `sf-string` or a bare token. `"a"` and `a` are one key.
pub const PATTERN: &str = r#"^("[A-Za-z0-9._~:-]{1,128}"|[A-Za-z0-9._~:-]{1,128})$"#;

/// The key of a request that must have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The key of a request that may have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeIdempotencyKey(pub Option<IdempotencyKey>);

/// An id that follows from who asks and their idempotency key, so that a repeated request is the same change on every
/// node of the cluster, and none of them has to remember it. A patient's id is never made like this.
pub fn derived(of: &'static str, caller: &Credential, key: &IdempotencyKey) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(of.as_bytes());
    context.update(&caller.org.to_bytes());
    context.update(&caller.key.to_bytes());
    context.update(key.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    // The bits of UUID version 4 and variant 1 (RFC 9562), so that the id is one like any other.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

impl IdempotencyKey {
    /// The key without its quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a header's value.
    pub fn parse(value: &str) -> Option<Self> {
        let inner = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => value,
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~:-".contains(&b);
        ((1..=128).contains(&inner.len()) && inner.bytes().all(allowed)).then(|| Self(inner.to_owned()))
    }

    fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(wire::IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let parsed = value.to_str().ok().and_then(Self::parse).filter(|_| values.next().is_none());
        parsed.map(Some).ok_or_else(|| {
            Problem::new(ProblemKind::BadHeader).field(
                wire::IDEMPOTENCY_KEY,
                "format",
                "is 1 to 128 letters, digits and . _ ~ : -, such as a UUID",
            )
        })
    }
}

impl FromRequestParts<Here> for IdempotencyKey {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Here) -> Result<Self, Refused> {
        Ok(Self::read(&parts.headers)?.ok_or_else(|| {
            Problem::new(ProblemKind::MissingHeader).field(
                wire::IDEMPOTENCY_KEY,
                "required",
                "send a new random key, and the same one when you repeat the request",
            )
        })?)
    }
}

impl FromRequestParts<Here> for MaybeIdempotencyKey {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Here) -> Result<Self, Refused> {
        Ok(Self(IdempotencyKey::read(&parts.headers)?))
    }
}

impl From<IdempotencyKey> for MaybeIdempotencyKey {
    fn from(key: IdempotencyKey) -> Self {
        Self(Some(key))
    }
}

/// One request that changes something: what makes it the same request again.
pub struct Change {
    key: Option<IdempotencyKey>,
    fingerprint: [u8; 32],
    route: &'static str,
    name: [u8; 32],
    request: [u8; 32],
}

impl Change {
    /// Takes the fingerprint of a request: its act, target, precondition and body.
    pub fn new<A: Act>(
        call: &OpenCall<A>,
        key: impl Into<MaybeIdempotencyKey>,
        if_match: Option<&IfMatch>,
        body: Option<&crate::body::Json>,
    ) -> Self {
        let target = call.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let tag = if_match.map_or("", IfMatch::as_str);
        let mut bytes = Vec::new();
        for part in
            [A::NAME.as_bytes(), target.as_bytes(), tag.as_bytes(), body.map_or(&[][..], |b| b.digest())]
        {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        let (key, pool) = (key.into().0, &call.here.pool);
        let fingerprint = pool.fingerprint(&bytes);
        let mut named = b"the name of a request, v1".to_vec();
        named.extend_from_slice(&call.caller.org.to_bytes());
        named.extend_from_slice(&call.caller.key.to_bytes());
        named.extend_from_slice(A::NAME.as_bytes());
        named.push(0);
        named.extend_from_slice(key.as_ref().map_or("", IdempotencyKey::as_str).as_bytes());
        let name = pool.fingerprint(&named);
        let request = pool.fingerprint(&[name, fingerprint].concat());
        Self { key, fingerprint, route: A::NAME, name, request }
    }

    /// An id that is the same whenever this request is sent again, and random to whoever does not have the region's
    /// key. For what takes several transactions, each of which must find what the one before has made.
    pub fn id(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.name[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A keyed hash of the request with its key: what was done for it can be told from what was done for another.
    pub fn request(&self) -> [u8; 32] {
        self.request
    }

    /// Asks whether this was done before. Without a key there is nothing to ask.
    pub async fn begin(&self, tx: RegionTx, entity: &'static str) -> Result<Step, Refused> {
        let Some(attempt) = self.attempt() else { return Ok(Step::Do(tx, Doing(None))) };
        match storage::idempotency::begin(&tx, &attempt).await? {
            Begun::Fresh(fresh) => Ok(Step::Do(tx, Doing(Some(fresh)))),
            Begun::InFlight => {
                tx.rollback().await;
                Err(Problem::new(ProblemKind::IdempotencyInFlight).retry_after(1).into())
            }
            Begun::Before(before) => self.repeat(tx, before, entity).await.map(Step::Done),
        }
    }

    /// The same for whoever finds out otherwise what may be shown of what was done before: `None`, and nothing is shown.
    pub async fn begin_first(&self, tx: RegionTx) -> Result<Option<(RegionTx, Doing)>, Refused> {
        let Some(attempt) = self.attempt() else { return Ok(Some((tx, Doing(None)))) };
        match storage::idempotency::begin(&tx, &attempt).await? {
            Begun::Fresh(fresh) => Ok(Some((tx, Doing(Some(fresh))))),
            Begun::InFlight => {
                tx.rollback().await;
                Err(Problem::new(ProblemKind::IdempotencyInFlight).retry_after(1).into())
            }
            Begun::Before(_) => {
                tx.rollback().await;
                Ok(None)
            }
        }
    }

    /// Asks whether this was done before, for whoever would rather not begin in vain. That it was not is no promise.
    pub async fn find(&self, read: &RegionRead) -> Result<Option<Before>, Refused> {
        match self.attempt() {
            Some(attempt) => Ok(storage::idempotency::look(read, &attempt).await?),
            None => Ok(None),
        }
    }

    /// Answers as the first attempt was answered.
    pub async fn repeat(
        &self,
        tx: impl Reading,
        before: Before,
        entity: &'static str,
    ) -> Result<Response, Refused> {
        let stored = match before {
            Before::Stored(stored) => stored,
            Before::Mismatch => return Err(Problem::new(ProblemKind::IdempotencyReused).into()),
            // What the answer was about is no longer there for anyone.
            Before::Gone => return Err(not_found().into()),
        };
        let body: Phi<String> = stored.body(&tx).await?;
        let access = Access { patient: stored.patient(), ..Access::of(AccessAction::Read, entity) };
        let seen = tx.record(&[access]).await?;
        let status = StatusCode::from_u16(stored.status())
            .map_err(|_| Refused::internal("idempotency: a stored status"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in stored.headers() {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert(HeaderName::from_static(wire::IDEMPOTENT_REPLAYED), HeaderValue::from_static("true"));
        Ok(answer(status, headers, body.into_open(&seen)))
    }

    fn attempt(&self) -> Option<Attempt<'_>> {
        let key = self.key.as_ref()?;
        Some(Attempt { key: key.as_str(), route: self.route, fingerprint: self.fingerprint })
    }
}

/// What to do now.
#[expect(clippy::large_enum_variant, reason = "one is made for a request and taken apart at once")]
pub enum Step {
    /// Have the effect, then [`Doing::commit`].
    Do(RegionTx, Doing),
    /// It was done before, and this was the answer.
    Done(Response),
}

/// An effect under way.
#[must_use = "an effect that is not committed is undone"]
pub struct Doing(Option<Fresh>);

impl Doing {
    /// Stores the answer and commits it with the effect and its access records.
    pub async fn commit<T: Serialize>(
        self,
        tx: RegionTx,
        accesses: &[Access],
        status: StatusCode,
        headers: &[(&'static str, &str)],
        body: Option<Phi<T>>,
    ) -> Result<Response, Refused> {
        self.commit_or(tx, accesses, status, headers, body, Refused::from).await
    }

    /// The same, where what travels with the commit may fail for a reason that `refuse` has a word for.
    pub async fn commit_or<T: Serialize>(
        self,
        tx: RegionTx,
        accesses: &[Access],
        status: StatusCode,
        headers: &[(&'static str, &str)],
        body: Option<Phi<T>>,
        refuse: impl FnOnce(storage::Error) -> Refused,
    ) -> Result<Response, Refused> {
        let text = match body {
            Some(body) => json(body)?,
            None => Phi::new(String::new()),
        };
        if let Some(fresh) = self.0 {
            let category = tx.scope().category;
            fresh.finish(&tx, status.as_u16(), headers, category, &text).await?;
        }
        let seen = tx.commit(accesses).await.map_err(refuse)?;
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                map.insert(HeaderName::from_static(name), value);
            }
        }
        Ok(answer(status, map, text.into_open(&seen)))
    }
}

/// Writes a body as it goes out, still under guard.
fn json<T: Serialize>(body: Phi<T>) -> Result<Phi<String>, Refused> {
    body.try_map(|body| serde_json::to_string(&body)).map_err(|_| Refused::internal("a view cannot be written"))
}

/// Shows something that was read.
pub fn show<T: Serialize>(headers: HeaderMap, body: Phi<T>, seen: &Seen) -> Result<Response, Refused> {
    Ok(answer(StatusCode::OK, headers, json(body)?.into_open(seen)))
}

fn answer(status: StatusCode, headers: HeaderMap, body: String) -> Response {
    let empty = body.is_empty();
    let mut response = Response::new(axum::body::Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if !empty {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        let bare = IdempotencyKey::parse("9f1c-a.B_~:");
        assert_eq!(bare, IdempotencyKey::parse("\"9f1c-a.B_~:\""));
        assert!(bare.is_some());
        for wrong in ["", "\"\"", "\"a", "a\"", "a b", "a\"b", "é", "a,b"] {
            assert_eq!(IdempotencyKey::parse(wrong), None, "{wrong}");
        }
        assert!(IdempotencyKey::parse(&"a".repeat(128)).is_some());
        assert!(IdempotencyKey::parse(&"a".repeat(129)).is_none());
    }

    #[test]
    fn two_keys_are_no_key() {
        let mut headers = HeaderMap::new();
        assert_eq!(IdempotencyKey::read(&headers), Ok(None));
        headers.append(wire::IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(IdempotencyKey::read(&headers).is_ok_and(|key| key.is_some()));
        headers.append(wire::IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert!(IdempotencyKey::read(&headers).is_err());
    }
}
