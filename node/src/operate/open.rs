//! `domicile orgs open`: lets an organisation's people and keys come from everywhere and on any device again, through the running
//! node and with that node's own key. Nobody in the organisation can, once its list of addresses has nobody's in it, or no
//! administrator has a device that is admitted.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use residency_control::signin::{Networks, SignInChange, SignInSettings};
use residency_control::{Command, Outcome};
use residency_policy::OrgId;

use super::Came;
use super::client::Operator;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// Empties an organisation's list of addresses and lets in any device. Whatever else it asks for stays. Repeating it is safe.
pub fn run(file: &Path, org: OrgId) -> Result<ExitCode, Stop> {
    let config = lifecycle::load(file)?;
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let opened = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        open(&operator, org).await
    });
    match opened {
        Ok(said) => {
            tell::line(&said);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(Stop::new(
            Cause::Other,
            format!("the organisation was not opened: {error:#}"),
            "the node of this configuration must run, and a quorum of the members with it",
        )),
    }
}

async fn open(operator: &Operator, org: OrgId) -> Result<String> {
    let shuts = |known: &SignInSettings| known.known_devices_only || !known.networks.as_slice().is_empty();
    let Some(known) = operator.settings(org, WITHIN).await?.filter(shuts) else {
        return Ok(format!("{org} lists no addresses and lets in any device: nothing was changed"));
    };
    let expected = known.version;
    let settings = SignInSettings { networks: Networks::default(), known_devices_only: false, ..known };
    let change = Command::SignIn(SignInChange::PutSettings { settings, expected });
    match operator.commands(&[change], WITHIN).await?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => Ok(format!(
                "{org} is open, as of log entry {}: its people and keys may come from everywhere and on any device",
                proposed.index
            )),
            Outcome::Refused(refusal) => bail!("{refusal}"),
        },
        _ => bail!("whether it was is not known: there was no quorum in time; try again"),
    }
}
