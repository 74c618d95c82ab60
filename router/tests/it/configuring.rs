//! The one file that the router is told by.

use std::path::Path;

use residency_policy::NodeId;
use router::config::Config;

const SAMPLE: &str = include_str!("../../../deploy/config/router.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/domicile/router.toml")).map_err(|error| error.to_string())
}

#[test]
fn the_sample_is_read() {
    let config = parse(SAMPLE).expect("the sample is a configuration");
    assert_eq!(config.peers.len(), 3);
    assert_eq!(config.id, NodeId(10));
}

#[test]
fn the_sample_shows_every_key_with_its_default() {
    // Uncommented, the defaults must read, and must be what is taken when they are left out.
    let shown = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(k, _)| !k.contains(' ')) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let (shown, left_out) = (parse(&shown).expect("reads"), parse(SAMPLE).expect("reads"));
    assert_eq!(shown.bounds, left_out.bounds);
    assert_eq!(shown.drain, left_out.drain);
    assert_eq!(shown.level, left_out.level);
}

#[test]
fn a_relative_path_starts_at_the_folder_of_the_file() {
    let config = parse(&SAMPLE.replace("/etc/domicile/rules/us.toml", "rules/us.toml")).expect("reads");
    assert_eq!(config.rules.file, Path::new("/etc/domicile/rules/us.toml"));
}

#[test]
fn an_error_names_the_key_and_what_would_be_right() {
    for (from, to, says) in [
        ("listen = \"0.0.0.0:8443\"", "lisen = \"0.0.0.0:8443\"", "unknown field `lisen`"),
        ("listen = \"0.0.0.0:8443\"", "", "missing field `listen`"),
        ("\"0.0.0.0:8443\"", "\"everywhere\"", "socket address"),
        ("ingress = \"US-CA\"", "ingress = \"California\"", "ISO 3166-2 code such as US-TX"),
        ("id = 10", "id = 0", "control.id must be 1 or more"),
        ("id = 2", "id = 1", "control.peers.id must be there once only"),
        ("id = 2", "id = 10", "control.peers.id must not be"),
        ("ca.clinic.example:7443", "CA Clinic", "control.peers.at must be host:port"),
        ("127.0.0.1:9464", "0.0.0.0:9464", "metrics.listen must be a loopback"),
        ("# answer_ms = 30000", "answer_ms = 0", "timeouts.answer_ms must be between"),
        ("# header_bytes = 16384", "header_bytes = 1", "limits.header_bytes must be between"),
        ("# level = \"info\"", "level = \"trace\"", "unknown variant `trace`"),
    ] {
        assert!(SAMPLE.contains(from), "the sample has no {from}");
        let error = parse(&SAMPLE.replacen(from, to, 1)).expect_err("is refused");
        assert!(error.contains(says), "{error} does not say {says}");
    }
}
