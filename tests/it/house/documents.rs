//! What the documents and the programs' own words name is there: files, commands, alarms.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tests::cluster::run;
use tests::workspace::{CODE, files, root, sources};

/// Every document, by its path from the root.
fn documents() -> Vec<(PathBuf, String)> {
    let top = ["README.md", "ARCHITECTURE.md"].map(|name| root().join(name));
    let below = files(&[CODE, &["deploy"]].concat(), ".md");
    top.into_iter()
        .chain(below)
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a document");
            (path.strip_prefix(root()).expect("within").to_owned(), text)
        })
        .collect()
}

/// What stands between two marks, on one line.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.lines()
        .flat_map(move |line| line.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0)))
}

/// Files that a document links to, or names in full, and that are not there.
fn missing(document: &Path, text: &str) -> Vec<String> {
    let here = root().join(document.parent().unwrap_or(Path::new("")));
    let links = between(text, "](", ')')
        .filter(|link| !link.starts_with("http") && !link.starts_with('#'))
        .map(|link| here.join(link.split('#').next().unwrap_or(link)));
    let within = |named: &&str| {
        let (first, rest) = named.split_once('/').unwrap_or((named, ""));
        (CODE.contains(&first) || first == "deploy")
            && !rest.is_empty()
            && named.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
    };
    let named = text.split('`').skip(1).step_by(2).filter(within).map(|named| root().join(named));
    links.chain(named).filter(|path| !path.exists()).map(|path| path.display().to_string()).collect()
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let mut gone: Vec<String> = documents().iter().flat_map(|(path, text)| missing(path, text)).collect();
    // Programs send people to runbooks.
    for source in sources() {
        let named = source.text.split(|c: char| c.is_whitespace() || "\"'`()".contains(c));
        let named = named
            .filter(|word| word.starts_with("deploy/") && Path::new(word).extension() == Some("md".as_ref()));
        gone.extend(named.filter(|word| !root().join(word).exists()).map(ToOwned::to_owned));
    }
    assert_eq!(gone, Vec::<String>::new());
    // The control.
    let planted =
        "See [this](ARCHITECTURE.md), [that](gone.md#part) and `node/src/gone.rs`, not `node/src/lib.rs`.";
    assert_eq!(missing(Path::new("README.md"), planted).len(), 2);
}

/// The commands of our own that a text shows, as words: up to the first that is no name of a command.
fn commands(text: &str) -> BTreeSet<Vec<String>> {
    let name = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(|c| c.is_ascii_lowercase())
    };
    let mut found = BTreeSet::new();
    for shown in text.split('`').chain(text.lines()) {
        let Some(rest) = shown.trim().strip_prefix("domicile ") else { continue };
        let words: Vec<String> = rest.split_whitespace().take_while(name).map(ToOwned::to_owned).collect();
        if !words.is_empty() {
            found.insert(words);
        }
    }
    found
}

fn unknown(words: &[String]) -> bool {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.push("--help");
    run(&words).is_err()
}

#[test]
fn every_command_that_a_document_shows_is_one() {
    let shown: BTreeSet<Vec<String>> = documents().iter().flat_map(|(_, text)| commands(text)).collect();
    assert!(shown.contains(["cluster", "status"].map(ToOwned::to_owned).as_slice()), "{shown:?}");
    let wrong: Vec<_> = shown.iter().filter(|words| unknown(words)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(unknown(&["cluster".to_owned(), "gone".to_owned()]), "the control");
}

/// The alarms that a text names.
fn alarms(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    // A burn-rate alarm has its window at the end of its name, and one line is for all windows.
    let name = |word: &str| word.split("Burn").next().unwrap_or(word).to_owned();
    words.filter(|word| word.starts_with("Domicile") && word.len() > "Domicile".len()).map(name).collect()
}

#[test]
fn every_alarm_has_its_line_in_the_runbook() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file");
    let rules = read("deploy/prometheus/rules.yml");
    let declared: String = rules.lines().filter(|line| line.contains("- alert:")).collect();
    let (declared, told) = (alarms(&declared), alarms(&read("deploy/runbooks/alerts.md")));
    assert!(declared.len() > 8, "{declared:?}");
    assert_eq!(declared, told);
    assert_ne!(alarms("- alert: DomicileMadeUp"), BTreeSet::new(), "the control");
}
