//! Reads a JSON body strictly, before anything else knows of it.
//!
//! `serde_json` alone keeps the last of two members with one name, which lets two readers of one body see two
//! different things (RFC 8259 section 4). Here a second one is refused, and so are NUL, which Postgres cannot
//! hold, and nesting beyond what any route needs. No error says what was in the body.

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use residency_policy::{Problem, ProblemKind};
use ring::digest;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use storage::Phi;

use crate::finish::Known;
use crate::{Here, Limits, Refused};

/// A JSON object as it came in. It may hold PHI: it has no `Debug`, and is read into values at once.
#[derive(Clone)]
pub struct Object(Map<String, Value>);

impl Object {
    /// A member, or nothing.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether there is such a member, if only `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether there is any member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Refuses members that the route does not take. They are not named: a name may be anything.
    pub fn only(&self, taken: &[&str]) -> Result<(), Problem> {
        only(&self.0, taken, "")
    }
}

impl From<Map<String, Value>> for Object {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

/// Refuses members of an object within a body that the route does not take.
pub fn only(map: &Map<String, Value>, taken: &[&str], pointer: &'static str) -> Result<(), Problem> {
    if map.keys().all(|name| taken.contains(&name.as_str())) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Invalid).field(
        pointer,
        "unknown-field",
        "there is a field here that this route does not take",
    ))
}

/// A body of `application/json` that is an object and may hold PHI.
///
/// The object leaves it under guard. A route whose body also has members that are not PHI names them to
/// [`Json::split`], so that a reviewer finds every such list by that name.
pub struct Json {
    object: Object,
    /// SHA-256 of its bytes, for the fingerprint of a request that may be repeated.
    digest: [u8; 32],
}

impl Json {
    /// The whole body, under guard.
    pub fn into_phi(self) -> Phi<Object> {
        Phi::new(self.object)
    }

    /// The members that are not PHI, and under guard all others.
    pub fn split(self, not_phi: &[&'static str]) -> (Object, Phi<Object>) {
        let (open, guarded) = self.object.0.into_iter().partition(|(name, _)| not_phi.contains(&name.as_str()));
        (Object(open), Phi::new(Object(guarded)))
    }

    /// SHA-256 of the bytes that came.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

const MERGE_PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

/// A body of `application/json` that is an object and holds no PHI.
pub struct PublicJson(pub Object);

/// A body of `application/merge-patch+json` (RFC 7396) or `application/json` that is an object.
pub struct MergePatch(pub Json);

/// The same, of what holds no PHI.
pub struct PublicMergePatch(pub Object);

impl FromRequest<Here> for Json {
    type Rejection = Refused;

    async fn from_request(request: Request, here: &Here) -> Result<Self, Refused> {
        guarded(read(request, here, &["application/json"]).await)
    }
}

impl FromRequest<Here> for PublicJson {
    type Rejection = Refused;

    async fn from_request(request: Request, here: &Here) -> Result<Self, Refused> {
        read(request, here, &["application/json"]).await.map(|(object, _)| Self(object))
    }
}

impl FromRequest<Here> for MergePatch {
    type Rejection = Refused;

    async fn from_request(request: Request, here: &Here) -> Result<Self, Refused> {
        guarded(read(request, here, MERGE_PATCH).await).map(Self)
    }
}

impl FromRequest<Here> for PublicMergePatch {
    type Rejection = Refused;

    async fn from_request(request: Request, here: &Here) -> Result<Self, Refused> {
        read(request, here, MERGE_PATCH).await.map(|(object, _)| Self(object))
    }
}

/// A request whose route takes no body: nothing may come, or an empty object, which some clients send.
pub struct Nothing;

impl FromRequest<Here> for Nothing {
    type Rejection = Refused;

    async fn from_request(request: Request, here: &Here) -> Result<Self, Refused> {
        let bytes = collect(request, &here.limits, here.limits.body_bytes_max).await?;
        if bytes.is_empty() || *bytes == *b"{}" {
            Ok(Self)
        } else {
            Err(malformed("this route takes no body").into())
        }
    }
}

fn guarded(read: Result<(Object, [u8; 32]), Refused>) -> Result<Json, Refused> {
    read.map(|(object, digest)| Json { object, digest })
}

async fn read(request: Request, here: &Here, types: &[&str]) -> Result<(Object, [u8; 32]), Refused> {
    check_type(request.headers(), types)?;
    let bytes = collect(request, &here.limits, here.limits.body_bytes_max).await?;
    let object = parse(&bytes, here.limits.json_depth_max)?;
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, &bytes).as_ref());
    Ok((object, digest))
}

/// Refuses a body of another type, and one that is encoded.
pub(crate) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().and_then(|value| value.to_str().ok());
        if values.next().is_some() { None } else { first }
    };
    let encoded = headers.contains_key(CONTENT_ENCODING)
        && !one(CONTENT_ENCODING).is_some_and(|v| v.eq_ignore_ascii_case("identity"));
    let fits = one(CONTENT_TYPE).is_some_and(|value| {
        let mut parts = value.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        types.iter().any(|t| t.eq_ignore_ascii_case(essence))
            && parts.all(|p| p.is_empty() || p.eq_ignore_ascii_case("charset=utf-8"))
    });
    if fits && !encoded { Ok(()) } else { Err(Problem::new(ProblemKind::UnsupportedMediaType)) }
}

