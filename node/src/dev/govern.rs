//! Puts organisations, keys and rules into the control plane of a development cluster.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use residency_control::{Command, Endpoint, Outcome, Refusal};
use tokio::time::Instant;

use super::layout::Home;
use super::plan::PlannedRegion;
use crate::operate::Came;
use crate::operate::client::Operator;

const PAUSE: Duration = Duration::from_millis(100);
const ONE_TRY: Duration = Duration::from_secs(10);

/// Opens the peers' door of a region's node.
pub fn operator(home: &Home, planned: &PlannedRegion) -> Result<Operator> {
    let tls = home.region(planned.region).tls();
    let at = Endpoint::new("localhost".parse()?, planned.peer);
    Operator::of_node(home.ca_cert(), tls.join("peer.pem"), tls.join("peer.key"), at)
}

/// Has every command done, and tries again while there is no leader yet.
pub async fn put(operator: &Operator, commands: &[Command], within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    let mut left = commands.to_vec();
    loop {
        let why = match operator.commands(&left, ONE_TRY).await {
            Ok(came) => {
                let mut again = Vec::new();
                for (command, came) in left.into_iter().zip(came) {
                    match came {
                        Came::Of(proposed) => match proposed.outcome {
                            // The same rules are in force already; and what somebody changed since stays so.
                            Outcome::Done
                            | Outcome::Refused(
                                Refusal::OldVersion
                                | Refusal::StaleVersion
                                | Refusal::AlreadyKnown
                                | Refusal::NotAMember,
                            ) => {}
                            Outcome::Refused(refusal) => bail!("the control plane refused: {refusal}"),
                        },
                        Came::NoQuorum => again.push(command),
                        Came::Impossible => {
                            bail!("the control plane does not take such a command from this node")
                        }
                    }
                }
                left = again;
                if left.is_empty() {
                    return Ok(());
                }
                anyhow::anyhow!("the control plane has no leader")
            }
            Err(error) => error,
        };
        if Instant::now() > until {
            return Err(why).context("organisations, keys and rules could not be put into the control plane");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
