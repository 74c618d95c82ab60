//! `domicile orgs resume`: has the keys of an organisation accepted again, through the running node and with that
//! node's own key. Nobody in the organisation can: none of its keys is accepted.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use residency_control::{Command, Organisation, Outcome};
use residency_policy::OrgId;

use super::Came;
use super::client::Operator;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// Sets an organisation active. Repeating it is safe.
pub fn run(file: &Path, org: OrgId) -> Result<ExitCode, Stop> {
    let config = lifecycle::load(file)?;
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let resumed = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        resume(&operator, org).await
    });
    match resumed {
        Ok(said) => {
            tell::line(&said);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(Stop::new(
            Cause::Other,
            format!("the organisation was not resumed: {error:#}"),
            "the node of this configuration must run, and a quorum of the members with it",
        )),
    }
}

async fn resume(operator: &Operator, org: OrgId) -> Result<String> {
    let Some((organisation, mark)) = operator.organisation(org, WITHIN).await? else {
        bail!("there is no organisation {org}")
    };
    if let Some(reason) = mark.closed {
        bail!("{org} was closed ({reason}), and nothing opens it again")
    }
    if organisation.active {
        return Ok(format!("{org} is active: nothing was changed"));
    }
    let organisation = Organisation { active: true, ..organisation };
    let change = Command::ChangeOrganisation { organisation, expected: mark.version };
    match operator.commands(&[change], WITHIN).await?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => {
                Ok(format!("{org} is active again, as of log entry {}: its keys are accepted", proposed.index))
            }
            Outcome::Refused(refusal) => bail!("{refusal}"),
        },
        _ => bail!("whether it was is not known: there was no quorum in time; try again"),
    }
}