/// The bytes of a body, of this many at most.
pub(crate) async fn collect(
    request: Request,
    limits: &Limits,
    bytes_max: usize,
) -> Result<bytes::Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let whole = Limited::new(body, bytes_max).collect();
    let Ok(whole) = tokio::time::timeout(limits.body_time_max(), whole).await else {
        return Err(Problem::new(ProblemKind::RequestTimeout));
    };
    match whole {
        Ok(collected) => {
            if let Some(known) = parts.extensions.get::<Known>() {
                let _ = known.whole.set(Instant::now());
            }
            Ok(collected.to_bytes())
        }
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() || too_long(&*error) => {
            Err(Problem::new(ProblemKind::ContentTooLarge))
        }
        Err(_) => Err(malformed("the body ended before it was complete")),
    }
}

/// The limit's error may be wrapped by the body type it went through.
fn too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

pub(crate) fn malformed(detail: &'static str) -> Problem {
    Problem::new(ProblemKind::Malformed).detail(detail)
}

fn parse(bytes: &[u8], depth_max: usize) -> Result<Object, Problem> {
    let wrong = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth_left: depth_max, wrong: &wrong }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|_| malformed(wrong.get().unwrap_or("the body is not JSON")))?;
    match value {
        Value::Object(map) => Ok(Object(map)),
        _ => Err(Problem::new(ProblemKind::Invalid).field("", "type", "expected a JSON object")),
    }
}

/// Reads any JSON, and notes why it refused.
#[derive(Clone, Copy)]
struct Strict<'w> {
    depth_left: usize,
    wrong: &'w Cell<Option<&'static str>>,
}

impl Strict<'_> {
    fn refuse<T, E: serde::de::Error>(self, why: &'static str) -> Result<T, E> {
        self.wrong.set(Some(why));
        Err(E::custom(why))
    }

    fn text<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        if text.contains('\0') {
            return self.refuse("the body has a NUL character in a text");
        }
        Ok(text.to_owned())
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => self.refuse("the body is nested deeper than is accepted"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => self.refuse("the body has a number out of range"),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.text(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let name = self.text::<A::Error>(&name)?;
            if members.contains_key(&name) {
                return self.refuse("the body names a member twice");
            }
            let value = map.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn detail(bytes: &[u8]) -> String {
        let problem = parse(bytes, 4).err().expect("is refused");
        let shown = problem.document(residency_policy::RequestId::from_bytes([0; 16]));
        serde_json::to_string(&shown).expect("writes")
    }

    #[test]
    fn a_plain_object_is_read() {
        let object = parse(br#"{"a":"x","b":[1,-2,1.5,true,null,{"c":{}}]}"#, 4).expect("reads");
        assert_eq!(object.get("a").and_then(Value::as_str), Some("x"));
        assert!(object.only(&["a", "b"]).is_ok());
        assert!(object.only(&["a"]).is_err());
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        assert!(detail(br#"{"a":1,"a":2}"#).contains("twice"));
        assert!(detail(br#"{"o":{"a":1,"\u0061":2}}"#).contains("twice"));
        assert!(detail(br#"{"a":"x\u0000y"}"#).contains("NUL"));
        assert!(detail(br#"{"x\u0000":1}"#).contains("NUL"));
        assert!(detail(br#"{"a":[[[[1]]]]}"#).contains("nested"));
        assert!(detail(&vec![b'['; 100_000]).contains("nested"));
        for bad in
            [&b""[..], b"{", b"{}x", b"{} {}", b"\xff", b"{'a':1}", b"{\"a\":\"\\ud800\"}", b"{\"a\":1e999}"]
        {
            assert!(detail(bad).contains("malformed"), "{bad:?}");
        }
        assert!(detail(b"[]").contains("expected a JSON object"));
    }

    #[test]
    fn a_refusal_does_not_repeat_the_body() {
        for bad in [&br#"{"zzphi":"#[..], br#"{"zzphi":1,"zzphi":2}"#, br#""zzphi""#, b"zzphi"] {
            assert!(!detail(bad).contains("zzphi"), "{bad:?}");
        }
    }

    #[test]
    fn only_json_in_utf_8_that_is_not_packed_is_taken() {
        let check = |content_type: &'static str, encoding: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            if let Some(encoding) = encoding {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            check_type(&headers, &["application/json"]).is_ok()
        };
        assert!(check("application/json", None));
        assert!(check("Application/JSON; charset=UTF-8", Some("identity")));
        assert!(!check("application/json; charset=utf-16", None));
        assert!(!check("text/plain", None));
        assert!(!check("application/jsonp", None));
        assert!(!check("application/json", Some("gzip")));
        assert!(check_type(&HeaderMap::new(), &["application/json"]).is_err());
    }
}
