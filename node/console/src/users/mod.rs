//! Users: the people who work for organisations, replicated to every node. Never patients; nothing here is PHI.
//!
//! A user may work for several organisations. Each of them sees and changes its own membership and the name on the
//! badge, and learns nothing of the others.

pub mod api;
mod own;

use node_access::Here;
use node_access::page::PageInfo;
use residency_control::{Membership, User};
use residency_policy::ProviderId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::create::create))
        .routes(routes!(api::read::read, api::update::update, api::deactivate::deactivate))
        .routes(routes!(api::bind::bind))
}

/// A user, as the administrators of one organisation see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = User)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// Their id.
    #[schema(format = Uuid)]
    pub id: String,
    /// The name on the badge.
    #[schema(example = "Robin Sample")]
    pub name: String,
    /// The caller's organisation, for which they work.
    #[schema(format = Uuid)]
    pub organisation: String,
    /// What they may be there.
    #[schema(example = json!(["provider"]))]
    pub roles: Vec<&'static str>,
    /// Whether their keys are good there.
    pub active: bool,
    /// Which clinician they are there; null if they are none.
    #[schema(required, format = Uuid)]
    pub provider_id: Option<String>,
}

/// A page of users.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPage {
    /// The users, by id.
    pub data: Vec<UserBody>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl UserBody {
    fn of(user: &User, there: &Membership, clinician: Option<ProviderId>) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            organisation: there.org.to_string(),
            roles: there.roles.iter().map(residency_policy::Role::as_str).collect(),
            active: user.active && there.active,
            provider_id: clinician.map(|id| id.to_string()),
        }
    }
}
