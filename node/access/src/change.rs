//! Changes of the control plane, and reads that rest on it: proposed, refused and waited for in one way.

use residency_control::{Command, Outcome, ProposeError, Refusal};
use residency_policy::{Problem, ProblemKind};

use crate::parameters::bad;
use crate::{Act, Disclosable, LogIndex, OpenCall, Refused};

/// The query parameter of a read that must have everything that was acknowledged before it.
pub const CONSISTENCY: &str = "consistency";

/// Why the control plane made no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotMade {
    /// The state did not allow it, and is as it was.
    Refused(Refusal),
    /// It has no outcome. Whether the change was made is not known unless the error says so.
    Unproposed(ProposeError),
}

impl Disclosable for NotMade {
    fn problem(&self) -> Problem {
        let refusal = match self {
            Self::Refused(refusal) => *refusal,
            Self::Unproposed(ProposeError::TooLarge | ProposeError::NotAllowed) => {
                return Problem::new(ProblemKind::Internal);
            }
            Self::Unproposed(_) => return Problem::new(ProblemKind::ControlUnavailable).retry_after(2),
        };
        match refusal {
            Refusal::StaleVersion => {
                Problem::new(ProblemKind::PreconditionFailed).detail("read it again and repeat the change")
            }
            Refusal::Closed | Refusal::NotMarketing => Problem::new(ProblemKind::IllegalTransition),
            Refusal::AlreadyKnown => Problem::new(ProblemKind::AlreadyExists),
            Refusal::UnknownOrg | Refusal::UnknownUser => Problem::new(ProblemKind::NotFound),
            _ => Problem::new(ProblemKind::Internal),
        }
    }

    fn cause(&self) -> Option<String> {
        match self {
            // The caller's doing.
            Self::Refused(
                Refusal::StaleVersion
                | Refusal::Closed
                | Refusal::NotMarketing
                | Refusal::AlreadyKnown
                | Refusal::UnknownOrg
                | Refusal::UnknownUser,
            ) => None,
            Self::Refused(refusal) => Some(refusal.to_string()),
            Self::Unproposed(error) => Some(error.to_string()),
        }
    }
}

impl<A: Act> OpenCall<A> {
    /// Proposes a change, and returns where it stands in the log once a quorum has it.
    pub async fn propose(&self, command: Command) -> Result<LogIndex, NotMade> {
        let proposed = self.here.changes.propose(command).await.map_err(NotMade::Unproposed)?;
        match proposed.outcome {
            Outcome::Done => Ok(LogIndex(proposed.index)),
            Outcome::Refused(refusal) => Err(NotMade::Refused(refusal)),
        }
    }

    /// Waits until this node has every change that was acknowledged to anybody before. What is changed is read here
    /// after it: the caller may have read it at another node.
    pub async fn catch_up(&self) -> Result<LogIndex, NotMade> {
        self.here.changes.barrier().await.map(LogIndex).map_err(NotMade::Unproposed)
    }

    /// Where in the log a read stands: what this node has, or what everybody has if the query asks for it.
    pub async fn read_point(&self) -> Result<LogIndex, Refused> {
        match self.parameters.get(CONSISTENCY) {
            None => Ok(LogIndex(self.here.directory.applied())),
            Some("linearizable") => Ok(self.catch_up().await?),
            Some(_) => Err(bad(CONSISTENCY, "not-a-code", "is linearizable, or left out").into()),
        }
    }
}
