//! `domicile cluster remove`: takes a member out for good.

use std::process::ExitCode;

use residency_control::{MembershipError, RosterChange};
use residency_policy::NodeId;

use super::{RemoveArgs, Through, member, unanswered, voters, worth};
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

/// Removes a member. Repeating it is safe.
pub(super) fn run(args: &RemoveArgs) -> Result<ExitCode, Stop> {
    let through = Through::open(&args.file.config)?;
    let node = NodeId(args.node);
    lifecycle::runtime(1)?.block_on(remove(&through, node)).map(|()| ExitCode::SUCCESS)
}

async fn remove(through: &Through, node: NodeId) -> Result<(), Stop> {
    let before = through.roster().await.map_err(|e| unanswered(&e))?;
    let who = member(&before, node).map_or_else(|| format!("node {node}"), |line| line.identity.clone());
    let index = match through.change(&RosterChange::Remove(node)).await.map_err(|e| unanswered(&e))? {
        Ok(index) => index,
        Err(error) => return Err(refused(&who, &error)),
    };
    tell::line(&format!("{who} is no member any more, as of log entry {index}; the id {node} is used up"));
    if let Ok(after) = through.roster().await {
        tell::line(&worth(voters(&after)));
    }
    Ok(())
}

fn refused(who: &str, error: &MembershipError) -> Stop {
    let mend = match error {
        MembershipError::WouldLoseQuorum { .. } => {
            "bring back the voters that are away, or add others, and remove this one then"
        }
        MembershipError::NoVoters => {
            "a control plane needs a voter: add others first, or stop the cluster for good"
        }
        MembershipError::UnknownNode(_) => "`domicile cluster status` shows who is there",
        MembershipError::Timeout | MembershipError::NoQuorum => {
            "run the same command again: what is done stays done"
        }
        _ => "run the same command again in a moment",
    };
    Stop::new(Cause::Other, format!("{who} was not removed: {error}"), mend)
}
