//! Encounters of a category with stricter law: psychotherapy notes, substance use, reproductive care, what a minor may
//! consent to alone. The same acts as on other encounters, under paths that name the category, so that a router knows the
//! rule of transit. Each category has data keys of its own, and none is shown without a consent that names it
//! (42 CFR 2.31; 45 CFR 164.508(a)(2)).

use axum::response::Response;
use node_access::body::{Json, MergePatch, Nothing};
use node_access::doc::{
    IdempotencyHeader, IfMatchHeader, MaybeIdempotencyHeader, PageParameters, PhiChangeProblems,
    PhiCreateProblems, PhiProblems, PurposeHeader, SegregatedEncounterPath, SegregatedPath,
};
use node_access::etag::IfMatch;
use node_access::idempotency::{IdempotencyKey, MaybeIdempotencyKey};
use node_access::{Act, Action, Entity, PatientCall, Refused, parameters};

use super::view::{AddendumView, AnyEncounter, EncounterPage, EncounterPatch, EncounterView};
use super::view::{NewAddendumBody, NewEncounterBody};
use super::{add_addendum, amend, list, open, read, sign};

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $action:ident $act:literal $parameters:expr;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Act for $name {
            const ENTITY: Entity = Entity::Encounter;
            const ACTION: Action = Action::$action;
            const NAME: &'static str = $act;
            const PARAMETERS: &'static [&'static str] = $parameters;
            const SEGREGATED: bool = true;
        }
    )+};
}

acts! {
    /// Opening an encounter.
    Open Create "segregated_encounter.open" &[];
    /// Listing encounters.
    List List "segregated_encounter.list" parameters::LISTING;
    /// Reading an encounter.
    Read Read "segregated_encounter.read" &[];
    /// Changing an encounter.
    Amend Update "segregated_encounter.amend" &[];
    /// Signing an encounter.
    Sign Sign "segregated_encounter.sign" &[];
    /// Adding an addendum.
    AddAddendum Annotate "segregated_encounter.add_addendum" &[];
}

/// Opens an encounter of a segregated category.
#[utoipa::path(
    post, path = "/v1/patients/{id}/segregated/{category}/encounters", operation_id = "open_segregated_encounter",
    tag = "encounters",
    security(("bearer" = [])),
    params(SegregatedPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewEncounterBody, description = "The encounter", content_type = "application/json"),
    responses(
        (status = 201, description = "The encounter is open", body = EncounterView, headers(
            ("location" = String, description = "Where the encounter is shown"),
            ("etag" = String, description = "The version")
        )),
        PhiCreateProblems
    )
)]
pub async fn open_one(call: PatientCall<Open>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    open::run(call, key, body).await
}

/// Lists a patient's encounters of a segregated category, newest first.
#[utoipa::path(
    get, path = "/v1/patients/{id}/segregated/{category}/encounters", operation_id = "list_segregated_encounters",
    tag = "encounters",
    security(("bearer" = [])),
    params(SegregatedPath, PageParameters, PurposeHeader),
    responses(
        (status = 200, description = "A page of encounters", body = EncounterPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list_all(call: PatientCall<List>) -> Result<Response, Refused> {
    list::run(call).await
}

/// Shows one encounter of a segregated category.
#[utoipa::path(
    get, path = "/v1/patients/{id}/segregated/{category}/encounters/{encounter}",
    operation_id = "read_segregated_encounter", tag = "encounters",
    security(("bearer" = [])),
    params(SegregatedEncounterPath, PurposeHeader),
    responses(
        (status = 200, description = "The encounter", body = AnyEncounter, headers(
            ("etag" = String, description = "The version, for those who may change it")
        )),
        PhiProblems
    )
)]
pub async fn read_one(call: PatientCall<Read>) -> Result<Response, Refused> {
    read::run(call).await
}

/// Changes an open encounter of a segregated category by merge patch (RFC 7396), or cancels it.
#[utoipa::path(
    patch, path = "/v1/patients/{id}/segregated/{category}/encounters/{encounter}",
    operation_id = "amend_segregated_encounter", tag = "encounters",
    security(("bearer" = [])),
    params(SegregatedEncounterPath, PurposeHeader, IfMatchHeader, MaybeIdempotencyHeader),
    request_body(description = "What is to change", content(
        (EncounterPatch = "application/merge-patch+json"), (EncounterPatch = "application/json")
    )),
    responses(
        (status = 200, description = "The encounter was changed", body = EncounterView, headers(
            ("etag" = String, description = "The new version")
        )),
        PhiChangeProblems
    )
)]
pub async fn amend_one(
    call: PatientCall<Amend>,
    if_match: IfMatch,
    key: MaybeIdempotencyKey,
    body: MergePatch,
) -> Result<Response, Refused> {
    amend::run(call, if_match, key, body).await
}

/// Signs an open encounter of a segregated category in the version that was read.
#[utoipa::path(
    post, path = "/v1/patients/{id}/segregated/{category}/encounters/{encounter}/sign",
    operation_id = "sign_segregated_encounter", tag = "encounters",
    security(("bearer" = [])),
    params(SegregatedEncounterPath, PurposeHeader, IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "The encounter is signed", body = EncounterView, headers(
            ("etag" = String, description = "The new version")
        )),
        PhiChangeProblems
    )
)]
pub async fn sign_one(
    call: PatientCall<Sign>,
    if_match: IfMatch,
    key: IdempotencyKey,
    nothing: Nothing,
) -> Result<Response, Refused> {
    sign::run(call, if_match, key, nothing).await
}

/// Adds to a signed encounter of a segregated category.
#[utoipa::path(
    post, path = "/v1/patients/{id}/segregated/{category}/encounters/{encounter}/addenda",
    operation_id = "add_segregated_addendum", tag = "encounters",
    security(("bearer" = [])),
    params(SegregatedEncounterPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewAddendumBody, description = "The addendum", content_type = "application/json"),
    responses(
        (status = 201, description = "It was added", body = AddendumView, headers(
            ("location" = String, description = "Where the encounter is shown with its addenda")
        )),
        PhiCreateProblems
    )
)]
pub async fn add_one(
    call: PatientCall<AddAddendum>,
    key: IdempotencyKey,
    body: Json,
) -> Result<Response, Refused> {
    add_addendum::run(call, key, body).await
}
