//! `domicile providers verify`: what the operator looked up of a clinician's licence, through the running node and with
//! that node's own key. It counts at every organisation's acts; what an organisation enters counts at its own alone.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use residency_control::{Command, Outcome};
use residency_policy::licensure::{
    Licence, LicenceKind, LicenceNumber, LicenceSource, LicenceStatus, Licences,
};
use residency_policy::{Jurisdiction, Npi};

use super::Came;
use super::client::Operator;
use crate::cli::ConfigFile;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// What to do with a clinician.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Note a licence that was looked up at its source. It replaces what was noted of the same number before.
    #[command(after_help = "\
It counts at every organisation that the clinician works for. Where an organisation entered the same number itself, it
counts there as far as both say so. What was noted is never taken away: note how it ended instead.

Examples:
  domicile providers verify 1234567893 --jurisdiction US-TX --number T12345 --from 2024-01-01 \\
      --until 2027-12-31 --source state-board --verified 2026-11-20 --config /etc/domicile/node.toml
  domicile providers verify 1234567893 --jurisdiction US-TX --number T12345 --from 2024-01-01 \\
      --status suspended --since 2026-11-19 --source state-board --verified 2026-11-20")]
    Verify(Looked),
}

/// What was looked up.
#[derive(Debug, Args)]
pub struct Looked {
    /// Whose: the National Provider Identifier of a clinician who is known.
    #[arg(value_name = "NPI")]
    npi: Npi,
    /// Who issued it, such as `US-TX`.
    #[arg(long, value_name = "PLACE")]
    jurisdiction: Jurisdiction,
    /// What it is: `full`, `telehealth`, or what a compact gives, such as `nlc`.
    #[arg(long, value_name = "KIND", default_value = "full")]
    kind: LicenceKind,
    /// Its number.
    #[arg(long, value_name = "NUMBER")]
    number: LicenceNumber,
    /// Its state at the board: `active`, `expired`, `suspended`, `revoked`, `surrendered` or `pending`.
    #[arg(long, value_name = "STATUS", default_value = "active")]
    status: LicenceStatus,
    /// Since which day it is in that state. Required unless it is active or pending.
    #[arg(long, value_name = "DAY")]
    since: Option<Date>,
    /// Its first day.
    #[arg(long, value_name = "DAY")]
    from: Date,
    /// Its last day, if it has one.
    #[arg(long, value_name = "DAY")]
    until: Option<Date>,
    /// Where it was looked up: `state-board`, `nursys`, `fsmb` or `compact-commission`.
    #[arg(long, value_name = "SOURCE")]
    source: LicenceSource,
    /// When it was looked up.
    #[arg(long, value_name = "DAY")]
    verified: Date,
    #[command(flatten)]
    file: ConfigFile,
}

/// Does it, and says what came of it.
pub fn run(Act::Verify(looked): &Act) -> Result<ExitCode, Stop> {
    let wrong = |why: &str| Stop::new(Cause::Other, why, "see domicile providers verify --help");
    let command = command(looked).map_err(wrong)?;
    let config = lifecycle::load(&looked.file.config)?;
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let came = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        operator.commands(&[command], WITHIN).await
    });
    let stop = |why: String| {
        let mend = "the node of this configuration must run, and a quorum of the members with it";
        Stop::new(Cause::Other, format!("the licence was not noted: {why}"), mend)
    };
    match came.map_err(|error| stop(format!("{error:#}")))?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => {
                tell::line(&format!("it counts as of log entry {}", proposed.index));
                Ok(ExitCode::SUCCESS)
            }
            Outcome::Refused(refusal) => Err(wrong(&format!("the licence was not noted: {refusal}"))),
        },
        _ => Err(stop("there was no quorum in time; try again, it may be repeated".into())),
    }
}

fn command(looked: &Looked) -> Result<Command, &'static str> {
    let undated = matches!(looked.status, LicenceStatus::Active | LicenceStatus::Pending);
    let status_since = looked.since.or(undated.then_some(looked.from));
    let licence = Licence {
        jurisdiction: looked.jurisdiction,
        kind: looked.kind,
        number: looked.number,
        status: looked.status,
        status_since: status_since.ok_or("say with --since on which day it came to that")?,
        from: looked.from,
        until: looked.until,
        source: looked.source,
        verified: looked.verified,
    };
    let licences = Licences::new(vec![licence]).map_err(|_| "its last day is before its first")?;
    Ok(Command::VerifyLicences { npi: looked.npi, licences })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;
    use residency_control::machine::{State, apply};
    use residency_control::{Languages, Organisation, Provider, ProviderOrgs, Taxonomies};
    use residency_policy::licensure::Attested;
    use residency_policy::{OrgId, OrgType, ProviderId};

    use super::*;

    /// What is typed after `domicile providers`.
    fn typed(more: &str) -> Result<Command, &'static str> {
        let line = format!(
            "providers verify 1234567893 --jurisdiction US-TX --number T12345 --from 2024-01-01 --source state-board \
             --verified 2026-11-20 {more}"
        );
        let matches =
            Act::augment_subcommands(clap::Command::new("providers")).get_matches_from(line.split_whitespace());
        let Act::Verify(looked) = Act::from_arg_matches(&matches).expect("is an act");
        command(&looked)
    }

    #[test]
    fn what_was_looked_up_counts_at_every_organisation() {
        let org = OrgId::from_bytes([1; 16]);
        let mut state = State::default();
        let organisation = Organisation {
            id: org,
            name: "Elm Street Clinic".parse().expect("a name"),
            org_type: OrgType::Provider,
            serves: ["US-TX".parse().expect("a jurisdiction")].into_iter().collect(),
            active: true,
        };
        let provider = Provider {
            id: ProviderId::from_bytes([7; 16]),
            npi: "1234567893".parse().expect("an NPI"),
            name: "Robin Sample".parse().expect("a name"),
            taxonomy: Taxonomies::new(vec!["207Q00000X".parse().expect("a code")]).expect("a list"),
            languages: Languages::new(Vec::new()).expect("a list"),
            orgs: ProviderOrgs::new(vec![org]).expect("a list"),
            licences: Attested::default(),
            collaborating: None,
            active: true,
            synthetic: true,
            version: 0,
        };
        for (command, states) in [
            (Command::PutOrganisation(organisation), vec![]),
            (Command::PutProvider { provider, expected: 0 }, vec![]),
            (typed("--until 2027-12-31").expect("a command"), vec![LicenceStatus::Active]),
            (
                typed("--status suspended --since 2026-11-19").expect("a command"),
                vec![LicenceStatus::Suspended],
            ),
        ] {
            // As they travel.
            let text = serde_json::to_string(&command).expect("encodes");
            let command = serde_json::from_str(&text).expect("reads back");
            assert_eq!(apply(&mut state, command), Outcome::Done);
            let known = state.providers().iter().next();
            let counts = known.map(|one| one.licences.at(org)).unwrap_or_default();
            assert_eq!(counts.iter().map(|one| one.status).collect::<Vec<_>>(), states);
        }
    }

    #[test]
    fn what_cannot_be_is_not_noted() {
        assert!(typed("--status revoked").is_err(), "since when?");
        assert!(typed("--until 2023-12-31").is_err(), "over before it began");
        assert!(typed("").is_ok(), "the control");
    }
}
