//! Patients' own logins. They live at the patient's home and nowhere else: the address that somebody signs in with is PHI,
//! and so is that they do.
//!
//! Staff invite a patient; whoever has the code and knows the birth date chooses an address and a password. From then on
//! they sign in at their home, at the organisation that they name, and get a session, which is a row of the home's database:
//! what ends it, ends it with the next request. With it they are a patient to the policies, and to row-level security the
//! one patient whom they see.
//!
//! What must stay true:
//! - **Nothing of it enters the control plane**: no address, no digest, no failure.
//! - **Nobody learns who has a login**: an address that nobody signs in with costs a hash as a wrong password does and gets
//!   the same bytes; a failure is counted after the answer. That an address is taken at the organisation that invited,
//!   somebody is told who holds an open code and knows its patient's birth date: five times at most for each invitation.
//!   Of another organisation's logins nobody is told anything.

pub mod api;
pub mod model;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies. [`at_the_door`] has its other routes.
pub fn feature() -> Feature {
    let routes =
        OpenApiRouter::new().routes(routes!(api::invite::invite)).routes(routes!(api::suspend::suspend));
    Feature { name: "portal", routes, statements: store::STATEMENTS.to_vec() }
}

/// The routes of patients who sign in. They need the desk, for what hashes passwords, as an extension.
pub(crate) fn at_the_door() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::accept::accept))
        .routes(routes!(api::sign_in::sign_in))
        .routes(routes!(api::sign_out::sign_out))
        .routes(routes!(api::change_password::change))
}
