//! Small rules of the house: sizes, names, nothing unfinished, SQL in its place.

use tests::rust_source::{Kind, Source, Token, tokens, words_at};
use tests::workspace;

const LINES_MAX: usize = 400;

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// Files that are named so all the same, and why.
const NAMED_SO: &[(&str, &str)] =
    &[("residency/control/src/raft/types.rs", "openraft calls what is declared there a type configuration")];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "misc", "types", "manager", "service", "stuff", "base"];

/// Files whose business it is to wait, each until a state and with a deadline.
const MAY_SLEEP: &[(&str, &str)] = &[
    ("tests/src/faults.rs", "wait_until looks again after a pause"),
    ("storage/keys-aws/tests/stub/mod.rs", "a key service that answers late is what it stands for"),
];

/// Where SQL may stand: the storage crates, every feature's store, and what sets a server up.
fn may_hold_sql(path: &str) -> bool {
    path.starts_with("storage/")
        || path.starts_with("node/src/dev/")
        // They look at a server's own settings and at no row of anybody's.
        || path.starts_with("node/src/doctor/")
        // It reads with code of its own, as somebody who may change nothing.
        || path.starts_with("residency/verify/src/readers/")
        // What pgbench is told, which is somebody else's client.
        || path.starts_with("loadtest/src/bench/")
        || is_test_file(path)
        || (path.starts_with("node/clinical/") && path.ends_with("/store.rs"))
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/")
}

fn is_sql(text: &str) -> bool {
    // A literal that begins on its second line has its backslash first.
    let text = text.trim_start_matches(|c: char| c == '\\' || c.is_whitespace());
    let mut words = text.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match first {
        "SELECT" | "WITH" => text.contains(" FROM ") || text.contains("\nFROM ") || text.contains('('),
        "INSERT" => second == "INTO",
        "DELETE" => second == "FROM",
        "UPDATE" => text.contains(" SET ") || text.contains("\nSET "),
        "TRUNCATE" | "CREATE" | "ALTER" | "DROP" | "GRANT" | "COPY" => {
            matches!(
                second,
                "TABLE" | "INDEX" | "ROLE" | "DATABASE" | "SCHEMA" | "POLICY" | "SELECT" | "UNIQUE"
            )
        }
        _ => false,
    }
}

/// Every SQL text in these tokens, with its line. `concat!` and continued literals are read piece by piece.
pub(super) fn sql_texts(tokens: &[Token]) -> Vec<(usize, &str)> {
    tokens
        .iter()
        .filter_map(|t| match &t.kind {
            Kind::Text(text) if is_sql(text) => Some((t.line, text.as_str())),
            _ => None,
        })
        .collect()
}

/// Every broken rule of one file, as a sentence.
fn untidy(source: &Source) -> Vec<String> {
    let path = source.name();
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX && !LONG.iter().any(|(name, _)| *name == path) {
        found.push(format!("{path} has {lines} lines"));
    }
    for part in source.path.with_extension("").iter().filter_map(|p| p.to_str()) {
        if EMPTY_NAMES.contains(&part) && !NAMED_SO.iter().any(|(name, _)| *name == path) {
            found.push(format!("{path}: the name {part} says nothing"));
        }
    }
    for (number, line) in source.text.lines().enumerate() {
        let unfinished = ["TO", "FIX"].iter().zip(["DO", "ME"]).any(|(a, b)| {
            let word = format!("{a}{b}");
            line.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == word)
        });
        if unfinished {
            found.push(format!("{path}:{}: unfinished", number + 1));
        }
    }
    for (at, token) in source.tokens.iter().enumerate() {
        let here = |what: &str| format!("{path}:{}: {what}", token.line);
        let after = |want: &[&str]| words_at(&source.tokens, at, want);
        if after(&["todo", "!"]) || after(&["unimplemented", "!"]) {
            found.push(here("unfinished"));
        }
        if after(&["#", "[", "ignore"]) {
            found.push(here("a test that is not run proves nothing"));
        }
        if after(&["#", "[", "allow", "("]) || after(&["#", "!", "[", "allow", "("]) {
            found.push(here("use expect with a reason"));
        }
    }
    found.extend(sleeps(source));
    if !may_hold_sql(&path) {
        let production = source.production();
        found.extend(
            sql_texts(&production).iter().map(|(line, _)| format!("{path}:{line}: SQL outside a store")),
        );
    }
    found
}

