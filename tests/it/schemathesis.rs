//! An independent program reads the live document and asks what nobody thought of: no error of ours, no answer that
//! the document does not describe.

use std::process::Command;

use tests::cluster::shared;
use tests::tools::tool;
use tests::workspace::{long, root};

struct Finding {
    passed: bool,
    said: String,
}

fn run(role: &str, more: &[&str]) -> Finding {
    let region = shared().region("ca");
    let folder = shared().home().with_file_name(format!("schemathesis-{role}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let key = &shared().credential(role, "US-CA").api_key;
    let output = Command::new(tool("schemathesis").expect("schemathesis"))
        .arg("--config-file")
        .arg(root().join("tests/schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", region.url))
        .arg("--tls-verify")
        .arg(&shared().described().ca_cert)
        .args(["--header", &format!("Authorization: Bearer {key}")])
        // A document cannot say that a cursor must be one that was given out, that a home must be this node's, or that
        // a text needs a letter in it. What is wrong with a field is refused and named; what is unknown is 404.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        // What it has cached of earlier runs would change what this one asks.
        .args(["--seed", "20261122", "--generation-database", "none", "--output-sanitize", "true"])
        .args(["--suppress-health-check", "all", "--request-timeout", "60", "--warnings", "off"])
        .args(more)
        .current_dir(&folder)
        .output()
        .expect("schemathesis runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Finding { passed: output.status.success(), said }
}

#[test]
fn no_request_is_answered_otherwise_than_the_document_says() {
    let budget = if long() { "400" } else { "20" };
    // With the purpose that a clinician names, requests come far; without, the purposes are tried out too.
    for (role, header) in [("provider", Some("Purpose-Of-Use: TREAT")), ("org_admin", None)] {
        let mut more = vec!["--max-examples", budget, "--phases", "examples,coverage,fuzzing,stateful"];
        more.extend(header.into_iter().flat_map(|h| ["--header", h]));
        let found = run(role, &more);
        assert!(found.passed, "as {role}:\n{}", found.said);
        let generated =
            found.said.lines().find_map(|l| l.trim().split_once(" generated")?.0.parse::<u32>().ok());
        assert!(generated > Some(500), "{}", found.said);
    }
}

/// The control: an answer slower than a millisecond is a finding, so findings are told and the run fails.
#[test]
fn a_finding_fails_the_run() {
    let found = run(
        "provider",
        &[
            "--max-response-time",
            "0.000001",
            "--max-examples",
            "1",
            "--phases",
            "fuzzing",
            "--include-path",
            "/v1/regions",
        ],
    );
    assert!(!found.passed, "{}", found.said);
}
