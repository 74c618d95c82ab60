//! What can be done with patients' logins over HTTP.

pub mod accept;
pub mod change_password;
pub mod invite;
pub mod sign_in;
pub mod sign_out;
pub mod suspend;

use std::sync::Arc;

use axum::Extension;
use jiff::Timestamp;
use node_access::Here;
use node_signin::Desk;
use node_signin::NotSignedIn;
use node_signin::hashing::Password;
use residency_control::signin::PasswordVerifier;
use residency_policy::UserId;
use storage::portal::Login;

/// What the access log calls a login, a session and an invitation.
pub(super) const ENTITY: &str = "patient-login";

/// What hashes passwords, as handlers get it.
type AtDesk = Extension<Arc<Desk>>;

/// Whether a password is that of a login, and the login is looked at now. Without either it takes as long and is not. A
/// failure is counted after the answer, which would tell otherwise that there is such a login; during a lock-out none is.
async fn is_theirs(
    here: &Here,
    desk: &Desk,
    password: Option<Password>,
    login: Option<Login>,
) -> Result<Option<Login>, NotSignedIn> {
    let verifier = login.as_ref().map(|login| PasswordVerifier {
        memory_kib: login.memory_kib,
        passes: login.passes,
        lanes: login.lanes,
        salt: login.salt,
        hash: login.hash,
    });
    // What cannot be a password is hashed all the same.
    let shown = password.or_else(|| Password::new("-")).ok_or(NotSignedIn::Nobody)?;
    let same = desk.hashing.verify(shown, verifier).await?;
    let now = here.clock.now();
    let Some(login) = login.filter(|login| login.not_before.is_none_or(|until| until <= now)) else {
        return Ok(None);
    };
    if same {
        return Ok(Some(login));
    }
    note_failure(here, login.login, now);
    Ok(None)
}

fn note_failure(here: &Here, login: UserId, at: Timestamp) {
    let pool = here.pool.clone();
    tokio::spawn(async move {
        if let Err(error) = pool.portal_failed(login, at).await {
            tracing::warn!(%error, "a patient's failed sign-in could not be counted");
        }
    });
}
