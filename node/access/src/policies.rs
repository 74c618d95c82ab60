//! Which set of policies decides here: one at a time, exchanged whole, and none that was not shown to be the right one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::request::Parts;
use node_policy::{Loaded, Recorded};
use residency_policy::{Problem, ProblemKind};
use tokio::sync::Notify;

use crate::Here;
use crate::finish::Known;

/// A set of policies that decides, and what the control plane calls it.
pub struct InForce {
    /// The version that was put in force. `None` is the set that comes with this program.
    pub version: Option<u64>,
    /// The policies.
    pub loaded: Loaded,
}

/// Why the set that the control plane names does not decide here. Nothing else decides in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInForce {
    /// Nothing was looked at yet.
    Unread,
    /// The configuration names no folder of sets.
    NoFolder,
    /// The file is not there.
    NotInstalled,
    /// The file is there and cannot be read, or is another set than its name says.
    Damaged,
    /// The signature is not by the key that this node goes by.
    NotSigned,
    /// The set does not fit the program.
    Unfit,
}

impl NotInForce {
    /// What an operator is told. A constant of the program.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Unread => {
                "the access policies in force were not read yet; if this stays so, the node's log says why"
            }
            Self::NoFolder => {
                "a version of the access policies is in force and this node keeps none; set [rules] policies"
            }
            Self::NotInstalled => {
                "the access policies in force are not installed here; run `domicile policy install` on this node"
            }
            Self::Damaged => {
                "the installed access policies in force are damaged; run `domicile policy install` on this node again"
            }
            Self::NotSigned => {
                "the access policies in force are not signed by [rules] verify_key; sign and propose a next version"
            }
            Self::Unfit => {
                "this program cannot read the access policies in force; the node's log names file, line and column"
            }
        }
    }
}

/// The set that decides here, or why none does.
pub struct Policies {
    now: ArcSwap<Result<Arc<InForce>, NotInForce>>,
    recorded: Recorded,
    exchanged: Notify,
}

impl Policies {
    /// Decides by this set, or by none.
    pub fn new(first: Result<Arc<InForce>, NotInForce>) -> Self {
        Self { now: ArcSwap::from_pointee(first), recorded: Recorded::default(), exchanged: Notify::new() }
    }

    /// Exchanges the set. Whoever has begun to decide goes on with the one that was taken.
    pub fn put(&self, next: Result<Arc<InForce>, NotInForce>) {
        self.now.store(Arc::new(next));
        self.exchanged.notify_waiters();
    }

    /// The set that decides now. A request takes it once, and decides everything by it.
    pub fn current(&self) -> Result<Arc<InForce>, NotInForce> {
        Result::clone(&self.now.load())
    }

    /// What was asked here, of whichever sets decided.
    pub fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// Waits until what decides, or that nothing does, is as is asked for.
    pub async fn until(&self, is: impl Fn(&Self) -> bool) {
        loop {
            let exchanged = self.exchanged.notified();
            tokio::pin!(exchanged);
            // From here on no exchange goes unnoticed.
            exchanged.as_mut().enable();
            if is(self) {
                return;
            }
            exchanged.await;
        }
    }
}

impl From<NotInForce> for Problem {
    fn from(_: NotInForce) -> Self {
        Self::new(ProblemKind::PoliciesUnproven).retry_after(1)
    }
}

/// The policies in force, taken once for all that this request asks of them; known to the log from here on.
pub(crate) fn taken(parts: &Parts, here: &Here) -> Result<Arc<InForce>, Problem> {
    let policies = here.policies.current()?;
    if let Some(known) = parts.extensions.get::<Known>() {
        let _ = known.policies.set(policies.version.unwrap_or(0));
    }
    Ok(policies)
}
