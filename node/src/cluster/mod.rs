//! `domicile cluster`: who belongs to the control plane, and who joins and leaves it while it serves.
//!
//! Every act goes through the peers' door of one running node, with that node's own key, like `domicile keys revoke`.
//! That node passes a change on to whichever member leads.

pub mod add;
pub mod issue;
pub mod remove;
pub mod status;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use residency_control::peer::PeerId;
use residency_control::{Endpoint, MembershipError, Roster, RosterChange};
use residency_policy::NodeId;

use crate::cli::ConfigFile;
use crate::config::Config;
use crate::exit::{Cause, Stop};
use crate::lifecycle;
use crate::operate::client::Operator;

/// Longer than a member looks for a leader, with an election in between.
const CHANGE_WITHIN: Duration = Duration::from_secs(40);
/// Longer than a member waits for the slowest of the others.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// What to do with the members.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Show every member: its role, how far it has come, and when its certificate ends.
    #[command(after_help = "\
The node of the configuration asks every member and shows what each says of itself. LAG is how many log entries
a member is short of; under load, and with every heartbeat, a few are always under way.
The exit code is 0 when every member answers, has caught up and follows the leader, and 1 otherwise.

Examples:
  domicile cluster status --config /etc/domicile/node.toml
  domicile cluster status --wait 60        before the next node of a rolling restart
  domicile cluster status --json | jq '.members[] | select(.lag > 100)'")]
    Status(StatusArgs),
    /// Let a new node or router join while the cluster serves.
    #[command(after_help = "\
In this order, each step safe to repeat with the same command:
  1. The certificate. With --issue it is made here and put into DIR, to be taken to the new machine; else have your
     authority issue one whose only URI name is the IDENTITY, and let --certificate check it.
  2. The member is added. It receives the log, a snapshot first, and does not vote.
  3. Start it. Its own configuration names itself and the members that are there; an empty [control] dir.
  4. When it has caught up it gets a vote. --learner leaves it without one; routers never vote.

A node id is used once. An id that was removed, or that came with another disk, is refused for ever.
Three or five voters are right: an even one more makes every change wait for more and survives no more failures.

Examples:
  domicile cluster add region/us-wa/node/7 --at wa.internal.example.com:7443 --issue ./wa \\
      --authority ca.pem --authority-key ca.key
  domicile cluster add region/us-wa/node/7 --at wa.internal.example.com:7443 --certificate wa/peer.pem
  domicile cluster add router/us-ny/node/101 --at edge2.internal.example.com:7443")]
    Add(AddArgs),
    /// Take a member out, for good, while the cluster serves.
    #[command(after_help = "\
A voter loses its vote first. Its process ends by itself and says why; its id can not come back. The data of its
region stays where it is: to serve it again, a node with a new id joins (deploy/runbooks/membership.md).
Refused when the voters that would be left could decide nothing, because too few of them answer.

Examples:
  domicile cluster remove 2 --config /etc/domicile/node.toml")]
    Remove(RemoveArgs),
}

/// How to show the members.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Wait until all is well, for so long at most, before showing it.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

/// Who joins.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Who it is, as in its certificate: `region/us-wa/node/7` or `router/us-ny/node/101`, with or without
    /// `spiffe://domicile/` before it.
    #[arg(value_name = "IDENTITY", value_parser = identity)]
    pub(crate) id: PeerId,
    /// Where the other members reach it, as host:port.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) at: Endpoint,
    /// Leave it without a vote.
    #[arg(long)]
    pub(crate) learner: bool,
    /// Make its certificate and key, and put them into this folder.
    #[arg(long, value_name = "DIR", requires_all = ["authority", "authority_key"], conflicts_with = "certificate")]
    pub(crate) issue: Option<PathBuf>,
    /// The authority's certificate, which the members believe already.
    #[arg(long, value_name = "FILE", requires = "issue")]
    pub(crate) authority: Option<PathBuf>,
    /// The authority's private key.
    #[arg(long, value_name = "FILE", requires = "issue")]
    pub(crate) authority_key: Option<PathBuf>,
    /// How many days the certificate holds.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
    pub(crate) days: u16,
    /// Check that this certificate is the one that the new member needs.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// How long it may take until the new member has caught up.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub(crate) wait: u64,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

/// Who leaves.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The member's node id, as `domicile cluster status` shows it.
    #[arg(value_name = "NODE")]
    pub(crate) node: u64,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

/// Plays one act.
pub fn run(act: &Act) -> Result<ExitCode, Stop> {
    match act {
        Act::Status(args) => status::run(args),
        Act::Add(args) => add::run(args),
        Act::Remove(args) => remove::run(args),
    }
}

fn identity(text: &str) -> Result<PeerId, String> {
    let whole = match text.strip_prefix("spiffe://") {
        Some(_) => text.to_owned(),
        None => format!("spiffe://domicile/{text}"),
    };
    whole.parse().map_err(|_| {
        "not an identity: expected one such as region/us-wa/node/7 or router/us-ny/node/101, in small letters".to_owned()
    })
}

/// The running node of a configuration.
struct Through {
    config: Config,
    operator: Operator,
}

impl Through {
    fn open(file: &Path) -> Result<Self, Stop> {
        let config = lifecycle::load(file)?;
        let (peer, at) = (&config.peer, config.listen.advertise_peer.clone());
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)
            .map_err(|e| {
                Stop::new(Cause::Tls, format!("{e:#}"), "see [peer]; `domicile doctor` checks the files")
            })?;
        Ok(Self { config, operator })
    }

    async fn roster(&self) -> Result<Roster> {
        self.operator.roster(LOOK_WITHIN).await
    }

    async fn change(&self, change: &RosterChange) -> Result<Result<u64, MembershipError>> {
        self.operator.change_roster(change, CHANGE_WITHIN).await
    }
}

/// No answer from the node itself.
fn unanswered(error: &anyhow::Error) -> Stop {
    Stop::new(
        Cause::Other,
        format!("the node of this configuration does not answer: {error:#}"),
        "it must run, or give --config of a node that does",
    )
}

/// How many voters may fail of so many.
fn may_fail(voters: usize) -> usize {
    voters.saturating_sub(1) / 2
}

/// What so many voters are worth, in words.
fn worth(voters: usize) -> String {
    let spare = match may_fail(voters) {
        0 => "none of them may fail".to_owned(),
        1 => "one of them may fail".to_owned(),
        many => format!("{many} of them may fail"),
    };
    let advice = if voters.is_multiple_of(2) { "; one more or one less is as good" } else { "" };
    format!("{voters} now vote: {spare}{advice}")
}

fn voters(roster: &Roster) -> usize {
    roster.members.iter().filter(|line| line.voter).count()
}

fn member(roster: &Roster, node: NodeId) -> Option<&residency_control::MemberLine> {
    roster.members.iter().find(|line| line.node == node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_with_and_without_its_scheme() {
        let whole = "spiffe://domicile/region/us-wa/node/7";
        for text in [whole, "region/us-wa/node/7"] {
            assert_eq!(identity(text).map(|id| id.to_string()), Ok(whole.to_owned()));
        }
        for text in ["us-wa/7", "region/US-WA/node/7", "spiffe://other/region/us-wa/node/7", ""] {
            assert!(identity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_voters_are_worth_is_said() {
        assert_eq!([1, 2, 3, 4, 5].map(may_fail), [0, 0, 1, 1, 2]);
        assert!(worth(4).contains("one of them may fail; one more or one less"));
        assert_eq!(worth(3), "3 now vote: one of them may fail");
    }
}
