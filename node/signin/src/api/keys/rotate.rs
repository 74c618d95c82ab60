//! Gives an API key another secret.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use node_access::body::{Object, PublicJson};
use node_access::doc::OpenIfMatchProblems;
use node_access::{Act, Action, Entity, NotMade, OpenCall, Refused};
use residency_control::api_keys::KeyChange;
use residency_control::machine::State;
use residency_control::{Command, KeyStanding, Refusal, keys};
use residency_policy::{FieldError, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{EXPIRES_EXPECTED, IssuedBody, KeyBody, expires, own_key};
use crate::api::at;

const OVERLAP_EXPECTED: &str = "expected a number of seconds, at most 604800: a week";
// The text above says it in words.
const _: () = assert!(State::OVERLAP_SECONDS_MAX == 604_800);

/// Rotating an API key.
pub struct Rotate;

impl Act for Rotate {
    const ENTITY: Entity = Entity::ApiKey;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "api_key.rotate";
}

/// How a key goes on.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyRotation)]
#[serde(deny_unknown_fields)]
pub struct RotationBody {
    /// The version that was read. A request that is repeated because its answer was lost would otherwise end the secret that is
    /// in use.
    #[schema(minimum = 1, example = 1)]
    pub version: u64,
    /// From when on the key is refused: at most 366 days ahead.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// How long the present secret stays good beside the new one, in seconds; not longer than it would have been. 0 where
    /// somebody else may have it.
    #[schema(minimum = 0, maximum = 604_800, example = 86_400)]
    pub overlap_seconds: i64,
}

/// Gives an API key of the caller's own organisation another secret, which is good at once; the present one stays good for
/// as long as is said, so that whoever uses it has time to change over. A secret before that is refused. Where the
/// organisation works no more, the key works no more. It takes a second factor that was shown within the hour.
#[utoipa::path(
    post, path = "/v1/orgs/{id}/api-keys/{key}/rotate", operation_id = "rotate_api_key", tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("key" = String, Path, description = "The key.", format = Uuid)
    ),
    request_body(content = RotationBody, content_type = "application/json"),
    responses(
        (status = 200, description = "It has another secret", body = IssuedBody,
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenIfMatchProblems
    )
)]
pub async fn rotate(call: OpenCall<Rotate>, PublicJson(body): PublicJson) -> Result<Response, Refused> {
    call.catch_up().await?;
    let known = own_key(&call)?;
    let now = call.here.clock.now().as_second();
    let (expected, expires, overlap) = read(&body, now)?;
    if known.revoked || known.version == 0 {
        let detail = "it was revoked, or an operator put it: issue another one, or ask the operator";
        return Err(Problem::new(ProblemKind::IllegalTransition).detail(detail).into());
    }
    let minted = keys::secret_of(known.key, &*call.here.entropy);
    let overlap_until = (now + overlap).min(known.expires.unwrap_or(i64::MAX));
    let change = Command::Key(KeyChange::Rotate {
        key: known.key,
        secret_sha256: minted.secret_sha256,
        expires,
        overlap_until,
        at: now,
        expected,
    });
    let index = call.propose(change).await.map_err(|not_made| match not_made {
        NotMade::Refused(Refusal::Lapsed) => Problem::new(ProblemKind::IllegalTransition).into(),
        other => Refused::from(other),
    })?;
    let rotated = KeyStanding {
        // As it was noted: it may be fewer than before.
        jurisdictions: own_key(&call).map_or(known.jurisdictions, |now| now.jurisdictions),
        version: expected + 1,
        expires: Some(expires),
        overlap_until: Some(overlap_until),
        ..known
    };
    let body = IssuedBody { key: KeyBody::of(&rotated, now), secret: minted.text.reveal().to_owned() };
    Ok(at(Json(body).into_response(), index.0))
}

fn read(body: &Object, now: i64) -> Result<(u64, i64, i64), Problem> {
    body.only(&["version", "expires_at", "overlap_seconds"])?;
    let version = body.get("version").and_then(Value::as_u64);
    let overlap = body.get("overlap_seconds").and_then(Value::as_i64);
    let overlap = overlap.filter(|seconds| (0..=State::OVERLAP_SECONDS_MAX).contains(seconds));
    match (version, expires(body, now), overlap) {
        (Some(version), Some(expires), Some(overlap)) => Ok((version, expires, overlap)),
        (version, expires, overlap) => {
            let wrong = |pointer, detail| FieldError { pointer, code: "format", detail };
            let version = version.is_none().then(|| wrong("/version", "expected the version that was read"));
            let expires = expires.is_none().then(|| wrong("/expires_at", EXPIRES_EXPECTED));
            let overlap = overlap.is_none().then(|| wrong("/overlap_seconds", OVERLAP_EXPECTED));
            Err(Problem::new(ProblemKind::Invalid).fields(version.into_iter().chain(expires).chain(overlap)))
        }
    }
}
