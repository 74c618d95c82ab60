//! What a compliance document says of the program is shown by tests that are there, or is what the program says.

use std::path::Path;

use tests::cluster::run;
use tests::workspace::{files, root};

const ASVS: &str = "deploy/compliance/asvs.md";

const CONTROLS: &str = "deploy/compliance/control_matrix.tsv";

/// The controls of access that an auditor asks for: clauses of 45 CFR 164 and 42 CFR 2, and criteria of SOC 2.
const ASKED_FOR: &[&str] = &[
    "164.308(a)(1)(ii)(D)",
    "164.308(a)(3)(i)",
    "164.308(a)(3)(ii)(A)",
    "164.308(a)(3)(ii)(B)",
    "164.308(a)(3)(ii)(C)",
    "164.308(a)(4)(i)",
    "164.308(a)(4)(ii)(A)",
    "164.308(a)(4)(ii)(B)",
    "164.308(a)(4)(ii)(C)",
    "164.308(a)(5)(ii)(C)",
    "164.308(a)(5)(ii)(D)",
    "164.310(b)",
    "164.310(c)",
    "164.312(a)(1)",
    "164.312(a)(2)(i)",
    "164.312(a)(2)(ii)",
    "164.312(a)(2)(iii)",
    "164.312(a)(2)(iv)",
    "164.312(b)",
    "164.312(c)(1)",
    "164.312(c)(2)",
    "164.312(d)",
    "164.312(e)(1)",
    "164.312(e)(2)(i)",
    "164.312(e)(2)(ii)",
    "164.316(b)(2)(i)",
    "164.502(b)",
    "164.504(e)",
    "164.508(a)(2)",
    "164.508(a)(3)",
    "164.508(b)(5)",
    "164.514(d)",
    "164.524",
    "164.528",
    "42 CFR 2.31",
    "42 CFR 2.51",
    "CC6.1",
    "CC6.2",
    "CC6.3",
    "CC6.4",
    "CC6.5",
    "CC6.6",
    "CC6.7",
    "CC6.8",
    "CC7.2",
    "CC8.1",
    "A1.1",
    "A1.2",
    "C1.1",
    "C1.2",
    "P2.1",
    "P4.1",
    "P5.1",
    "P6.1",
    "P6.2",
];

/// The documents that the program writes, and by which command of `domicile policy`.
const WRITTEN: [(&str, &str); 2] =
    [("matrix", "deploy/compliance/access.md"), ("fields", "deploy/compliance/fields_per_role.md")];

/// Every compliance document, by its path from the root.
fn documents() -> Vec<(String, String)> {
    let read = |path: &Path| {
        let name = path.strip_prefix(root()).expect("within").display().to_string();
        (name, std::fs::read_to_string(path).expect("a document"))
    };
    let all = [".md", ".tsv"].map(|end| files(&["deploy/compliance"], end));
    all.iter().flatten().map(|path| read(path)).collect()
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
    for one in [ASVS, CONTROLS] {
        assert!(documents.iter().any(|(name, _)| name == one), "{one}");
    }
    let found: Vec<String> = documents.iter().flat_map(|(_, text)| gone(text)).collect();
    assert_eq!(found, Vec::<String>::new());
    let all = documents.iter().map(|(_, text)| named(text).len()).sum::<usize>();
    assert!(all >= 40, "only {all} tests are named");
}

/// What is wrong with a table of controls, as sentences.
fn lacking(table: &str) -> Vec<String> {
    let lines = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    let mut found = Vec::new();
    for row in &rows {
        let [control, asks, does, shown, status] = row[..] else {
            found.push(format!("not five columns: {row:?}"));
            continue;
        };
        if [control, asks, does, shown, status].contains(&"") {
            found.push(format!("{control}: an empty cell"));
        }
        let reasons = ["part: ", "not yet: ", "not here: "];
        if status != "holds" && !reasons.iter().any(|begin| status.starts_with(begin)) {
            found.push(format!("{control}: {status:?} is no status"));
        }
        let evidence: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        // That a file is there shows no more than that: what holds is shown by a test.
        if status.starts_with("part: ") && evidence.is_empty() || status == "holds" && named(shown).is_empty() {
            found.push(format!("{control}: nothing shows it"));
        }
        let files = evidence.iter().filter(|named| !named.contains("::") && !root().join(named).is_file());
        found.extend(files.map(|gone| format!("{control}: there is no {gone}")));
    }
    let there: Vec<&str> = rows.iter().filter_map(|row| row.first().copied()).collect();
    for asked in ASKED_FOR {
        let times = there.iter().filter(|control| *control == asked).count();
        if times != 1 {
            found.push(format!("{asked} is there {times} times"));
        }
    }
    found
}

#[test]
fn every_control_of_access_is_told_once_with_what_shows_it() {
    let table = std::fs::read_to_string(root().join(CONTROLS)).expect("the table");
    assert_eq!(lacking(&table), Vec::<String>::new());
    // The control: each of these is one thing wrong.
    let change = |from: &str, to: &str| {
        assert!(table.contains(from), "{from}");
        table.replacen(from, to, 1)
    };
    for (wrong, says) in [
        (change("\n164.312(b)\t", "\n164.312(z)\t"), "164.312(b) is there 0 times"),
        (change("\nCC6.2\t", "\nCC6.1\t"), "CC6.1 is there 2 times"),
        (change("`deny.toml`", "`allow.toml`"), "there is no allow.toml"),
        (change("`deny.toml`", "-"), "CC6.8: nothing shows it"),
        (change("\tholds\n", "\tyes\n"), "is no status"),
        (change("\tholds\n", "\n"), "not five columns"),
    ] {
        let found = lacking(&wrong);
        assert!(found.iter().any(|one| one.contains(says)), "{says}: {found:?}");
    }
    let never = change("`tests/it/security/recorded.rs::every_read", "`tests/it/security/recorded.rs::no_read");
    assert_eq!(gone(&never).len(), 1, "a test that was never written");
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
