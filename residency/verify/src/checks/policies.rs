//! Whatever rules and access policies are in force were signed by whoever may put them in force.

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

use super::directory;
use crate::directory::PolicyVersion;
use crate::inventory::Inventory;
use crate::look::Seen;
use crate::verdict::Verdict;

const QUESTION: &str = "Is every version of rules and policies signed by the known key?";

/// What is signed: the context, then the version and the digest.
fn signed(context: &str, policy: &PolicyVersion) -> Vec<u8> {
    let mut bytes = context.as_bytes().to_vec();
    bytes.extend_from_slice(&policy.version.to_be_bytes());
    bytes.extend_from_slice(&policy.digest);
    bytes
}

/// Verifies every signature in the log and the snapshot.
pub fn check(seen: &[Seen], inventory: &Inventory) -> Verdict {
    let none = |why: &str| Verdict::of("policies", QUESTION, Vec::new(), Vec::new(), vec![why.to_owned()]);
    let Some((_, directory)) = directory(seen) else {
        return none("no member's log and snapshot could be read wholly");
    };
    let key = inventory
        .policy_key
        .as_ref()
        .and_then(|key| data_encoding::HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok());
    let Some(key) = key.filter(|key| key.len() == 32) else {
        return none("the inventory has no policy_key of 64 hexadecimal digits");
    };
    let key = UnparsedPublicKey::new(&ED25519, key);
    let (mut looked_at, mut evidence, mut open) = (Vec::new(), Vec::new(), Vec::new());
    if inventory.key_of_the_cluster {
        looked_at.push("the key is the one in the cluster's own configuration".to_owned());
    }
    for policy in &directory.rules {
        looked_at.push(format!("rules, version {}", policy.version));
        if key.verify(&signed("domicile ruleset v1\n", policy), &policy.signature).is_err() {
            evidence.push(format!("unsigned policy: rules, version {}", policy.version));
        }
    }
    let cluster = seen.iter().find_map(|one| one.held.as_ref().ok()).map(|held| held.stamp.0.clone());
    for policy in &directory.access {
        let what = format!("access policies, version {}", policy.version);
        let Some(cluster) = &cluster else {
            open.push(format!("{what}: no database says which cluster this is"));
            continue;
        };
        let context = format!("domicile access policies v2\n{cluster}\n");
        if key.verify(&signed(&context, policy), &policy.signature).is_err() {
            evidence.push(format!("unsigned policy: {what}"));
        }
        looked_at.push(what);
    }
    match (&inventory.rules_file, directory.rules.last()) {
        (Some(file), Some(policy)) => match std::fs::read(file) {
            Ok(bytes) if digest(&SHA256, &bytes).as_ref() == policy.digest => {}
            Ok(_) => evidence
                .push(format!("changed policy: the file is not the rules of version {}", policy.version)),
            Err(error) => open.push(format!("the file of the rules: {error}")),
        },
        (None, Some(_)) => open.push("the inventory names no rules_file to compare".into()),
        (_, None) => evidence.push("unsigned policy: no rules are in force".into()),
    }
    Verdict::of("policies", QUESTION, looked_at, evidence, open)
}
