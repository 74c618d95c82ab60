//! Are the rules here the ones in force, and do policies decide?

use std::time::Duration;

use residency_control::system::SystemClock;
use residency_policy::verify_keys::VerifyKeys;
use residency_policy::{Clock as _, Ruleset, ruleset};

use super::Report;
use crate::config::Config;
use crate::operate::client::Operator;
use crate::wiring::policies::hex;
use crate::wiring::rules as files;

const WITHIN: Duration = Duration::from_secs(2);

/// Looks at the files, and at the running node if there is one. Says whether there is.
pub(super) async fn look(config: &Config, report: &mut Report) -> bool {
    let name = "rules";
    let (rules, key) = match (files::ruleset(&config.rules.file), files::verify_keys(&config.rules.verify_key))
    {
        (Ok(rules), Ok(key)) => (rules, key),
        (rules, key) => {
            for stop in [rules.err(), key.err()].into_iter().flatten() {
                report.stop(name, stop);
            }
            return false;
        }
    };
    report.ok(name, format!("version {} in {}", rules.version(), config.rules.file.display()));
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at);
    let Ok(operator) = operator else { return false };
    let runs = in_force(&operator, &rules, &key, report).await;
    if runs {
        policies(&operator, report).await;
    }
    runs
}

/// Whether the running node decides who may do what, and by which set.
async fn policies(operator: &Operator, report: &mut Report) {
    let check = "access policies";
    let Ok(deciding) = operator.access_policies(WITHIN).await else {
        report.fail(check, "the running node does not say which decide", "see the node's log");
        return;
    };
    match (deciding.wrong, deciding.digest) {
        (None, Some(digest)) => {
            let version = deciding.version.map_or_else(
                || "those that come with the program".to_owned(),
                |version| format!("version {version}"),
            );
            report.ok(check, format!("{version} ({}) decide, {} policies", hex(digest), deciding.rules));
        }
        (wrong, _) => {
            let wrong = wrong.unwrap_or_else(|| "none decide".to_owned());
            report.fail(check, wrong, "until then this node answers 503 to whoever asks for anything");
        }
    }
}

/// Compares the rules that are in force with those here. Says whether the node runs.
async fn in_force(operator: &Operator, rules: &Ruleset, keys: &VerifyKeys, report: &mut Report) -> bool {
    match operator.policy(WITHIN).await {
        Err(_) => {
            report.ok("node", "does not run, or not at advertise_peer: what is in force was not compared");
            false
        }
        Ok(None) => {
            report.warn(
                "rules in force",
                "none: this node serves nobody",
                "have a ruleset signed and put in force",
            );
            true
        }
        Ok(Some(policy)) => {
            let signature = policy.signature.as_bytes();
            let by = |key: &[u8]| ruleset::verify(policy.version, policy.digest, signature, key);
            let signed = keys.verify(SystemClock.now(), by);
            if policy.digest != rules.digest() {
                report.fail(
                    "rules in force",
                    format!("version {} is in force and is another file than this one", policy.version),
                    "install the file that was signed: until then this node serves nobody",
                );
            } else if signed.is_err() {
                report.fail(
                    "rules in force",
                    "are not signed by a verify_key that counts now",
                    "correct [rules] verify_key",
                );
            } else {
                report.ok(
                    "rules in force",
                    format!("version {}, this file, signed by verify_key", policy.version),
                );
            }
            true
        }
    }
}
