//! What other policies would decide otherwise.

use crate::{Decision, Loaded, Request, decide};

/// A question that two sets of policies answer differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The question.
    pub request: Request,
    /// What is decided now.
    pub now: Decision,
    /// What would be.
    pub then: Decision,
}

/// The questions that `new` answers otherwise than `old`: in the verdict, or in what must be done with the answer. That
/// another rule gives the same answer is no difference.
pub fn differences<'a>(
    old: &'a Loaded,
    new: &'a Loaded,
    requests: impl IntoIterator<Item = Request> + 'a,
) -> impl Iterator<Item = Difference> + 'a {
    requests.into_iter().filter_map(|request| {
        let (now, then) = (decide(old, &request), decide(new, &request));
        let same = now.verdict == then.verdict && now.obligations == then.obligations;
        (!same).then_some(Difference { request, now, then })
    })
}
