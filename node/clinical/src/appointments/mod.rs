//! Appointments: who comes when, to whom and why, kept at the patient's home.
//!
//! The control plane knows a time, a provider and a random handle. A booking is a small durable workflow between the
//! two: the row here first, then the slot held and booked there, then the row booked. `carry` asks, `end` writes how it
//! ended, `reconcile` does both for whoever is gone. Moving and cancelling go the same way.

pub mod api;
mod carry;
mod end;
mod hand;
pub mod model;
pub mod reading;
pub mod reconcile;
pub mod store;
pub mod waitlist;
pub mod work;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    let statements = [store::STATEMENTS, work::store::STATEMENTS, waitlist::store::STATEMENTS].concat();
    Feature { name: "appointments", routes: routes(), statements }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::create::create))
        .routes(routes!(api::read::read))
        .routes(routes!(api::reschedule::reschedule))
        .routes(routes!(api::cancel::cancel))
        .routes(routes!(waitlist::api::list::list, waitlist::api::join::join))
        .routes(routes!(waitlist::api::remove::remove))
}
