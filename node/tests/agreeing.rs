//! Two nodes never disagree about a version of the access policies that both acknowledge: whatever was proposed and by
//! whom, how far each has come in the log, and which sets lie on it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use node::config::RulesSection;
use node::wiring::policies::Installed;
use node_access::policies::InForce;
use node_policy::{Action, Entity, Facts, Request, SCHEMA, Source, Sources, decide};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use residency_control::machine::{State, apply};
use residency_control::system::SystemClock;
use residency_control::{Command, PolicyVersion, Signature64};
use residency_policy::{Label, Role, access_policies};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// Who may do what in each of the sets: they differ in every decision.
const ROLES: [&str; 3] = ["provider", "auditor", "org_admin"];

fn set(number: usize) -> Sources {
    let text = format!(
        "@id(\"only\") @citation(\"none\") @shape(\"full\")\n\
         permit (principal == Role::\"{}\", action, resource);",
        ROLES[number]
    );
    let policies = vec![Source { name: "only.cedar".to_owned(), text }];
    Sources { schema: SCHEMA.into(), policies }
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
}

fn cluster() -> Label {
    "example".parse().expect("a label")
}

/// What somebody proposed: a version, a set, and who signed it.
#[derive(Debug, Clone)]
struct Proposal {
    version: u64,
    set: usize,
    signer: u8,
}

impl Proposal {
    fn command(&self) -> Command {
        let digest = set(self.set).digest();
        let signature = key(self.signer).sign(&access_policies::signed_bytes(cluster(), self.version, digest));
        let signature = Signature64::from_bytes(signature.as_ref().try_into().expect("64 bytes"));
        Command::PutAccessPolicies(PolicyVersion { version: self.version, digest, signature })
    }
}

/// A node: how much of the log it has, and which sets lie on it.
#[derive(Debug, Clone)]
struct Standing {
    applied: usize,
    installed: Vec<bool>,
    /// A set whose file holds another one.
    swapped: Option<usize>,
}

fn decides(at: &Path, standing: &Standing, log: &[Proposal]) -> Option<Arc<InForce>> {
    let mut state = State::default();
    for proposal in log.iter().take(standing.applied) {
        let _ = apply(&mut state, proposal.command());
    }
    let folder = at.join("policies");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let verify_key = at.join("policy.pub");
    fs::write(&verify_key, data_encoding::HEXLOWER.encode(key(1).public_key().as_ref())).expect("writes");
    let section = RulesSection { file: at.join("rules.toml"), verify_key, policies: Some(folder) };
    let here = Installed::of(&section, cluster(), Arc::new(SystemClock)).expect("the key is one");
    for (number, there) in standing.installed.iter().enumerate().filter(|(_, there)| **there) {
        let path = here.install(&set(number)).expect("is installed");
        if *there && standing.swapped == Some(number) {
            let other = set((number + 1) % ROLES.len());
            fs::write(path, serde_json::to_vec(&other).expect("it serialises")).expect("writes");
        }
    }
    // The shipped set has no version to agree about.
    state.access_policies().and_then(|said| here.open(Some(said)).ok())
}

/// Whether two nodes say the same version and are not the same.
fn disagree(one: &InForce, other: &InForce) -> bool {
    let ask = |set: &InForce, role| {
        let home = "US-TX".parse().expect("a jurisdiction");
        let facts = Facts::least(home, 20_261_122);
        decide(&set.loaded, &Request::of(role, Action::List, Entity::Region, facts)).verdict
    };
    let differ = |role: &&Role| ask(one, **role) != ask(other, **role);
    one.version == other.version
        && (one.loaded.digest() != other.loaded.digest() || Role::ALL.iter().any(|role| differ(&role)))
}

fn histories() -> impl Strategy<Value = (Vec<Proposal>, Standing, Standing)> {
    // Mostly versions that follow one another, so that most histories get somewhere.
    let proposal = (1..4_u64, 0..ROLES.len(), select(vec![1_u8, 1, 1, 2]))
        .prop_map(|(version, set, signer)| Proposal { version, set, signer });
    let log = prop::collection::vec(proposal, 2..10);
    let standing = || {
        let installed = prop::collection::vec(prop::bool::weighted(0.9), ROLES.len());
        (2..10_usize, installed, prop::option::weighted(0.2, 0..ROLES.len()))
            .prop_map(|(applied, installed, swapped)| Standing { applied, installed, swapped })
    };
    (log, standing(), standing())
}

#[test]
fn nodes_that_acknowledge_the_same_version_decide_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let both = OnceLock::new();
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    runner
        .run(&histories(), |(log, one, other)| {
            let (one, other) = (decides(dir.path(), &one, &log), decides(dir.path(), &other, &log));
            if let (Some(one), Some(other)) = (&one, &other) {
                prop_assert!(!disagree(one, other), "version {:?}", one.version);
                if one.version == other.version {
                    let _ = both.set(());
                }
            }
            Ok(())
        })
        .expect("they agree");
    assert!(both.get().is_some(), "no two ever acknowledged the same version: nothing was tested");
}

#[test]
fn a_seeded_disagreement_is_seen() {
    let in_force = |version, number| {
        let loaded = set(number).load().expect("it loads");
        InForce { version: Some(version), loaded }
    };
    assert!(disagree(&in_force(1, 0), &in_force(1, 1)));
    assert!(!disagree(&in_force(1, 0), &in_force(1, 0)), "the control");
    assert!(!disagree(&in_force(1, 0), &in_force(2, 1)), "two versions may differ");
}
