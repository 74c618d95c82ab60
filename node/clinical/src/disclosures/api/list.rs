//! Lists what was disclosed of a patient.

use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use node_access::doc::{PageParameters, PatientPath, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::parameters::bad;
use node_access::shown::{Shown, too_little};
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency};
use residency_policy::{PatientId, Purpose};
use storage::{Access, AccessAction, Phi};

use super::ENTITY;
use super::view::{AnyDisclosure, DisclosurePage};
use crate::disclosures::store::{self, Disclosed};
use crate::{nothing_found, patients};

/// Listing what was disclosed.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::AuditEvent;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "disclosure.list";
    const PARAMETERS: &'static [&'static str] = &["include", "limit", "cursor"];
}

/// The purposes that are accounted for. Of the others, treatment (TREAT, ETREAT, BTG, CAREMGT), payment (HPAYMT, COVAUTH) and
/// operations (HOPERAT, PATSFTY, HSYSADMIN) are excepted by 45 CFR 164.528(a)(1)(i), what the individual asked for (PATRQT)
/// by (ii), marketing, which takes an authorization (HMARKT), by (iv), and family (FAMRQT) by (v).
const ACCOUNTED: [&str; 3] =
    [Purpose::PublicHealth.as_str(), Purpose::Research.as_str(), Purpose::Legal.as_str()];

/// Six years, with as many leap days as they can have: 45 CFR 164.528(a)(3).
const SIX_YEARS: SignedDuration = SignedDuration::from_hours(24 * (6 * 365 + 2));

/// Lists what was disclosed of a patient in six years, the last first: when, to whom, what and why (45 CFR 164.528). Without
/// `include=all` only for the purposes that must be accounted for, which treatment, payment and operations are not. The
/// patient is told the organisation and the role. To look at it is itself recorded.
#[utoipa::path(
    get, path = "/v1/patients/{id}/disclosures", operation_id = "list_disclosures", tag = "audit",
    security(("bearer" = [])),
    params(
        PatientPath, PageParameters, PurposeHeader,
        ("include" = Option<String>, Query, pattern = "^all$",
            description = "`all`: for every purpose, also those that need not be accounted for.")
    ),
    responses(
        (status = 200, description = "A page of the accounting", body = DisclosurePage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: PatientCall<List>) -> Result<Response, Refused> {
    let shown = call.call.shown::<AnyDisclosure>();
    // Before anything happens: there is no view that shows so little.
    if matches!(shown, Shown::Token(_)) {
        return Err(too_little().into());
    }
    let all = match call.call.parameters.get("include") {
        None => false,
        Some("all") => true,
        Some(_) => return Err(bad("include", "not-a-code", "is all").into()),
    };
    // The patient is part of what a cursor is bound to; a path that names nobody is refused below all the same.
    let named = call.patient().map_or([0; 16], PatientId::to_bytes);
    let request = call.call.page(&[&named, &[u8::from(all)]])?;
    let patient = call.patient()?;
    let tx = call.look()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::List, ENTITY, patient.uuid(), patient).await);
    }
    let from = tx.now().checked_sub(SIX_YEARS).unwrap_or(Timestamp::UNIX_EPOCH);
    let purposes = (!all).then_some(ACCOUNTED.as_slice());
    let mut rows = store::page(&tx, patient, purposes, from, &request).await?;
    let place = |row: &Disclosed| Position { at: row.at, id: row.id };
    let page = request.cut(&mut rows, &*call.call.here.entropy, place)?;
    let data: Result<Vec<_>, _> = rows.into_iter().map(|row| AnyDisclosure::of(row, &shown)).collect();
    let data = data?;
    let access = Access {
        patient: Some(patient),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, Phi::new(DisclosurePage { data, page }), &seen)
}
