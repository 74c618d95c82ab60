//! Which policies decide.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use node_access::policies::InForce;
use residency_control::system::SystemClock;
use residency_policy::Clock as _;
use residency_policy::verify_keys::VerifyKey;

use super::{files, shortly};
use crate::config::Config;
use crate::exit::{Cause, Stop};
use crate::operate::Deciding;
use crate::operate::client::Operator;
use crate::wiring::policies::{Installed, hex};
use crate::wiring::rules::verify_keys;
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// Shows what decides at the running node of a configuration, or else the set of this program.
pub(super) fn run(config: Option<&Path>) -> Result<ExitCode, Stop> {
    let Some(config) = config else {
        let shipped = files::shipped()?;
        let rules = shipped.rules().count();
        tell::line(&format!("this program comes with {}, {rules} policies", hex(shipped.digest())));
        return Ok(ExitCode::SUCCESS);
    };
    let deciding = asked(&lifecycle::load(config)?)?;
    tell::line(&in_words(&deciding));
    Ok(if deciding.wrong.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the running node of a configuration says: what is in force, and what decides there.
fn asked(config: &Config) -> Result<Deciding, Stop> {
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let asked = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        operator.access_policies(WITHIN).await
    });
    asked.map_err(|e| {
        let what = format!("what decides is not known: {e:#}");
        Stop::new(Cause::Other, what, "the node of this configuration must run")
    })
}

/// Shows the keys whose signatures count at the node of a configuration, and which do now.
pub(super) fn keys(config: &Path) -> Result<ExitCode, Stop> {
    let keys = verify_keys(&lifecycle::load(config)?.rules.verify_key)?;
    let now = SystemClock.now();
    for key in keys.iter() {
        tell::line(&standing(key, now));
    }
    Ok(ExitCode::SUCCESS)
}

fn standing(key: &VerifyKey, now: Timestamp) -> String {
    let words = if key.counts(now) {
        "counts      "
    } else if key.not_after.is_some_and(|end| end <= now) {
        "ended       "
    } else {
        "not yet     "
    };
    format!("{words}{key}")
}

/// The set in force for the running node of a configuration, read and proven as the node does; or else the set of this
/// program.
pub(super) fn in_force(config: Option<&Path>) -> Result<Arc<InForce>, Stop> {
    let Some(config) = config else {
        return Ok(Arc::new(InForce { version: None, loaded: files::shipped()? }));
    };
    let config = lifecycle::load(config)?;
    let said = asked(&config)?.said;
    Installed::of(&config.rules, config.region.cluster, Arc::new(SystemClock))?.open(said.as_ref()).map_err(
        |e| {
            let what = format!("what is in force cannot be read here: {e}");
            Stop::new(Cause::Rules, what, "install it here: `domicile policy install`")
        },
    )
}

/// A set in a few words.
pub(super) fn called(set: &InForce) -> String {
    let of_the_program = || "the set that comes with the program".to_owned();
    set.version.map_or_else(of_the_program, |version| shortly(version, set.loaded.digest()))
}

/// Writes the access matrix, with what the policies of this program cite.
pub(super) fn matrix() -> Result<ExitCode, Stop> {
    tell::line(&node_policy::access_document(&files::shipped()?));
    Ok(ExitCode::SUCCESS)
}

/// Writes which fields each role is shown.
pub(super) fn fields() -> ExitCode {
    tell::line(&node_policy::fields_document());
    ExitCode::SUCCESS
}

fn in_words(deciding: &Deciding) -> String {
    let said = deciding.said.as_ref().map_or_else(
        || "the set that comes with the program".to_owned(),
        |said| shortly(said.version, said.digest),
    );
    match (&deciding.wrong, deciding.digest) {
        (Some(wrong), _) => format!("in force: {said}\ndecides:  nothing: {wrong}"),
        (None, Some(digest)) => {
            let rules = deciding.rules;
            let version = deciding.version.map_or_else(|| hex(digest), |version| shortly(version, digest));
            format!("in force: {said}\ndecides:  {version}, {rules} policies")
        }
        (None, None) => format!("in force: {said}\ndecides:  nothing"),
    }
}

#[cfg(test)]
mod tests {
    use residency_policy::ruleset::Digest;

    use super::*;

    #[test]
    fn a_key_is_shown_with_its_dates_and_whether_it_counts() {
        let now: Timestamp = "2026-12-31T12:00:00Z".parse().expect("an instant");
        let at = |text: &str| text.parse().ok();
        let key = |not_before, not_after| VerifyKey { public: [0xab; 32], not_before, not_after };
        let (before, after) = (at("2026-12-31T12:00:00Z"), at("2026-12-31T12:00:01Z"));
        assert_eq!(standing(&key(None, None), now), format!("counts      {}", "ab".repeat(32)));
        assert!(standing(&key(before, after), now).starts_with("counts "));
        assert!(standing(&key(None, before), now).starts_with("ended "));
        let told = standing(&key(after, None), now);
        assert!(told.starts_with("not yet ") && told.ends_with(" not-before=2026-12-31T12:00:01Z"), "{told}");
    }

    #[test]
    fn what_is_in_force_and_what_decides_are_told_apart() {
        let digest = Digest([0xab; 32]);
        let shipped = Deciding { said: None, version: None, digest: Some(digest), rules: 190, wrong: None };
        let told = in_words(&shipped);
        assert!(told.contains("the set that comes with the program"), "{told}");
        assert!(told.contains("abababababab") && told.contains("190 policies"), "{told}");
        let none = Deciding { digest: None, rules: 0, wrong: Some("not signed".to_owned()), ..shipped };
        assert!(in_words(&none).contains("decides:  nothing: not signed"));
    }
}
