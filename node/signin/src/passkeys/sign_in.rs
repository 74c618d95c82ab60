//! Signs somebody in with a passkey.

use std::net::IpAddr;

use residency_control::signin::{CredentialId, Passkey, PasskeyShown, Session, SignInChange};
use residency_policy::{OrgId, Role, SessionId, UserId};
use webauthn_rs_core::proto::{
    CollectedClientData, PublicKeyCredential, PublicKeyCredentialRequestOptions, UserVerificationPolicy,
};

use super::ceremony::{Aim, Ceremony};
use super::{handle, kept, what_is_wrong};
use crate::desk::{Desk, IDLE_SECONDS, Opened, SESSION_SECONDS};
use crate::login::role;
use crate::refresh_token::RefreshToken;
use crate::{NotSignedIn, devices};

/// A challenge for whoever wants to sign in, and what they keep meanwhile.
pub(crate) fn begin(desk: &Desk) -> Result<(String, PublicKeyCredentialRequestOptions), NotSignedIn> {
    let core = desk.passkeys.core()?;
    // No list of credentials: the authenticator shows those that it has.
    let builder = core.new_challenge_authenticate_builder(Vec::new(), Some(UserVerificationPolicy::Required));
    let begun = builder.and_then(|builder| core.generate_challenge_authenticate(builder));
    let (options, state) = begun.map_err(|_| NotSignedIn::NoPasskeys)?;
    let ceremony = Ceremony::begun(Aim::SignIn(state), &options.public_key.challenge, desk.now());
    Ok((ceremony.seal(&desk.keys, &*desk.entropy)?, options.public_key))
}

/// What somebody brings.
pub(crate) struct Brought {
    /// What they kept.
    pub(crate) ceremony: Ceremony,
    /// What their authenticator made.
    pub(crate) credential: PublicKeyCredential,
    /// As what, where they may be several things.
    pub(crate) role: Option<Role>,
}

/// Begins a session for whoever brings an assertion that a passkey of theirs made of the challenge.
pub(crate) async fn finish(
    desk: &Desk,
    brought: Brought,
    device: &devices::Shown,
    from: Option<IpAddr>,
) -> Result<Opened, NotSignedIn> {
    let core = desk.passkeys.core()?;
    let Aim::SignIn(state) = &brought.ceremony.aim else { return Err(NotSignedIn::Nobody) };
    // With what everybody agreed on last: a passkey that was forgotten signs nobody in.
    desk.changes.barrier().await?;
    let credential = &brought.credential;
    let passkey = passkey(desk, credential).ok_or(NotSignedIn::Nobody)?;
    let (org, user) = (passkey.org, passkey.user);
    desk.admit(org, from)?;
    let verified = core.authenticate_single_credential(credential, state, &kept::credential(&passkey));
    let verified = verified.map_err(|error| {
        let what = what_is_wrong(&error);
        tracing::info!(what, "a passkey was not verified");
        NotSignedIn::Nobody
    })?;
    if !verified.user_verified() || in_a_frame(credential) {
        return Err(NotSignedIn::Nobody);
    }
    let account = desk.directory.signins().account(org, user).cloned().ok_or(NotSignedIn::Nobody)?;
    let role = role(&desk.roles(user, org), brought.role)?;
    let admitted = devices::admitted(desk, (org, user), device);
    let now = desk.now();
    let token = RefreshToken::first(SessionId::random(&*desk.entropy), &*desk.entropy);
    let session = session(&token, (org, user, role), now);
    let shown = PasskeyShown {
        org,
        user,
        passkey: passkey.id,
        counter: verified.counter(),
        backed_up: verified.backup_state(),
        expected: account.version,
        at: now,
        flow_sha256: brought.ceremony.once_sha256,
        flow_ends: brought.ceremony.ends,
        // The challenge is used up also where the device has to wait.
        session: admitted.then(|| session.clone()),
    };
    let index = desk.propose(SignInChange::ShowPasskey(shown)).await??;
    if !admitted {
        return Err(devices::wait(desk, (org, user), device).await);
    }
    desk.tokens(session, index, &token, now)
}

/// The passkey that was used, if its authenticator says that it is that account's.
fn passkey(desk: &Desk, credential: &PublicKeyCredential) -> Option<std::sync::Arc<Passkey>> {
    let id = CredentialId::try_from(credential.get_credential_id().to_vec()).ok()?;
    let known = desk.directory.signins().passkey_called(&id).cloned()?;
    let named = credential.get_user_unique_id()? == handle(known.org, known.user);
    (named && credential.type_ == "public-key").then_some(known)
}

/// Whether the page that asked stood in a frame of another site (WebAuthn Level 3, section 7.2). The library looks at that when
/// a passkey is added, and not when it is used.
fn in_a_frame(credential: &PublicKeyCredential) -> bool {
    let client = serde_json::from_slice::<CollectedClientData>(&credential.response.client_data_json);
    client.map_or(true, |client| client.cross_origin == Some(true))
}

fn session(token: &RefreshToken, (org, user, role): (OrgId, UserId, Role), now: i64) -> Session {
    let ends = now + SESSION_SECONDS;
    Session {
        id: token.session,
        org,
        user,
        role,
        family_sha256: token.family_sha256(),
        refresh_sha256: token.current_sha256(),
        rotations: 0,
        // What the authenticator has, and what it knows or is of its holder.
        assurance: 2,
        created: now,
        expires: ends.min(now + IDLE_SECONDS),
        ends,
    }
}
