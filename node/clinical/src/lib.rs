//! Every clinical feature. A feature may import only features listed above it, and only what their `mod.rs` makes
//! public.

pub mod appointments;
pub mod audit_events;
pub mod break_glass;
pub mod consents;
pub mod disclosures;
pub mod encounters;
mod marketers;
mod merge_patch;
pub mod patients;
pub mod portal;
pub mod purposes;
pub mod values;

use std::sync::Arc;

use axum::Extension;
use node_access::{Here, Refused, finish, problem};
use node_console::Document;
use node_signin::Desk;
use residency_policy::{PatientId, Problem};
use storage::{Access, AccessAction, AccessOutcome, Phi, Reading};
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// What a feature supplies.
pub struct Feature {
    /// Its folder.
    pub name: &'static str,
    /// Its routes, each with its documentation.
    pub routes: OpenApiRouter<Here>,
    /// Its SQL, by name, for the test that prepares every statement against the migrated schema.
    pub statements: Vec<(&'static str, &'static str)>,
}

/// Every feature, in the order in which they may import one another.
pub fn features() -> Vec<Feature> {
    vec![
        patients::feature(),
        encounters::feature(),
        consents::feature(),
        break_glass::feature(),
        purposes::feature(),
        audit_events::feature(),
        disclosures::feature(),
        appointments::feature(),
        portal::feature(),
    ]
}

/// What the document says of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Domicile",
        description = "Patients' records, each kept at one home. Every refusal is a problem document (RFC 9457) \
                       whose `type` leads to a page that explains it. Every answer carries `X-Request-Id`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The router or the node that you ask")),
    components(schemas(node_access::doc::ProblemBody)),
    tags(
        (name = "patients", description = "Who somebody is, at their home"),
        (name = "encounters", description = "Visits, and what was found"),
        (name = "consents", description = "What patients allowed, and took back"),
        (name = "break-glass", description = "Access in an emergency, and its review"),
        (name = "audit", description = "Who did what to whose records, for those who review it"),
        (name = "appointments", description = "Who comes when, and why: at the patient's home"),
        (name = "calendars", description = "When providers can be seen, what is free, and what is held"),
        (name = "patients' logins", description = "How patients sign in, at their home"),
        (name = "signing in", description = "Who signs in, and their sessions"),
        (name = "organisations", description = "The tenants"),
        (name = "regions", description = "The homes that there are"),
        (name = "operations", description = "For those who run a node"),
        (name = "documentation", description = "For those who read this")
    )
)]
struct Whole;

fn joined(shown: &Document, signing_in: OpenApiRouter<Here>) -> OpenApiRouter<Here> {
    let mut document = Whole::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key, or the access token of somebody who signed in: it stands for one organisation, one role and \
             some jurisdictions. Browsers send the token as a cookie.",
        ))
        .build();
    document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let base = OpenApiRouter::with_openapi(document).merge(signing_in).merge(node_console::routes(shown));
    features().into_iter().fold(base, |all, feature| all.merge(feature.routes))
}

/// The routes at which somebody signs in. They need the desk.
fn at_the_door() -> OpenApiRouter<Here> {
    node_signin::api::routes().merge(portal::at_the_door())
}

/// The whole OpenAPI document, made from the handlers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = joined(&Document::default(), at_the_door()).split_for_parts().1;
    marketers::mark(&mut document);
    document
}

/// Every route of a node.
pub fn router(here: Here, desk: Arc<Desk>) -> axum::Router {
    let shown = Document::default();
    let (routes, mut document) = joined(&shown, at_the_door().layer(Extension(desk))).split_for_parts();
    marketers::mark(&mut document);
    // The document is made of strings and maps with string keys; nothing in it can fail to serialise.
    shown.is(serde_json::to_vec(&document).unwrap_or_default().into());
    finish::around(routes.fallback(nowhere), &here).with_state(here)
}

async fn nowhere() -> Refused {
    problem::not_found().into()
}

/// Records that something was asked for which is not there for this caller, and answers as if it never was.
pub(crate) async fn nothing_found(
    tx: impl Reading,
    action: AccessAction,
    entity: &'static str,
    id: Uuid,
    patient: PatientId,
) -> Refused {
    let access = Access::to(action, entity, id, patient).ended(AccessOutcome::NotFound);
    match tx.record(&[access]).await {
        Ok(_) => problem::not_found().into(),
        Err(error) => error.into(),
    }
}

/// Records that something was refused to a caller who so learnt of its state, and refuses it.
pub(crate) async fn refused(
    tx: impl Reading,
    action: AccessAction,
    entity: &'static str,
    id: Uuid,
    patient: PatientId,
    why: Problem,
) -> Refused {
    let access = Access::to(action, entity, id, patient).ended(AccessOutcome::Refused);
    match tx.record(&[access]).await {
        Ok(_) => why.into(),
        Err(error) => error.into(),
    }
}

/// Many guarded values as one.
pub(crate) fn together<T>(all: Vec<Phi<T>>) -> Phi<Vec<T>> {
    let room = Vec::with_capacity(all.len());
    all.into_iter().fold(Phi::new(room), |list, item| {
        list.zip(item).map(|(mut list, item)| {
            list.push(item);
            list
        })
    })
}
