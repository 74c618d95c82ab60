//! The sample configurations are ones that the programs take, and a typing error in one is named.

use std::path::PathBuf;

use tests::workspace::root;

fn sample(name: &str) -> (PathBuf, String) {
    let path = root().join("deploy/config").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (path, text)
}

/// Reads a text as if it were the sample of a node or of a router.
fn read(name: &str, text: &str) -> Result<(), String> {
    let (path, _) = sample(name);
    match name {
        "node.toml" => node::config::Config::parse(text, &path).map(|_| ()).map_err(|e| e.to_string()),
        _ => router::config::Config::parse(text, &path).map(|_| ()).map_err(|e| e.to_string()),
    }
}

/// What a reader may take the comment sign away from: `# name = value`, without words after it.
fn uncommented(text: &str) -> String {
    let setting = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let (key, value) = rest.split_once(" = ")?;
        let bare = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        (bare && !value.is_empty()).then(|| rest.to_owned())
    };
    text.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned())).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_sample_is_taken_as_it_is_and_with_its_defaults_written_out() {
    for name in ["node.toml", "router.toml"] {
        let (_, text) = sample(name);
        read(name, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
        read(name, &uncommented(&text)).unwrap_or_else(|e| panic!("{name} with its defaults written out: {e}"));
    }
}

#[test]
fn an_unknown_key_is_refused_and_named() {
    for name in ["node.toml", "router.toml"] {
        let (_, text) = sample(name);
        let at_top = format!("unheard_of = 1\n{text}");
        assert!(read(name, &at_top).expect_err("it is refused").contains("unheard_of"));
        let line = text.lines().find(|l| l.starts_with("[tls]")).expect("a section").to_owned();
        let in_a_section = text.replacen(&line, &format!("{line}\nunheard_of = 1"), 1);
        assert_ne!(in_a_section, text);
        assert!(read(name, &in_a_section).expect_err("it is refused").contains("unheard_of"));
    }
}

#[test]
fn no_sample_holds_a_secret() {
    for path in tests::workspace::files(&["deploy/config"], ".toml") {
        let text = std::fs::read_to_string(&path).expect("a file");
        for line in text.lines().filter(|l| !l.trim_start().starts_with('#')) {
            let key = line.split('=').next().unwrap_or_default();
            let secret =
                ["password", "secret", "token"].iter().any(|w| key.contains(w)) && !key.contains("file");
            assert!(!secret, "{}: {line}", path.display());
        }
        assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
    }
}
