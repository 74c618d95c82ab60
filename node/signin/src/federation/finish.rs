//! Lets somebody in who comes back from an identity provider.

use std::net::IpAddr;
use std::sync::Arc;

use residency_control::signin::{Account, Entrance, IdentityProvider, Joining, Preset, Session, SignInChange};
use residency_policy::{Role, SessionId};

use super::begin::provider;
use super::flow::{Beside, Flow};
use super::{NotShown, Shown, client_secret, github, oidc, roles};
use crate::desk::{Desk, IDLE_SECONDS, Opened, SESSION_SECONDS};
use crate::hashing::equal;
use crate::login::role;
use crate::refresh_token::{RefreshToken, sha256};
use crate::{NotSignedIn, devices};

/// What a browser brings back in its address.
#[derive(Default)]
pub(crate) struct Brought {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) iss: Option<String>,
    pub(crate) error: bool,
}

/// Who is let in, and where they go.
pub(crate) struct Finished {
    pub(crate) opened: Opened,
    pub(crate) return_to: String,
}

/// Finishes a flow.
pub(crate) async fn finish(
    desk: &Desk,
    flow: Flow,
    brought: Brought,
    device: &devices::Shown,
    from: Option<IpAddr>,
) -> Result<Finished, NotSignedIn> {
    let state = brought.state.as_deref().unwrap_or_default();
    // A page elsewhere can send anybody here with a code of its own, but not with this browser's state.
    if !equal(&sha256(state.as_bytes()), &flow.sha256()) {
        return Err(NotSignedIn::Nobody);
    }
    let provider = provider(desk, flow.provider).ok_or(NotSignedIn::Nobody)?;
    desk.admit(provider.org, from)?;
    let shown = show(desk, &provider, &flow, &brought).await.map_err(|why| not_shown(&provider, why))?;
    // From here on with what everybody agreed on last.
    desk.changes.barrier().await?;
    let mapping = desk.directory.signins().federation().mapping(provider.id).cloned();
    let (account, joining, held) = who(desk, &provider, &flow, &shown).ok_or_else(|| {
        tracing::info!(provider.id = %provider.id, "an identity provider showed somebody who has no account");
        NotSignedIn::Nobody
    })?;
    if flow.step_up && !shown.second {
        return Err(NotSignedIn::CodeNeeded);
    }
    let second = shown.second || held.as_ref().is_some_and(|held| held.assurance >= 2);
    let fresh = matches!(joining, Joining::Invited(_));
    if desk.directory.signins().asks_for_more(&account) && !second && !fresh {
        return Err(NotSignedIn::CodeNeeded);
    }
    let wanted = held.as_ref().map(|held| held.role).or(flow.role);
    let may = match &mapping {
        None => desk.roles(account.user, account.org),
        Some(mapping) => roles::given(desk, &account, mapping, &shown.groups),
    };
    if mapping.is_some() && may.is_empty() {
        tracing::info!(provider.id = %provider.id, "an identity provider showed somebody whose groups give no role");
        return Err(NotSignedIn::Nobody);
    }
    let role = role(&may, wanted)?;
    if !devices::admitted(desk, (account.org, account.user), device) {
        return Err(devices::wait(desk, (account.org, account.user), device).await);
    }
    if mapping.is_some() {
        roles::take(desk, &account, &may).await?;
    }
    // A link makes no session longer.
    let ends = held.map_or(i64::MAX, |held| held.ends);
    let opened = open(desk, &account, (role, ends), &provider, &flow, (&shown, joining, second)).await?;
    tracing::info!(provider.id = %provider.id, "somebody came in through an identity provider");
    Ok(Finished { opened, return_to: flow.return_to })
}