/// A test waits for a state, never for a time.
fn sleeps(source: &Source) -> Vec<String> {
    let path = source.name();
    if MAY_SLEEP.iter().any(|(name, _)| *name == path) {
        return Vec::new();
    }
    let production = source.production();
    let judged: Vec<&Token> = if is_test_file(&path) {
        source.tokens.iter().collect()
    } else {
        source.tokens.iter().filter(|t| !production.contains(t)).collect()
    };
    judged
        .iter()
        .filter(|t| t.is_word("sleep"))
        .map(|t| format!("{path}:{}: a test that sleeps", t.line))
        .collect()
}

#[test]
fn the_house_is_tidy() {
    let sources = workspace::sources();
    assert!(sources.len() > 60, "only {} files were read", sources.len());
    let found: Vec<String> = sources.iter().flat_map(untidy).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_long_file_is_there_and_says_why() {
    for (path, why) in LONG.iter().chain(MAY_SLEEP).chain(NAMED_SO) {
        assert!(workspace::root().join(path).is_file(), "{path} is gone: take it off the list");
        assert!(why.len() > 10, "{path}: {why}");
    }
}

#[test]
fn what_is_untidy_is_caught() {
    let long = "// line\n".repeat(LINES_MAX + 1);
    let unfinished = format!("fn f() {{ {}!() }}", "todo");
    let marked = format!("// {}{}: later", "TO", "DO");
    let ignored = format!("#[{}] fn f() {{}}", "ignore");
    let silenced = format!("#[{}(dead_code)] fn f() {{}}", "allow");
    for (path, text, says) in [
        ("node/src/x.rs", long.as_str(), "has 401 lines"),
        ("node/src/utils.rs", "", "says nothing"),
        ("node/src/helpers/x.rs", "", "says nothing"),
        ("node/src/x.rs", &unfinished, "unfinished"),
        ("node/src/x.rs", &marked, "unfinished"),
        ("node/src/x.rs", &ignored, "proves nothing"),
        ("node/src/x.rs", &silenced, "expect with a reason"),
        ("tests/it/x.rs", "fn f() { sleep(1) }", "sleeps"),
        ("node/src/x.rs", "#[cfg(test)] mod tests { fn f() { tokio::time::sleep(1) } }", "sleeps"),
        ("node/clinical/src/a/api.rs", r#"const S: &str = "SELECT a FROM b";"#, "SQL outside a store"),
        ("node/access/src/x.rs", "const S: &str = \"\\\nUPDATE a\nSET b = 1\";", "SQL outside a store"),
        ("router/src/x.rs", r##"let s = r#"INSERT INTO a VALUES (1)"#;"##, "SQL outside a store"),
    ] {
        let found = untidy(&Source::new(path.as_ref(), text.to_owned()));
        assert!(found.iter().any(|v| v.contains(says)), "{path}: {says:?} was not caught: {found:?}");
    }
}

#[test]
fn what_is_tidy_is_not_caught() {
    let text = r#"
        //! It sleeps; an update sets a value.
        const SCOPED: &str = "SELECT id FROM patients WHERE org_id = $1";
        const WORDS: &str = "Select one from the list";
        #[expect(dead_code, reason = "said")]
        fn f() { sleep(1) }
    "#;
    let path = "node/clinical/src/a/store.rs";
    assert_eq!(untidy(&Source::new(path.as_ref(), text.to_owned())), Vec::<String>::new());
    assert!(tokens(text).len() > 20);
}
