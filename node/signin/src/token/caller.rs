//! Who an access token stands for, as the control plane knows it now.

use node_access::{Credential, NotRecognised};
use residency_control::machine::State;
use residency_policy::{KeyId, KeyScopes};
use residency_tokens::{Claims, NotLiving, living};

/// The caller whose session a verified token names. `index` is how far in the replicated log the state is.
pub fn caller_of(claims: &Claims, state: &State, index: u64, now: i64) -> Result<Credential, NotRecognised> {
    let session = living(claims, state, index, now).map_err(|why| match why {
        NotLiving::Ended => NotRecognised::Nobody,
        NotLiving::NotYet(index) => NotRecognised::NotYet(index),
    })?;
    let org = state.organisations().get(&session.org).ok_or(NotRecognised::Nobody)?;
    Ok(Credential {
        key: KeyId::from_bytes(session.id.to_bytes()),
        session: Some(session.id),
        assurance: if state.signin().is_sure(session, now) { session.assurance } else { 1 },
        second_factor: session.assurance >= 2,
        user: Some(session.user),
        clinician: state.clinician(session.user, session.org),
        org: session.org,
        org_type: org.org_type,
        role: session.role.into(),
        jurisdictions: org.serves.iter().collect(),
        scopes: KeyScopes::ALL,
    })
}
