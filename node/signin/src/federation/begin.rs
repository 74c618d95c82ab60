//! Sends a browser to an identity provider.

use std::sync::Arc;

use residency_control::signin::{IdentityProvider, Preset};
use residency_policy::{IdentityProviderId, Role};

use super::flow::{Beside, Flow, SECONDS};
use super::{NotShown, github, oidc, roles};
use crate::{Desk, NotSignedIn};

/// What somebody wants.
pub(crate) struct Wanted {
    /// Through which provider.
    pub(crate) provider: Arc<IdentityProvider>,
    /// As what.
    pub(crate) role: Option<Role>,
    /// Where the browser goes afterwards: a path of this server.
    pub(crate) return_to: String,
    /// What they showed beside.
    pub(crate) beside: Beside,
    /// Whether they are to show a second factor there, now.
    pub(crate) step_up: bool,
}

/// Where the browser is sent, and the cookie that it keeps meanwhile. `asked` is the host that it asked.
pub(crate) struct Begun {
    pub(crate) location: String,
    pub(crate) cookie: String,
}

/// A provider through which somebody may come in now.
pub(crate) fn provider(desk: &Desk, id: IdentityProviderId) -> Option<Arc<IdentityProvider>> {
    let known = desk.directory.signins().federation().provider(id).cloned()?;
    let open = desk.directory.organisation(known.org).is_some_and(|org| org.active);
    (known.active && open).then_some(known)
}

/// Begins a flow.
pub(crate) async fn begin(desk: &Desk, wanted: Wanted, asked: Option<&str>) -> Result<Begun, NotSignedIn> {
    let provider = wanted.provider;
    let callback = desk.federated.callback(asked, provider.id).ok_or(NotSignedIn::NotOffered)?;
    let now = desk.now();
    let secret = || Flow::secret(&*desk.entropy);
    let flow = Flow {
        provider: provider.id,
        state: secret(),
        nonce: secret(),
        verifier: secret(),
        callback,
        role: wanted.role,
        return_to: wanted.return_to,
        ends: now + SECONDS,
        beside: wanted.beside,
        step_up: wanted.step_up,
    };
    let location = if provider.preset == Preset::Github {
        github::begin(&provider, &flow)
    } else {
        let found = desk.federated.discoveries.of(&desk.federated.out, &provider.issuer, &*desk.clock).await;
        let signins = desk.directory.signins();
        let mapping = signins.federation().mapping(provider.id);
        let claim = roles::claim(mapping.map(|one| &**one));
        found.and_then(|found| oidc::begin(&provider, &found, &flow, claim))
    };
    let location = location.map_err(|why| not_begun(&provider, why))?;
    let cookie = flow.seal(&desk.keys, &*desk.entropy).ok_or(NotSignedIn::NotOffered)?;
    Ok(Begun { location: location.into(), cookie })
}

/// Nothing was shown yet, so whatever is wrong is the provider's doing.
fn not_begun(provider: &IdentityProvider, why: NotShown) -> NotSignedIn {
    let (NotShown::Unavailable(what) | NotShown::Wrong(what)) = why else { return NotSignedIn::Busy };
    tracing::warn!(provider.id = %provider.id, what, "an identity provider cannot be used");
    NotSignedIn::ProviderUnavailable
}
