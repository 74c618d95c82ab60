//! Lists what was done at a home.

use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use node_access::doc::{HomeParameter, PageParameters, PhiProblems, PurposeHeader};
use node_access::page;
use node_access::problem::not_found;
use node_access::shown::{Shown, too_little};
use node_access::{Act, Action, Entity, Refused, RegionCall, idempotency};
use storage::canonical::AuditRecord;
use storage::{Access, AccessAction, Phi};

use super::view::{AnyAuditEvent, AuditEventPage};
use super::{ENTITY, fhir, filter};
use crate::audit_events::store;

/// Listing what was done.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::AuditEvent;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "audit_event.list";
    const PARAMETERS: &'static [&'static str] = filter::PARAMETERS;
}

/// Lists what the caller's organisation did at a home, done or refused, the last first: at most 31 days of it, or all of it
/// where a patient is named. A patient is told what was done to theirs, by which organisation and role, and nobody's id or
/// address. With `Accept: application/fhir+json` the answer is a searchset of FHIR R4 AuditEvents whose fields are those
/// of IHE BasicAudit. To ask is itself recorded.
#[utoipa::path(
    get, path = "/v1/audit/events", operation_id = "list_audit_events", tag = "audit",
    security(("bearer" = [])),
    params(
        HomeParameter, PageParameters, PurposeHeader,
        ("entity" = Option<String>, Query, description = "Only what was done to this kind of record.",
            pattern = "^[a-z_-]{1,40}$"),
        ("entity_id" = Option<String>, Query, description = "Only what was done to this record.", format = Uuid),
        ("purpose" = Option<String>, Query, description = "Only for this purpose: a code of HL7 v3-ActReason.",
            pattern = "^[A-Z]{3,10}$"),
        ("user" = Option<String>, Query, description = "Only by this user.", format = Uuid),
        ("key" = Option<String>, Query, description = "Only with this session or API key.", format = Uuid),
        ("patient" = Option<String>, Query, description = "Only of this patient.", format = Uuid),
        ("outcome" = Option<String>, Query, description = "Only what ended so.",
            pattern = "^(done|not-found|refused)$"),
        ("action" = Option<String>, Query, description = "Only this.",
            pattern = "^(create|read|update|delete|search|list|export|print|sign-in|policy|key)$"),
        ("from" = Option<String>, Query, description = "From when.", format = DateTime),
        ("until" = Option<String>, Query, description = "Until when, not included.", format = DateTime)
    ),
    responses(
        (status = 200, description = "A page of events", content(
            (AuditEventPage = "application/json"), (Object = "application/fhir+json")
        ), headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: RegionCall<List>, headers: HeaderMap) -> Result<Response, Refused> {
    let shown = call.call.shown::<AnyAuditEvent>();
    // Before anything happens: there is no view that shows so little.
    if matches!(shown, Shown::Token(_)) {
        return Err(too_little().into());
    }
    let parameters = &call.call.parameters;
    let mut filter = filter::read(parameters, call.call.here.clock.now())?;
    if let Some(own) = call.call.caller.role.patient() {
        // Whose ids they are not shown they do not ask for either.
        if filter.user.is_some() || filter.key.is_some() {
            return Err(too_little().into());
        }
        if filter.patient.is_some_and(|named| named != own) {
            return Err(not_found().into());
        }
        filter.patient = Some(own);
    }
    let request = call.call.page(&filter::asked(parameters))?;
    let tx = call.look()?;
    let rows = store::page(&tx, &filter, &request).await?;
    let event = |row| Ok::<_, Refused>(AnyAuditEvent::of(&AuditRecord::of(row)?, &shown)?);
    let mut data = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    let page = request.cut(&mut data, &*call.call.here.entropy, AnyAuditEvent::position)?;
    let access = Access {
        // Of a patient who is named here already no more is said by it.
        patient: filter.patient.filter(|_| !data.is_empty()),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let links = page::link(&call.call.uri, &page);
    if !wants_fhir(&headers) {
        let mut response = idempotency::show(links, Phi::new(AuditEventPage { data, page }), &seen)?;
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        return Ok(response);
    }
    let bundle = fhir::bundle(&data, links.get(http::header::LINK));
    let mut response = idempotency::show(links, Phi::new(bundle), &seen)?;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(fhir::MEDIA_TYPE));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Whether FHIR is asked for by name. Whoever takes anything gets plain JSON.
fn wants_fhir(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = values.flat_map(|value| value.split(','));
    kinds.any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(fhir::MEDIA_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fhir_is_given_to_whoever_names_it() {
        for (accept, fhir) in [
            ("application/fhir+json", true),
            ("text/html, Application/FHIR+json; fhirVersion=4.0", true),
            ("application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(wants_fhir(&headers), fhir, "{accept}");
        }
    }
}
