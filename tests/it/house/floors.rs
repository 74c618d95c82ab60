//! Who may import whom. A crate boundary is a wall where an import would be an incident.

use tests::workspace::Graph;

/// Crate -> what of ours it may import. A crate that is not here fails the test.
const FLOORS: &[(&str, &[&str])] = &[
    ("residency-policy", &[]),
    // What an auditor's program is made of: it knows hashes and signatures, and nothing of ours.
    ("residency-tlog", &[]),
    ("residency-control", &["residency-policy"]),
    ("residency-tokens", &["residency-policy", "residency-control"]),
    // The auditor's program: what it shared with what it checks, it could not check.
    ("residency-verify", &["residency-policy"]),
    ("rates", &["residency-policy"]),
    ("storage-keys", &["residency-policy"]),
    ("storage-keys-aws", &["residency-policy", "storage-keys"]),
    ("storage", &["residency-policy", "residency-tlog", "storage-keys"]),
    ("node-policy", &["residency-policy"]),
    (
        "node-access",
        &["residency-policy", "residency-control", "residency-tokens", "rates", "storage", "node-policy"],
    ),
    ("node-signin", &["residency-policy", "residency-control", "residency-tokens", "node-access"]),
    (
        "node-console",
        &["residency-policy", "residency-control", "residency-tlog", "storage", "node-policy", "node-access"],
    ),
    (
        "node-clinical",
        &["residency-policy", "residency-control", "storage", "node-access", "node-signin", "node-console"],
    ),
    ("router", &["residency-policy", "residency-control", "residency-tokens", "rates"]),
    (
        "node",
        &[
            "residency-policy",
            "residency-control",
            "residency-tokens",
            "residency-tlog",
            "residency-verify",
            "rates",
            "storage",
            "storage-keys",
            "storage-keys-aws",
            "node-policy",
            "node-access",
            "node-signin",
            "node-console",
            "node-clinical",
            "router",
            "loadtest-people",
            "links",
        ],
    ),
    // For clusters on one machine: it knows packets and no patient.
    ("links", &[]),
    ("loadtest-people", &["residency-policy"]),
    // Its scenarios speak HTTPS; its benchmarks of a library link that library.
    ("loadtest", &["residency-policy", "residency-control", "node-policy", "router", "loadtest-people"]),
    ("unaudited", &["node", "storage"]),
    ("disks", &[]),
    (
        "tests",
        &[
            "disks",
            "links",
            "residency-policy",
            "residency-control",
            "residency-tlog",
            "residency-verify",
            "storage",
            "storage-keys",
            "node-access",
            "node-clinical",
            "node",
            "router",
            "loadtest",
            "loadtest-people",
        ],
    ),
];

/// What a crate's own tests may import beyond its floor: the same floor, people, disks that fail, and what reads tokens.
const IN_TESTS: &[&str] = &["loadtest-people", "disks", "residency-tokens", "rates"];

/// Third-party crate (a trailing `-` means every crate that starts so) -> who may import it directly.
const WRAPPERS: &[(&str, &[&str])] = &[
    ("openraft", &["residency-control"]),
    ("redb", &["residency-control", "residency-verify", "storage-keys", "disks"]),
    ("tun-rs", &["links"]),
    ("nix", &["links"]),
    ("aws-", &["storage-keys-aws"]),
    ("cedar-policy", &["node-policy"]),
    ("tokio-postgres", &["storage", "storage-keys", "residency-verify", "node-clinical", "node", "tests"]),
    ("deadpool-postgres", &["storage", "storage-keys"]),
    ("refinery", &["storage"]),
    ("hyper-rustls", &["residency-control", "router", "node", "node-signin"]),
    ("argon2", &["node-signin", "loadtest"]),
    ("governor", &["rates"]),
    // Only in its tests.
    ("signed_note", &["residency-tlog"]),
    ("tlog_tiles", &["residency-tlog"]),
    ("jsonwebtoken", &["residency-tokens", "node-signin"]),
    ("totp-rs", &["node-signin"]),
    ("zxcvbn", &["node-signin"]),
    ("openidconnect", &["node-signin"]),
    ("webauthn-rs-core", &["node-signin"]),
    ("rustls-native-certs", &["node"]),
    ("axum", &["node-access", "node-signin", "node-console", "node-clinical", "node"]),
    // Storage: in its feature `testing`, for servers that live as long as a test.
    ("rcgen", &["node", "storage", "tests", "loadtest"]),
];

