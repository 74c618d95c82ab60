//! What a compliance document says of the program is shown by tests that are there, or is what the program says.

use std::path::Path;

use tests::cluster::run;
use tests::workspace::{files, root};

const ASVS: &str = "deploy/compliance/asvs.md";

/// The documents that the program writes, and by which command of `domicile policy`.
const WRITTEN: [(&str, &str); 2] =
    [("matrix", "deploy/compliance/access.md"), ("fields", "deploy/compliance/fields_per_role.md")];

/// Every compliance document, by its path from the root.
fn documents() -> Vec<(String, String)> {
    let read = |path: &Path| {
        let name = path.strip_prefix(root()).expect("within").display().to_string();
        (name, std::fs::read_to_string(path).expect("a document"))
    };
    files(&["deploy/compliance"], ".md").iter().map(|path| read(path)).collect()
}

/// The tests that a text names: file and function.
fn named(text: &str) -> Vec<(&str, &str)> {
    let shown = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let pairs = shown.filter_map(|words| words.split_once("::"));
    pairs.filter(|(file, _)| Path::new(file).extension() == Some("rs".as_ref())).collect()
}

/// Whether a test of this name is in a source.
fn has(source: &str, name: &str) -> bool {
    let begins = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        let is = line.strip_prefix("async ").unwrap_or(line).starts_with(&begins);
        is && above.any(|line| line.contains("test"))
    })
}

/// The tests that a text names and that are not there.
fn gone(text: &str) -> Vec<String> {
    let there = |file: &str, name: &str| {
        std::fs::read_to_string(root().join(file)).is_ok_and(|source| has(&source, name))
    };
    let missing = named(text).into_iter().filter(|(file, name)| !there(file, name));
    missing.map(|(file, name)| format!("{file}::{name}")).collect()
}

/// What is said of an item.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Holds,
    NotYet,
    DoesNotApply,
    /// It is said to hold, and nothing shows it.
    Unshown,
}

/// The items of the standard in a text, by their numbers.
fn items(text: &str) -> Vec<(&str, Said)> {
    let number = |cell: &str| cell.split('.').filter(|part| part.parse::<u8>().is_ok()).count() == 3;
    let rows = text.lines().map(|line| (line, line.split('|').map(str::trim).collect::<Vec<_>>()));
    rows.filter(|(_, cells)| cells.get(1).is_some_and(|cell| number(cell)))
        .map(|(line, cells)| {
            assert_eq!(cells.len(), 7, "five columns: {line}");
            let said = match cells[4] {
                here if here.starts_with("not yet: ") => Said::NotYet,
                here if here.starts_with("does not apply: ") => Said::DoesNotApply,
                _ if named(cells[5]).is_empty() => Said::Unshown,
                _ => Said::Holds,
            };
            (cells[1], said)
        })
        .collect()
}

#[test]
fn every_test_that_a_compliance_document_names_is_there() {
    let documents = documents();
    assert!(documents.iter().any(|(name, _)| name == ASVS), "{documents:?}");
    let found: Vec<String> = documents.iter().flat_map(|(_, text)| gone(text)).collect();
    assert_eq!(found, Vec::<String>::new());
    let all = documents.iter().map(|(_, text)| named(text).len()).sum::<usize>();
    assert!(all >= 40, "only {all} tests are named");
}

/// Those that are not what the program writes, by the text that each is read as.
fn stale(read: impl Fn(&str) -> String) -> Vec<String> {
    let differs = |act: &str, file: &str| read(file) != run(&["policy", act]).expect("the document");
    let old = WRITTEN.into_iter().filter(|(act, file)| differs(act, file));
    old.map(|(act, file)| format!("{file}: `domicile policy {act} > {file}`")).collect()
}

#[test]
fn the_checked_in_documents_of_access_are_what_the_program_writes() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("a document");
    assert_eq!(stale(read), Vec::<String>::new());
    // The control: a role more.
    let widened = |file: &str| read(file).replacen("\n## provider\n", "\n## anybody\n", 1);
    assert_eq!(stale(widened).len(), WRITTEN.len());
}

#[test]
fn every_item_has_a_test_or_a_reason_and_the_counts_are_right() {
    let text = std::fs::read_to_string(root().join(ASVS)).expect("the document");
    let items = items(&text);
    let unshown: Vec<_> = items.iter().filter(|(_, said)| *said == Said::Unshown).collect();
    assert!(unshown.is_empty(), "{unshown:?}");
    let count = |wanted: Said| items.iter().filter(|(_, said)| *said == wanted).count();
    let (holds, not_yet, not_at_all) = (count(Said::Holds), count(Said::NotYet), count(Said::DoesNotApply));
    let says = format!(
        "Of {} items, {holds} hold, {not_yet} are not yet done, {not_at_all} do not apply.",
        items.len()
    );
    assert!(text.contains(&says), "its head does not say: {says}");
    let mut numbers: Vec<&str> = items.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), items.len(), "an item is there twice");
}

#[test]
fn a_wrong_reference_and_an_empty_claim_are_caught() {
    let own = "tests/it/house/compliance.rs";
    let planted = format!(
        "`{own}::a_wrong_reference_and_an_empty_claim_are_caught` `{own}::never_written` `{own}::gone` \
         `tests/it/house/none.rs::never_written` `node::config` `node/src/lib.rs`"
    );
    let wrong = [
        format!("{own}::never_written"),
        // A function, and no test.
        format!("{own}::gone"),
        "tests/it/house/none.rs::never_written".to_owned(),
    ];
    assert_eq!(gone(&planted), wrong);
    let rows = "| item | level | asks for | here | shown by |\n\
                | 1.2.3 | 1 | a | b | `a/b.rs::c` |\n\
                | 1.2.4 | 1 | a | not yet: b | |\n\
                | 1.2.5 | 1 | a | does not apply: b | |\n\
                | 1.2.6 | 1 | a | it does | `a/b.rs` |";
    let said: Vec<Said> = items(rows).into_iter().map(|(_, said)| said).collect();
    assert_eq!(said, [Said::Holds, Said::NotYet, Said::DoesNotApply, Said::Unshown]);
}
