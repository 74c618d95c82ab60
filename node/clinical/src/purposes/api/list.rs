//! Lists who stated which purpose, and what the patient said of it.

use axum::response::Response;
use jiff::Timestamp;
use node_access::doc::{PageParameters, PatientPath, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::parameters::{Parameters, bad};
use node_access::shown::{Shown, too_little};
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency};
use residency_policy::{PatientId, Problem, Purpose};
use storage::{Access, AccessAction, Phi};

use super::ENTITY;
use super::view::{AnyPurposeEvent, PurposePage};
use crate::purposes::model::{Entry, Filter, Kind};
use crate::purposes::store;
use crate::{nothing_found, patients};

/// Listing the ledger of purposes.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::AuditEvent;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "purpose.list";
    const PARAMETERS: &'static [&'static str] = &["purpose", "kind", "from", "until", "limit", "cursor"];
}

/// Lists who of the caller's own organisation asked for what of a patient and for which purpose, done or refused, and
/// what the patient allowed and took back; the last first. The patient is told the organisation and the role of who asked,
/// without anybody's id or credential. To look at it is itself recorded.
#[utoipa::path(
    get, path = "/v1/patients/{id}/purposes", operation_id = "list_purposes", tag = "consents",
    security(("bearer" = [])),
    params(
        PatientPath, PageParameters, PurposeHeader,
        ("purpose" = Option<String>, Query, description = "Only for this purpose: a code of HL7 v3-ActReason.",
            pattern = "^[A-Z]{3,10}$"),
        ("kind" = Option<String>, Query, description = "Only accesses, or only what became of consents.",
            pattern = "^(access|consent)$"),
        ("from" = Option<String>, Query, description = "From when.", format = DateTime),
        ("until" = Option<String>, Query, description = "Until when, not included.", format = DateTime)
    ),
    responses(
        (status = 200, description = "A page of the ledger", body = PurposePage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: PatientCall<List>) -> Result<Response, Refused> {
    let shown = call.call.shown::<AnyPurposeEvent>();
    // Before anything happens: there is no view that shows so little.
    if matches!(shown, Shown::Token(_)) {
        return Err(too_little().into());
    }
    let filter = read(&call.call.parameters)?;
    // The patient is part of what a cursor is bound to; a path that names nobody is refused below all the same.
    let named = call.patient().map_or([0; 16], PatientId::to_bytes);
    let request = call.call.page(&[
        &named,
        filter.purpose.unwrap_or_default().as_bytes(),
        filter.kind.map_or("", Kind::as_str).as_bytes(),
        &filter.from.as_nanosecond().to_be_bytes(),
        &filter.until.as_nanosecond().to_be_bytes(),
    ])?;
    let patient = call.patient()?;
    let tx = call.look()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::List, ENTITY, patient.uuid(), patient).await);
    }
    let mut rows = store::timeline(&tx, patient, filter, &request, tx.now()).await?;
    let page =
        request.cut(&mut rows, &*call.call.here.entropy, |row: &Entry| Position { at: row.at, id: row.id })?;
    let data: Result<Vec<_>, _> = rows.into_iter().map(|row| AnyPurposeEvent::of(row, &shown)).collect();
    let data = data?;
    let access = Access {
        patient: Some(patient),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, Phi::new(PurposePage { data, page }), &seen)
}

fn read(parameters: &Parameters) -> Result<Filter, Problem> {
    let purpose = parameters
        .get("purpose")
        .map(|text| {
            text.parse::<Purpose>().map_err(|_| bad("purpose", "not-a-code", "is a code such as TREAT"))
        })
        .transpose()?;
    let kind = parameters
        .get("kind")
        .map(|text| Kind::read(text).ok_or_else(|| bad("kind", "not-a-code", "is access or consent")))
        .transpose()?;
    // Nothing was recorded before the epoch of Unix, and Postgres keeps no time as early as the earliest one here.
    let from = parameters.instant("from")?.unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
    let until = parameters.instant("until")?.unwrap_or(Timestamp::MAX).max(Timestamp::UNIX_EPOCH);
    if until < from {
        return Err(bad("until", "range", "is not before from"));
    }
    Ok(Filter { purpose: purpose.map(Purpose::as_str), kind, from, until })
}

#[cfg(test)]
mod tests {
    use residency_policy::RequestId;

    use super::*;

    fn asked(query: &str) -> Result<Filter, Problem> {
        read(&Parameters::read(Some(query), List::PARAMETERS)?)
    }

    #[test]
    fn a_filter_is_read_and_what_is_wrong_in_it_is_named() {
        let all = Filter { purpose: None, kind: None, from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX };
        assert_eq!(asked(""), Ok(all));
        let (from, until) = ("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
        let some = Filter {
            purpose: Some("TREAT"),
            kind: Some(Kind::Access),
            from: from.parse().expect("an instant"),
            until: until.parse().expect("an instant"),
        };
        assert_eq!(asked(&format!("purpose=TREAT&kind=access&from={from}&until={until}")), Ok(some));
        // Postgres has no such time, and nothing was recorded then.
        assert_eq!(asked("from=-009998-01-01T00:00:00Z"), Ok(all));
        let turned = format!("from={until}&until={from}");
        for (wrong, name, code) in [
            ("purpose=treat", "purpose", "not-a-code"),
            ("purpose=", "purpose", "not-a-code"),
            ("kind=both", "kind", "not-a-code"),
            ("from=yesterday", "from", "format"),
            ("until=2026-11-22", "until", "format"),
            (turned.as_str(), "until", "range"),
        ] {
            let problem = asked(wrong).expect_err(wrong);
            let said = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16])));
            let said = said.expect("it serialises");
            assert_eq!(said["errors"][0]["pointer"], name, "{wrong}");
            assert_eq!(said["errors"][0]["code"], code, "{wrong}");
        }
    }
}
