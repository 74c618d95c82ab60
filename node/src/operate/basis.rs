//! `domicile orgs record-basis` and `remove-basis`: what a marketing organisation rests on, through the running node and
//! with that node's own key.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use residency_control::system::SystemClock;
use residency_control::{Command, LegalBasis, Outcome, Recorded, Recorder};
use residency_policy::{BasisKind, Clock as _, OrgId};

use super::Came;
use super::client::Operator;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// The document that is recorded.
#[derive(Debug, Clone, Args)]
pub struct Document {
    /// What it is: `business-associate-agreement` or `authorization`.
    #[arg(long, value_name = "KIND")]
    pub kind: BasisKind,
    /// The first day on which it holds, such as `2026-11-22`.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub from: u32,
    /// The last day on which it holds.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub until: u32,
    /// SHA-256 of the signed document: 64 hexadecimal digits.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub document_sha256: [u8; 32],
}

fn day(text: &str) -> Result<u32, &'static str> {
    LegalBasis::day(text).ok_or(LegalBasis::DAY_EXPECTED)
}

fn digest(text: &str) -> Result<[u8; 32], &'static str> {
    LegalBasis::digest(text).ok_or(LegalBasis::DIGEST_EXPECTED)
}

/// Records the document, or takes back what is recorded. Repeating it is safe.
pub fn run(file: &Path, org: OrgId, document: Option<&Document>) -> Result<ExitCode, Stop> {
    let stop = |what: String, mend: &str| Stop::new(Cause::Other, what, mend);
    if document.is_some_and(|document| document.until < document.from) {
        return Err(stop("the last day is before the first".to_owned(), "give the days the other way round"));
    }
    let config = lifecycle::load(file)?;
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let changed = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        change(&operator, org, document).await
    });
    match changed {
        Ok(said) => {
            tell::line(&said);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(stop(
            format!("nothing was changed: {error:#}"),
            "the node of this configuration must run, and a quorum of the members with it",
        )),
    }
}

async fn change(operator: &Operator, org: OrgId, document: Option<&Document>) -> Result<String> {
    let Some((_, mark)) = operator.organisation(org, WITHIN).await? else {
        bail!("there is no organisation {org}")
    };
    let expected = mark.version;
    let (command, done) = match document {
        Some(&Document { kind, from, until, document_sha256 }) => {
            let basis = LegalBasis { kind, from, until, document_sha256 };
            let recorded = Recorded { by: Recorder::Operator, at: SystemClock.now().as_second() };
            (Command::RecordLegalBasis { org, basis, recorded, expected }, "is recorded")
        }
        None => (Command::RemoveLegalBasis { org, expected }, "is taken back"),
    };
    match operator.commands(&[command], WITHIN).await?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => Ok(format!("the basis of {org} {done}, as of log entry {}", proposed.index)),
            Outcome::Refused(refusal) => bail!("{refusal}"),
        },
        _ => bail!("whether it was is not known: there was no quorum in time; try again"),
    }
}
