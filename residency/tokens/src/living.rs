//! The session that a verified token names, as the control plane knows it now.

use residency_control::machine::State;
use residency_control::signin::Session;

use crate::Claims;

/// Why a token stands for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLiving {
    /// Its session has ended, its time is over, or its user may no longer be what it says.
    Ended,
    /// Its session is in the replicated log at this place, which this state has not reached.
    NotYet(u64),
}

/// The session of a token. `index` is how far in the replicated log the state is.
///
/// What the token says of its user must be what the state says: a token is a proof, and no record.
pub fn living<'s>(claims: &Claims, state: &'s State, index: u64, now: i64) -> Result<&'s Session, NotLiving> {
    let Some(session) = state.signin().session(claims.sid) else {
        return Err(if index < claims.idx { NotLiving::NotYet(claims.idx) } else { NotLiving::Ended });
    };
    let says_so = (session.user, session.org, session.role) == (claims.sub, claims.org, claims.role);
    let may_be = state.may_be(session.user, session.org, session.role);
    if says_so && now < session.ends && may_be && state.may_have(session.org, session.role) {
        Ok(session)
    } else {
        Err(NotLiving::Ended)
    }
}
