//! What belongs to no clinical feature: organisations, users, regions, health, metrics, and the documentation.
//!
//! Nothing here is PHI, and nothing here begins a transaction.

mod audit_log;
pub mod calendars;
mod csp_reports;
pub mod docs;
pub mod health;
mod html;
pub mod organisations;
pub mod policies;
pub mod problems;
pub mod providers;
pub mod regions;
pub mod users;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;

pub use docs::Document;

/// Every route of this crate, each with its documentation. One of them shows the whole document.
pub fn routes(document: &Document) -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .merge(organisations::routes())
        .merge(users::routes())
        .merge(calendars::routes())
        .merge(providers::routes())
        .merge(regions::routes())
        .merge(policies::routes())
        .merge(health::routes())
        .merge(audit_log::routes())
        .merge(problems::routes())
        .merge(csp_reports::routes())
        .merge(docs::routes(document))
}
