//! The identity providers of an organisation, for its administrators.

pub mod change;
pub mod create;
pub mod list;
pub mod remove;
pub mod role_mapping;
pub mod test;
pub mod unlink;

use std::sync::Arc;

use node_access::problem::not_found;
use node_access::{Act, OpenCall};
use residency_control::signin::{IdentityProvider, RoleMapping};
use residency_policy::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use role_mapping::RoleMappingBody;

use super::{own_organisation, shown};

/// A server that the organisation lets say who somebody is. Its secret is shown to nobody.
#[derive(Serialize, ToSchema)]
#[schema(as = IdentityProvider)]
#[serde(deny_unknown_fields)]
pub struct ProviderBody {
    /// Its id. Signing in begins at `/v1/auth/oidc/{id}/start`.
    #[schema(format = Uuid)]
    pub id: String,
    /// Which kind: `custom`, `google`, `okta`, `entra`, `cognito` or `github`.
    #[schema(example = "okta")]
    pub preset: &'static str,
    /// What it signs with.
    #[schema(example = "https://clinic.okta.com")]
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// Whether it was given a secret.
    pub has_secret: bool,
    /// The domain whose verified addresses it may vouch for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "clinic.example")]
    pub mail_domain: Option<String>,
    /// Whether anybody may come in through it.
    pub active: bool,
    /// What its groups make of people; if left out, they are what the organisation says they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_mapping: Option<RoleMappingBody>,
}

impl ProviderBody {
    fn of(provider: &IdentityProvider, mapping: Option<&RoleMapping>) -> Self {
        Self {
            id: provider.id.to_string(),
            preset: provider.preset.as_str(),
            issuer: provider.issuer.to_string(),
            client_id: provider.client.to_string(),
            has_secret: provider.secret.is_some(),
            mail_domain: provider.mail_domain.as_ref().map(ToString::to_string),
            active: provider.active,
            role_mapping: mapping.map(RoleMappingBody::of),
        }
    }
}

/// The provider in the path. Another organisation's is as unknown as none.
fn own_provider<A: Act>(call: &OpenCall<A>) -> Result<Arc<IdentityProvider>, Problem> {
    let org = own_organisation(call)?;
    let id = call.path("provider")?;
    let known = call.here.directory.signins().federation().provider(id).cloned();
    known.filter(|one| one.org == org).ok_or_else(not_found)
}