/// Crate -> what may not be linked into it, however far down.
const CLOSURES: &[(&str, &[&str])] = &[
    ("residency-policy", &["tokio", "tokio-postgres", "axum", "hyper", "rustls", "openraft", "rand"]),
    (
        "residency-tlog",
        &["tokio", "tokio-postgres", "axum", "hyper", "rustls", "openraft", "rand", "serde_json", "sha2"],
    ),
    ("residency-control", &["storage", "storage-keys", "tokio-postgres", "deadpool-postgres", "axum"]),
    ("node-policy", &["storage", "tokio", "axum", "hyper"]),
    (
        "residency-verify",
        &[
            "storage",
            "storage-keys",
            "residency-control",
            "residency-tokens",
            "router",
            "node",
            "openraft",
            "postcard",
        ],
    ),
    (
        "router",
        &[
            "storage",
            "storage-keys",
            "storage-keys-aws",
            "node",
            "node-access",
            "node-signin",
            "node-console",
            "node-clinical",
            "tokio-postgres",
            "postgres-protocol",
            "deadpool-postgres",
            "refinery",
            "aws-sdk-kms",
            "loadtest-people",
            "links",
        ],
    ),
    // For clusters on one machine: it knows packets and no patient.
    ("links", &[]),
    ("loadtest-people", &["storage", "residency-control", "tokio", "hyper"]),
];

fn covers(pattern: &str, name: &str) -> bool {
    name == pattern || (pattern.ends_with('-') && name.starts_with(pattern))
}

/// Every broken rule, as a sentence.
fn violations(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for package in &graph.ours {
        let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| name == package) else {
            found.push(format!("{package} has no floor: add it to the table"));
            continue;
        };
        for to in graph.direct(package).intersection(&graph.ours) {
            if !allowed.contains(&to.as_str()) {
                found.push(format!("{package} may not import {to}"));
            }
        }
        for to in graph.dev.get(package).into_iter().flatten().filter(|to| graph.ours.contains(*to)) {
            if !allowed.contains(&to.as_str()) && !IN_TESTS.contains(&to.as_str()) && to != package {
                found.push(format!("the tests of {package} may not import {to}"));
            }
        }
        for to in graph.direct(package) {
            for (_, wrappers) in WRAPPERS.iter().filter(|(pattern, _)| covers(pattern, &to)) {
                if !wrappers.contains(&package.as_str()) {
                    found.push(format!("{package} may not import {to}: only {wrappers:?} may"));
                }
            }
        }
    }
    for (package, forbidden) in CLOSURES {
        let linked = graph.closure(package);
        found.extend(
            forbidden.iter().filter(|f| linked.contains(**f)).map(|f| format!("{f} is linked into {package}")),
        );
    }
    found
}

#[test]
fn every_import_keeps_to_its_floor() {
    let graph = Graph::of_workspace().expect("cargo metadata");
    assert!(graph.ours.len() >= 12, "the workspace was not read: {:?}", graph.ours);
    assert!(graph.closure("router").contains("openraft"), "the closure was not read");
    assert_eq!(violations(&graph), Vec::<String>::new());
}

#[test]
fn an_import_across_floors_is_caught() {
    let real = Graph::of_workspace().expect("cargo metadata");
    for (from, to, says) in [
        ("router", "storage", "router may not import storage"),
        ("router", "storage", "tokio-postgres is linked into router"),
        ("residency-policy", "tokio", "tokio is linked into residency-policy"),
        ("node-access", "node-console", "node-access may not import node-console"),
        ("node-clinical", "aws-sdk-kms", "node-clinical may not import aws-sdk-kms"),
        ("node-policy", "storage", "node-policy may not import storage"),
        ("storage", "openraft", "storage may not import openraft"),
        ("residency-verify", "storage", "residency-verify may not import storage"),
        ("residency-verify", "residency-control", "openraft is linked into residency-verify"),
        ("loadtest-people", "storage", "loadtest-people may not import storage"),
    ] {
        let mut graph = real.clone();
        graph.normal.entry(from.to_owned()).or_default().insert(to.to_owned());
        let found = violations(&graph);
        assert!(found.iter().any(|v| v.starts_with(says)), "{from} -> {to} was not caught: {found:?}");
    }
}

#[test]
fn a_crate_without_a_floor_is_caught() {
    let mut graph = Graph::of_workspace().expect("cargo metadata");
    graph.ours.insert("utils".to_owned());
    assert!(violations(&graph).contains(&"utils has no floor: add it to the table".to_owned()));
}