async fn show(
    desk: &Desk,
    provider: &IdentityProvider,
    flow: &Flow,
    brought: &Brought,
) -> Result<Shown, NotShown> {
    let federated = &desk.federated;
    if provider.preset != Preset::Github {
        let found = federated.discoveries.of(&federated.out, &provider.issuer, &*desk.clock).await?;
        if !oidc::is_issuer(provider, &found, brought.iss.as_deref()) {
            return Err(NotShown::Wrong("callback-issuer"));
        }
    }
    let code = match &brought.code {
        Some(code) if !brought.error => code,
        _ => return Err(NotShown::Wrong("callback-error")),
    };
    let secret = match &provider.secret {
        None => None,
        Some(sealed) => {
            let opened = client_secret::open(&desk.keys, (provider.org, provider.id), sealed);
            Some(opened.ok_or(NotShown::Unavailable("client-secret"))?)
        }
    };
    match provider.preset {
        Preset::Github => github::show(&federated.out, provider, secret, flow, code).await,
        _ => {
            let mapping = desk.directory.signins().federation().mapping(provider.id).cloned();
            let claim = roles::claim(mapping.as_deref());
            oidc::show(federated, provider, secret, flow, (code, claim), &*desk.clock).await
        }
    }
}

fn not_shown(provider: &IdentityProvider, why: NotShown) -> NotSignedIn {
    match why {
        NotShown::Busy => NotSignedIn::Busy,
        NotShown::Unavailable(what) => {
            tracing::warn!(provider.id = %provider.id, what, "an identity provider cannot be used");
            NotSignedIn::ProviderUnavailable
        }
        NotShown::Wrong(what) => {
            tracing::info!(provider.id = %provider.id, what, "an identity provider showed nobody");
            NotSignedIn::Nobody
        }
    }
}

/// Whose account it is, by what, and the session that they had.
fn who(
    desk: &Desk,
    provider: &IdentityProvider,
    flow: &Flow,
    shown: &Shown,
) -> Option<(Arc<Account>, Joining, Option<Session>)> {
    let signins = desk.directory.signins();
    match flow.beside {
        Beside::Invitation { org, user, secret_sha256 } => {
            let account = signins.account(org, user).filter(|_| org == provider.org).cloned()?;
            Some((account, Joining::Invited(secret_sha256), None))
        }
        Beside::Session { org, user, session } => {
            let account = signins.account(org, user).filter(|_| org == provider.org).cloned()?;
            let held = signins.session(session).map(|held| Session::clone(held))?;
            Some((account, Joining::SignedIn(session), Some(held)))
        }
        Beside::Nothing => {
            if let Some(user) = signins.federation().linked(provider.id, &shown.subject_sha256) {
                return Some((signins.account(provider.org, user).cloned()?, Joining::Linked, None));
            }
            let name = shown.mail.as_ref().filter(|name| provider.vouches_for(name))?;
            // An address stands in for no authenticator.
            let account =
                signins.account_named(provider.org, name).filter(|known| !signins.asks_for_more(known));
            Some((account.cloned()?, Joining::ByMail, None))
        }
    }
}

async fn open(
    desk: &Desk,
    account: &Account,
    (role, at_most): (Role, i64),
    provider: &IdentityProvider,
    flow: &Flow,
    (shown, joining, second): (&Shown, Joining, bool),
) -> Result<Opened, NotSignedIn> {
    let now = desk.now();
    let token = RefreshToken::first(SessionId::random(&*desk.entropy), &*desk.entropy);
    let ends = at_most.min(now + SESSION_SECONDS);
    let session = Session {
        id: token.session,
        org: account.org,
        user: account.user,
        role,
        family_sha256: token.family_sha256(),
        refresh_sha256: token.current_sha256(),
        rotations: 0,
        assurance: if second { 2 } else { 1 },
        created: now,
        expires: ends.min(now + IDLE_SECONDS),
        ends,
    };
    let entrance = Entrance {
        session: session.clone(),
        expected: account.version,
        provider: provider.id,
        subject_sha256: shown.subject_sha256,
        joining,
        second,
        flow_sha256: flow.sha256(),
        flow_ends: flow.ends,
    };
    let change = if shown.second {
        // Whoever does not say when it was shown has shown nothing fresh.
        SignInChange::EnterAssured { entrance, shown_at: shown.asked_at.unwrap_or(0) }
    } else {
        SignInChange::Enter(entrance)
    };
    let index = desk.propose(change).await??;
    desk.tokens(session, index, &token, now)
}
