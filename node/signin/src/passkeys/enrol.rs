//! Adds a passkey to the account of whoever is signed in.

use residency_control::Refusal;
use residency_control::signin::{Account, Passkey, PasskeyAdded, SignInChange, SignIns};
use residency_policy::{PasskeyId, SessionId};
use webauthn_rs_core::proto::{
    AttestationConveyancePreference, COSEAlgorithm, CredProtect, CredentialProtectionPolicy,
    PublicKeyCredentialCreationOptions, RegisterPublicKeyCredential, RequestRegistrationExtensions,
    UserVerificationPolicy,
};

use super::ceremony::{Aim, Ceremony};
use super::{handle, kept, what_is_wrong};
use crate::{Desk, NotSignedIn};

/// Why no passkey was added.
#[derive(Clone, Copy)]
pub(crate) enum NotAdded {
    /// The ceremony is somebody else's, over, used, or none.
    Lapsed,
    /// What the authenticator made is not what was asked for.
    Wrong,
    /// It is there already.
    Known,
    /// There are as many as there may be.
    TooMany,
    /// What signs them in was changed meanwhile.
    Changed,
    /// Something else.
    Otherwise(NotSignedIn),
}

impl From<NotSignedIn> for NotAdded {
    fn from(why: NotSignedIn) -> Self {
        Self::Otherwise(why)
    }
}

/// A challenge for an authenticator that shall make a passkey, and what the caller keeps meanwhile. `named` is the name that
/// the authenticator shows beside the login name.
pub(crate) fn begin(
    desk: &Desk,
    account: &Account,
    session: SessionId,
    named: &str,
) -> Result<(String, PublicKeyCredentialCreationOptions), NotAdded> {
    let core = desk.passkeys.core()?;
    let (org, user) = (account.org, account.user);
    let signins = desk.directory.signins();
    let there: Vec<Vec<u8>> =
        signins.passkeys_of(org, user).map(|one| one.credential.as_bytes().to_vec()).collect();
    if there.len() >= SignIns::PASSKEYS_EACH_MAX {
        return Err(NotAdded::TooMany);
    }
    let begun = core.new_challenge_register_builder(&handle(org, user), account.name.as_str(), named);
    let begun = begun.and_then(|builder| {
        let builder = builder
            .attestation(AttestationConveyancePreference::None)
            .credential_algorithms(vec![COSEAlgorithm::ES256, COSEAlgorithm::RS256])
            // Found by the authenticator itself, so that nobody is asked for a login name.
            .require_resident_key(true)
            .user_verification_policy(UserVerificationPolicy::Required)
            // One authenticator makes one passkey of an account.
            .exclude_credentials(Some(there))
            .extensions(Some(RequestRegistrationExtensions {
                cred_protect: Some(CredProtect {
                    credential_protection_policy: CredentialProtectionPolicy::UserVerificationRequired,
                    // Authenticators that cannot would make none.
                    enforce_credential_protection_policy: Some(false),
                }),
                uvm: None,
                cred_props: None,
                min_pin_length: None,
                hmac_create_secret: None,
            }));
        core.generate_challenge_register(builder)
    });
    let (options, state) = begun.map_err(|_| NotSignedIn::NoPasskeys)?;
    let aim = Aim::Enrol { org, user, session, expected: account.version, state };
    let ceremony = Ceremony::begun(aim, &options.public_key.challenge, desk.now());
    Ok((ceremony.seal(&desk.keys, &*desk.entropy)?, options.public_key))
}

/// Adds the passkey that an authenticator made of the challenge, and tells where in the log that stands.
pub(crate) async fn finish(
    desk: &Desk,
    account: &Account,
    session: SessionId,
    ceremony: &Ceremony,
    credential: &RegisterPublicKeyCredential,
) -> Result<(Passkey, u64), NotAdded> {
    let core = desk.passkeys.core()?;
    let Aim::Enrol { org, user, session: asked, expected, state } = &ceremony.aim else {
        return Err(NotAdded::Lapsed);
    };
    if (*org, *user, *asked) != (account.org, account.user, session) {
        return Err(NotAdded::Lapsed);
    }
    if credential.type_ != "public-key" {
        return Err(NotAdded::Wrong);
    }
    let made = core.register_credential(credential, state, None).map_err(|error| {
        tracing::info!(what = what_is_wrong(&error), "a passkey was not added");
        NotAdded::Wrong
    })?;
    let (called, key) = kept::of(&made).filter(|_| made.user_verified).ok_or(NotAdded::Wrong)?;
    let passkey = Passkey {
        org: *org,
        user: *user,
        id: PasskeyId::random(&*desk.entropy),
        credential: called,
        key,
        counter: made.counter,
        backup_eligible: made.backup_eligible,
        backed_up: made.backup_state,
        added: desk.now(),
        used: None,
    };
    let added = PasskeyAdded {
        passkey: passkey.clone(),
        session,
        expected: *expected,
        flow_sha256: ceremony.once_sha256,
        flow_ends: ceremony.ends,
    };
    match desk.propose(SignInChange::AddPasskey(added)).await? {
        Ok(index) => Ok((passkey, index)),
        Err(Refusal::CodeUsed | Refusal::Lapsed) => Err(NotAdded::Lapsed),
        Err(Refusal::AlreadyKnown) => Err(NotAdded::Known),
        Err(Refusal::StaleVersion) => Err(NotAdded::Changed),
        Err(Refusal::Full) if account_is_full(desk, account) => Err(NotAdded::TooMany),
        Err(refusal) => Err(NotAdded::Otherwise(refusal.into())),
    }
}

fn account_is_full(desk: &Desk, account: &Account) -> bool {
    let signins = desk.directory.signins();
    signins.passkeys_of(account.org, account.user).count() >= SignIns::PASSKEYS_EACH_MAX
}
