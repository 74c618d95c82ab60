//! Who an access token stands for, as the control plane knows it now.

use node_access::{Credential, NotRecognised};
use residency_control::machine::State;
use residency_policy::KeyId;

use super::Claims;

/// The caller whose session a verified token names. `index` is how far in the replicated log the state is.
///
/// What the token says of them must be what the state says: a token is a proof, and no record.
pub fn caller_of(claims: &Claims, state: &State, index: u64, now: i64) -> Result<Credential, NotRecognised> {
    let Some(session) = state.signin().session(claims.sid) else {
        return Err(if index < claims.idx { NotRecognised::NotYet(claims.idx) } else { NotRecognised::Nobody });
    };
    let says_so = (session.user, session.org, session.role) == (claims.sub, claims.org, claims.role);
    if !says_so || now >= session.ends || !state.may_be(session.user, session.org, session.role) {
        return Err(NotRecognised::Nobody);
    }
    let org = state.organisations().get(&session.org).ok_or(NotRecognised::Nobody)?;
    Ok(Credential {
        key: KeyId::from_bytes(session.id.to_bytes()),
        session: Some(session.id),
        assurance: session.assurance,
        user: Some(session.user),
        org: session.org,
        org_type: org.org_type,
        role: session.role,
        jurisdictions: org.serves.iter().collect(),
    })
}
