//! Putting a signed set beside the others of a node, and putting it in force.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use residency_control::system::SystemClock;
use residency_control::{Command, Outcome, PolicyVersion, Refusal};
use residency_policy::Label;

use super::signed::{self, Signed};
use super::{files, shortly};
use crate::config::Config;
use crate::dev::keep::{self, Readers};
use crate::exit::{Cause, Stop};
use crate::operate::Came;
use crate::operate::client::Operator;
use crate::wiring::policies::Installed;
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// Checks a folder of policies as a node would, and signs it as a version.
pub(super) fn sign(
    folder: &Path,
    (cluster, version): (Label, u64),
    key: &Path,
    out: &Path,
) -> Result<ExitCode, Stop> {
    let set = files::sources(folder)?;
    let loaded = files::load(folder, &set)?;
    let stop =
        |what: String| Stop::new(Cause::Rules, what, "nothing was signed; see `domicile policy sign --help`");
    let key = signed::key(key).map_err(|e| stop(format!("the key {} is refused: {e:#}", key.display())))?;
    let signed = Signed::new(cluster, version, set, &key).map_err(|e| stop(format!("{e:#}")))?;
    keep::write_json(out, Readers::All, &signed).map_err(|e| stop(format!("{e:#}")))?;
    let rules = loaded.rules().count();
    tell::line(&format!(
        "signed {} for {cluster}, {rules} policies, in {}",
        shortly(version, signed.digest()),
        out.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Puts a signed set where this node finds it. What is in force does not change.
pub(super) fn install(file: &Path, config: &Path) -> Result<ExitCode, Stop> {
    let said = installed(file, &lifecycle::load(config)?)?;
    tell::line(&format!("installed {}; it is not in force by that", shortly(said.version, said.digest)));
    Ok(ExitCode::SUCCESS)
}

/// Installs a signed set at this node and has the control plane put it in force everywhere.
pub(super) fn propose(file: &Path, config: &Path) -> Result<ExitCode, Stop> {
    let config = lifecycle::load(config)?;
    let said = installed(file, &config)?;
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let proposed = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        put_in_force(&operator, said).await
    });
    match proposed {
        Ok(told) => {
            tell::line(&told);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(Stop::new(
            Cause::Other,
            format!("the policies were not put in force: {error:#}"),
            "`domicile policy show` says what is; the node of this configuration must run, and a quorum with it",
        )),
    }
}

/// Checks a signed set as the node would, and only then writes it.
fn installed(file: &Path, config: &Config) -> Result<PolicyVersion, Stop> {
    let stop =
        |what: String| Stop::new(Cause::Rules, format!("{}: {what}", file.display()), "nothing was changed");
    let signed = Signed::read(file).map_err(|e| stop(format!("{e:#}")))?;
    files::load(file, &signed.set)?;
    let (here, said) =
        (Installed::of(&config.rules, config.region.cluster, Arc::new(SystemClock))?, signed.said());
    here.proven(&said).map_err(|e| stop(format!("{e}")))?;
    here.install(&signed.set).map_err(|e| stop(format!("it cannot be installed: {e:#}")))?;
    Ok(said)
}

async fn put_in_force(operator: &Operator, said: PolicyVersion) -> Result<String> {
    let name = shortly(said.version, said.digest);
    match operator.commands(&[Command::PutAccessPolicies(said.clone())], WITHIN).await?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => Ok(format!("{name} is in force, as of log entry {}", proposed.index)),
            Outcome::Refused(Refusal::OldVersion)
                if operator.access_policies(WITHIN).await?.said.as_ref() == Some(&said) =>
            {
                Ok(format!("{name} is in force already: nothing was changed"))
            }
            Outcome::Refused(refusal) => bail!("{name}: {refusal}"),
        },
        _ => bail!("whether {name} is in force is not known: there was no quorum in time; try again"),
    }
}
