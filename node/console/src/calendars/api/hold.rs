//! Holds a slot for a few minutes.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, LOCATION};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use node_access::body::{Object, PublicJson};
use node_access::doc::{IdempotencyHeader, OpenChangeProblems, ProviderPath};
use node_access::idempotency::IdempotencyKey;
use node_access::{Act, Action, Entity, Here, OpenCall, Refused};
use residency_control::calendar::{Minute, OverrideReason};
use residency_policy::{BookingHandle, Jurisdiction, Problem, ProblemKind, ProviderId, wire};
use ring::{digest, hmac};
use serde_json::Value;
use storage::{Access, AccessAction};

use crate::calendars::booking::{self, HOLD_SECONDS, NotDone, Wish};
use crate::calendars::view::{HoldBody, NewHoldBody};
use crate::calendars::{at_index, when};

/// Holding a slot.
pub struct Hold;

impl Act for Hold {
    const ENTITY: Entity = Entity::Hold;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "hold.create";
}

/// What the access log calls a slot that was taken although it was not free, with the reason that was given.
const fn overridden(reason: OverrideReason) -> &'static str {
    match reason {
        OverrideReason::UrgentNeed => "slot-override/urgent-need",
        OverrideReason::ContinuityOfCare => "slot-override/continuity-of-care",
        OverrideReason::ProviderRequest => "slot-override/provider-request",
        OverrideReason::BookingError => "slot-override/booking-error",
    }
}

/// Holds a free slot for five minutes, for whoever then makes it an appointment at the patient's home. With
/// `override_reason`, a clinician or an administrator takes a slot that somebody has, and that is recorded.
#[utoipa::path(
    post, path = "/v1/providers/{id}/holds", operation_id = "hold_slot", tag = "calendars",
    security(("bearer" = [])),
    params(ProviderPath, IdempotencyHeader),
    request_body(content = NewHoldBody, description = "The slot", content_type = "application/json"),
    responses(
        (status = 201, description = "The slot is held", body = HoldBody, headers(
            ("location" = String, description = "Where the hold is shown"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenChangeProblems
    )
)]
pub async fn hold(
    call: OpenCall<Hold>,
    secret: CallersSecret,
    key: IdempotencyKey,
    body: PublicJson,
) -> Result<Response, Refused> {
    let (start, service, over_capacity) = read(&body.0)?;
    let provider = call.path("id")?;
    let org = call.caller.org;
    let handle = secret.handle(&call, &key, &(provider, start, service, over_capacity));
    if call.here.directory.ledger().1.holds(org).any(|held| held != handle && same_key(held, handle)) {
        return Err(NotDone::Reused.into());
    }
    if let Some(reason) = over_capacity {
        call.may(Action::Create, Entity::SlotOverride)?;
        // Recorded first: a slot is never taken over without a record of it.
        let access = Access::about(AccessAction::Create, overridden(reason), handle.uuid());
        call.record(&[access]).await?;
    }
    let wish = Wish { provider, start, service, handle, org, seconds: HOLD_SECONDS, over_capacity };
    let held = booking::hold(&call.here, &wish).await?;
    let body = HoldBody {
        handle,
        status: "held",
        start: held.slot.start.timestamp(),
        end: held.slot.end.timestamp(),
        expires_at: Some(held.until),
        override_reason: over_capacity.map(OverrideReason::as_str),
    };
    let location = HeaderValue::from_str(&format!("/v1/providers/{provider}/holds/{handle}"));
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, location.map_err(|_| Refused::internal("hold.create: location"))?);
    if held.before {
        headers.insert(HeaderName::from_static(wire::IDEMPOTENT_REPLAYED), HeaderValue::from_static("true"));
    }
    Ok(at_index(response, held.index))
}

/// The slot that is asked for: whose, when, where the patient will be, and why it is taken even if it is not free.
type Wanted = (ProviderId, Minute, Jurisdiction, Option<OverrideReason>);

/// A digest of the secret that the caller showed: the same at every node, and unknown to the control plane, which
/// keeps a digest of another part of it.
pub struct CallersSecret(hmac::Key);

impl FromRequestParts<Here> for CallersSecret {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Here) -> Result<Self, Refused> {
        // Whoever shows none was refused before.
        let shown = parts.headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, digest::digest(&digest::SHA256, shown).as_ref())))
    }
}

impl CallersSecret {
    /// The handle of a request: the same for the same request again, at whichever node, and random to everybody who
    /// does not know the caller's secret. An idempotency key may say anything; nothing of it can be read from this.
    /// Its first six bytes are the key's, the others the whole request's ([`same_key`]).
    fn handle<A: Act>(&self, call: &OpenCall<A>, key: &IdempotencyKey, wanted: &Wanted) -> BookingHandle {
        let (provider, start, service, over_capacity) = wanted;
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"booking handle v1");
        context.update(&call.caller.org.to_bytes());
        context.update(key.as_str().as_bytes());
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&context.clone().sign().as_ref()[..6]);
        // A key has no control characters, so nothing of it can be taken for what follows.
        context.update(&[0]);
        context.update(&provider.to_bytes());
        context.update(&start.0.to_be_bytes());
        context.update(service.code().as_bytes());
        context.update(over_capacity.map_or("", OverrideReason::as_str).as_bytes());
        bytes[6..].copy_from_slice(&context.sign().as_ref()[..10]);
        // The bits of UUID version 4 and variant 1 (RFC 9562), so that it is one like any other.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        BookingHandle::from_bytes(bytes)
    }
}

/// Whether two handles of one organisation come from requests with one idempotency key.
fn same_key(one: BookingHandle, other: BookingHandle) -> bool {
    one.to_bytes()[..6] == other.to_bytes()[..6]
}

fn read(body: &Object) -> Result<(Minute, Jurisdiction, Option<OverrideReason>), Problem> {
    body.only(&["start", "service_jurisdiction", "override_reason"])?;
    let invalid = |pointer, code, detail| Problem::new(ProblemKind::Invalid).field(pointer, code, detail);
    let start = body.get("start").and_then(Value::as_str);
    let start = start.ok_or_else(|| invalid("/start", "required", "expected when the visit begins"))?;
    let start = when::minute(start).map_err(|wrong| wrong.of_field("/start"))?;
    let service = body.get("service_jurisdiction").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let service = service.ok_or_else(|| {
        invalid("/service_jurisdiction", "not-a-code", "expected an ISO 3166-2 code such as US-TX")
    })?;
    let reason = match body.get("override_reason") {
        None | Some(Value::Null) => None,
        Some(given) => {
            let reason = given.as_str().and_then(|word| word.parse().ok());
            Some(reason.ok_or_else(|| {
                let expected = "expected urgent-need, continuity-of-care, provider-request or booking-error";
                invalid("/override_reason", "not-a-code", expected)
            })?)
        }
    };
    Ok((start, service, reason))
}
