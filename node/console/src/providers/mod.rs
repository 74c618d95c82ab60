//! Clinicians: who they are and where they may practise, replicated to every node. All of it is public; no PHI.
//!
//! Each organisation speaks for itself: its administrator puts it to a clinician or takes it away, and enters the licences
//! that it found. They count at its own acts; what others entered is theirs to change. Everybody who is known may look; a marketer sees no licence numbers.

pub mod api;
mod licences;
mod search;
mod told;
pub mod view;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::create::create))
        .routes(routes!(api::read::read, api::replace::replace))
}
