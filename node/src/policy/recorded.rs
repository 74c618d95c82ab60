//! What a node was really asked, and what other policies would decide of it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use node_policy::{Class, Loaded, differences};

use super::{asked, files, on_one_line, show};
use crate::config::Config;
use crate::exit::{Cause, Stop};
use crate::operate::client::Operator;
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// Where a recorded set is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// From a file that `domicile policy recorded` has written.
    File(PathBuf),
    /// From the running node of the configuration.
    Node,
}

impl FromStr for Taken {
    type Err = Infallible;

    /// Where no file is named, the node is asked.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.is_empty() { Self::Node } else { Self::File(text.into()) })
    }
}

/// Writes what the running node of a configuration was asked, one class a line.
pub(super) fn write(config: &Path) -> Result<ExitCode, Stop> {
    for class in of_node(&lifecycle::load(config)?)? {
        let line = serde_json::to_string(&class).map_err(|e| unknown(&e.to_string()))?;
        tell::line(&line);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints which recorded classes a folder would decide otherwise than what is in force for the node of a configuration, or else
/// than the set of this program.
pub(super) fn plan(folder: &Path, from: &Taken, config: Option<&Path>) -> Result<ExitCode, Stop> {
    let new = files::folder(folder)?;
    let classes = match (from, config) {
        (Taken::File(file), _) => files::classes(file)?,
        (Taken::Node, Some(config)) => of_node(&lifecycle::load(config)?)?,
        (Taken::Node, None) => {
            let how = "name the node with --config, or a file after --recorded";
            return Err(Stop::new(Cause::Other, "no node is named whose decisions to take".to_owned(), how));
        }
    };
    let in_force = show::in_force(config)?;
    tell::line(&format!("now: {}; then: {}", show::called(&in_force), folder.display()));
    for line in compared(&in_force.loaded, &new, &classes) {
        tell::line(&line);
    }
    Ok(ExitCode::SUCCESS)
}

/// What would be decided otherwise, how often it was asked and by which rules; last, how much of the whole that is.
fn compared(old: &Loaded, new: &Loaded, classes: &[Class]) -> Vec<String> {
    let (mut lines, mut differ, mut times_differ) = (Vec::new(), 0_usize, 0_u64);
    let (mut kinds, mut times_all, mut left_out) = (0_usize, 0_u64, 0_u64);
    for class in classes {
        let Some(request) = class.request else {
            left_out = left_out.saturating_add(class.times);
            continue;
        };
        kinds += 1;
        times_all = times_all.saturating_add(class.times);
        for difference in differences(old, new, [request]) {
            differ += 1;
            times_differ = times_differ.saturating_add(class.times);
            lines.push(asked(&request));
            lines.push(format!("  asked {} times; {}", class.times, situation(class)));
            lines.push(format!("  now   {}", on_one_line(&difference.now)));
            lines.push(format!("  then  {}", on_one_line(&difference.then)));
        }
    }
    let of = format!("{differ} of {kinds} recorded classes would be answered otherwise");
    lines.push(format!("{of}: {times_differ} of {times_all} decisions"));
    if left_out > 0 {
        lines.push(format!("{left_out} more decisions were of classes that the node had no room for"));
    }
    lines
}

/// The facts, in the words in which a file has them.
fn situation(class: &Class) -> String {
    class.request.and_then(|request| serde_json::to_string(&request.facts).ok()).unwrap_or_default()
}

fn of_node(config: &Config) -> Result<Vec<Class>, Stop> {
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let asked = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        operator.decisions(WITHIN).await
    });
    asked.map_err(|e| unknown(&format!("{e:#}")))
}

fn unknown(why: &str) -> Stop {
    let what = format!("what was decided is not known: {why}");
    Stop::new(Cause::Other, what, "the node of this configuration must run")
}

#[cfg(test)]
mod tests {
    use node_policy::{Action, Entity, Facts, Recorded, Relationship, Request, Sources};
    use residency_policy::{Purpose, Role};

    use super::*;

    /// Two things that a clinic does all day.
    fn done() -> Vec<Class> {
        let home = "US-TX".parse().expect("a jurisdiction");
        let facts = Facts {
            organisation: Some(Role::Provider.usual_kind()),
            purpose: Some(Purpose::Treat),
            relationship: Relationship::Organisation,
            ..Facts::least(home, 20_261_122)
        };
        let recorded = Recorded::new(2);
        for entity in [Entity::Patient, Entity::Patient, Entity::Encounter, Entity::Consent] {
            recorded.note(&Request::of(Role::Provider, Action::Read, entity, facts));
        }
        recorded.classes()
    }

    #[test]
    fn a_change_that_turns_a_recorded_class_shows_with_its_count_and_its_rules_and_others_show_nothing() {
        let shipped = Loaded::shipped().expect("it loads");
        let with = |entity: &str, action: &str| {
            let mut sources = Sources::shipped();
            let text = format!(
                "\n@id(\"seeded\")\n@citation(\"a test\")\n@reason(\"not-permitted\")\n\
                 forbid (principal == Role::\"provider\", action == Action::\"{action}\", resource is {entity});\n"
            );
            sources.policies.last_mut().expect("a file").text.push_str(&text);
            sources.load().expect("it loads")
        };
        let told = compared(&shipped, &with("Patient", "read"), &done());
        assert_eq!(told[0], "provider read patient for TREAT as organisation");
        assert!(
            told[1].starts_with("  asked 2 times; {") && told[1].contains("\"home\":\"US-TX\""),
            "{told:?}"
        );
        assert!(told[2].starts_with("  now   allow") && told[2].contains("[patient-provider:"), "{told:?}");
        assert!(told[3].starts_with("  then  refuse not-permitted") && told[3].contains("[seeded: a test]"));
        assert_eq!(told[4], "1 of 2 recorded classes would be answered otherwise: 2 of 3 decisions");
        assert_eq!(told[5], "1 more decisions were of classes that the node had no room for");
        // The control: other policies that say nothing of what is done.
        let told = compared(&shipped, &with("Patient", "delete"), &done());
        assert_eq!(told[0], "0 of 2 recorded classes would be answered otherwise: 0 of 3 decisions");
    }

    #[test]
    fn a_recorded_set_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().join("decided.jsonl");
        let lines: Vec<String> =
            done().iter().map(|c| serde_json::to_string(c).expect("it serialises")).collect();
        std::fs::write(&at, lines.join("\n")).expect("writes");
        assert_eq!(files::classes(&at).map_err(|stop| stop.what), Ok(done()));
        std::fs::write(&at, "{\"times\": 1, \"request\": null, \"patient\": \"x\"}").expect("writes");
        let what = files::classes(&at).map_err(|stop| stop.what).expect_err("it holds what no class has");
        assert!(what.contains("decided.jsonl:1:"), "{what}");
    }
}
