//! What is accepted and what is refused, and that the refusal says where and why.

use std::path::Path;

use super::*;

const SAMPLE: &str = include_str!("../../../deploy/config/node.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/domicile/node.toml")).map_err(|e| e.to_string())
}

#[test]
fn the_sample_is_accepted_and_its_paths_start_at_its_folder() {
    let config = parse(SAMPLE).expect("is accepted");
    assert_eq!(config.tls.key, Path::new("/etc/domicile/tls/public.key"));
    assert_eq!(config.control.dir, Path::new("/var/lib/domicile/control"), "absolute paths stay");
    assert_eq!(config.control.voters().len(), 3);
    assert_eq!(config.control.learners().len(), 1);
    assert_eq!(config.control.timings, residency_control::Timings::default(), "the sample shows the defaults");
}

#[test]
fn the_sample_shows_the_default_limits() {
    let shown = format!("{:?}", parse(SAMPLE).expect("is accepted").limits);
    assert_eq!(shown, format!("{:?}", LimitsSection::default()));
    assert_eq!(parse(SAMPLE).expect("is accepted").rates, rates::Quotas::default());
}

#[test]
fn an_unknown_key_is_refused_in_every_section() {
    for section in [
        "region", "listen", "tls", "peer", "control", "database", "migrate", "keys.kms", "rules", "limits",
        "rates", "log",
    ] {
        let heading = format!("[{section}]");
        let wrong = SAMPLE.replacen(&heading, &format!("{heading}\nnonsense = 1\n"), 1);
        assert_ne!(wrong, SAMPLE, "the sample has [{section}]");
        let error = parse(&wrong).expect_err(section);
        assert!(error.contains("nonsense"), "[{section}]: {error}");
    }
    let error = parse(&format!("{SAMPLE}\n[nonsense]\n")).expect_err("is refused");
    assert!(error.contains("nonsense"), "{error}");
}

#[test]
fn a_wrong_value_is_refused_with_what_would_be_right() {
    for (from, to, says) in [
        ("jurisdiction = \"US-TX\"", "jurisdiction = \"Texas\"", "US-TX"),
        ("cluster = \"example\"", "cluster = \"My Cluster\"", "label"),
        ("public = \"0.0.0.0:8443\"", "public = \"everywhere\"", "socket address"),
        ("advertise_peer = \"tx.internal.example.com:7443\"", "advertise_peer = \"tx\"", "host:port"),
        ("kind = \"aws\"", "kind = \"vault\"", "vault"),
        ("node = 3", "node = 4", "does not name this node itself"),
        ("votes = false", "votes = true", "may not vote"),
        ("heartbeat_ms = 250", "heartbeat_ms = 500", "heartbeat_ms"),
        ("connections_max = 20\n", "connections_max = 1\n", "connections_max"),
        ("worker_threads = 2", "worker_threads = 0", "worker_threads"),
        ("node/2\"", "node/1\"", "same node number"),
    ] {
        let wrong = SAMPLE.replacen(from, to, 1);
        assert_ne!(wrong, SAMPLE, "the sample has {from}");
        let error = parse(&wrong).expect_err(to);
        assert!(error.contains(says), "{to}: {error} does not say {says}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/node.toml")).expect_err("is refused").to_string();
    assert!(error.contains("/nowhere/node.toml"), "{error}");
}
