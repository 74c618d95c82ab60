//! A statement about rows of an organisation asks for that organisation by itself, although row-level security does so
//! below it: `org_id = $n` in a condition, or `org_id` among the columns of what is inserted. Naming the column among
//! what is shown asks for nothing.

use tests::rust_source::Source;
use tests::workspace;

use super::tidy::sql_texts;

/// Tables and functions that may be asked without, and why. So may the server's own, which begin with `pg_`.
const OF_NO_ORGANISATION: &[(&str, &str)] = &[
    ("region_stamp", "which region a database is"),
    ("region_keyring", "the region's own index key, sealed"),
    ("id_pool", "ids that are nobody's yet"),
    ("patient_home", "the fence: ids, epochs and states of the region, whichever organisation asks"),
    ("refinery_schema_history", "which migrations were applied"),
    ("table", "a way back counts, as the owner of the tables, what it would lose"),
    ("unnest", "the parameters themselves"),
    ("to_regclass", "whether there is such a table"),
    ("current_setting", "how the server is set"),
    ("enter_home", "is given the organisation as a parameter and sets it for the rows' own security"),
    ("enter_home_as_patient", "is given the organisation and the patient as parameters and sets both"),
    ("consent_withheld", "is given the organisation as a parameter"),
    ("find_attempt", "finds by a keyed digest over the credential"),
    ("record_accesses_whole", "each record is given with its organisation"),
    ("take_booking_work", "a task of the region takes work of any organisation, which it answers with"),
    ("wake_wishes", "a task of the region wakes what has waited, of any organisation"),
    ("portal_session", "a patient's session says whose it is: nobody is known before"),
    ("portal_failed", "counts a failure of a login by its id"),
    ("portal_invited", "whoever shows a code is told for whom it is: nobody is known before"),
    ("portal_login", "is given the organisation as a parameter, of nobody who is known yet"),
    ("portal_signed_out", "ends a session by the digest of what its holder shows"),
    ("audit_lease", "which node adds to the region's log"),
    ("audit_leaves", "commitments to records of the region's log, whichever organisation's"),
    ("audit_tiles", "hashes of the region's log"),
    ("audit_checkpoints", "heads of the region's log"),
    ("records_to_sequence", "a task of the region gives records of any organisation their place in the log"),
    ("records_waiting", "how many records of any organisation wait for their place"),
    ("purge_answers", "a task of the region forgets what is old, of any organisation"),
];

/// Where statements about an organisation's rows stand.
fn is_judged(path: &str) -> bool {
    path.starts_with("storage/src/") || (path.starts_with("node/clinical/") && path.ends_with("/store.rs"))
}

/// Its words, without the breaks of a continued literal.
fn words(sql: &str) -> Vec<String> {
    sql.replace('\\', " ").split_whitespace().map(str::to_owned).collect()
}

fn asks_for_its_organisation(words: &[String]) -> bool {
    let text = words.join(" ");
    let mut inserts = text.split("INSERT INTO ").skip(1).peekable();
    let inserted = |rest: &str| {
        let columns = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        columns.is_some_and(|(columns, _)| columns.split(',').any(|column| column.trim() == "org_id"))
    };
    if inserts.peek().is_some() && inserts.all(inserted) {
        return true;
    }
    let begins = |at: usize| {
        words[at] == "WHERE" || (words[at] == "ON" && words.get(at + 1).is_none_or(|next| next != "CONFLICT"))
    };
    let condition = (0..words.len()).find(|at| begins(*at));
    condition.is_some_and(|at| words[at..].join(" ").contains("org_id = $"))
}

/// A name without what stands around it: `pg_class` of `pg_class,`, `enter_home` of `enter_home($1,`.
fn name(word: &str) -> &str {
    let word = word.split('(').next().unwrap_or_default();
    word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// The tables that a statement speaks of, or the function where it speaks of none.
fn spoken_of(words: &[String]) -> Vec<&str> {
    let is = |at: usize, wanted: &[&str]| words.get(at).is_some_and(|word| wanted.contains(&word.as_str()));
    let of_its_own: Vec<&str> = (0..words.len())
        .filter(|at| {
            is(at + 1, &["AS"]) && words.get(at + 2).is_some_and(|w| w.starts_with('(') || w == "MATERIALIZED")
        })
        .map(|at| name(&words[at]))
        .collect();
    let tables: Vec<&str> = (0..words.len())
        .filter(|at| is(*at, &["FROM", "JOIN", "INTO", "UPDATE", "USING"]))
        // `FOR UPDATE SKIP LOCKED`, `DO UPDATE SET`.
        .filter(|at| *at == 0 || !is(at - 1, &["FOR", "DO"]))
        .filter_map(|at| words.get(at + 1).map(|word| name(word)))
        .filter(|table| !table.is_empty() && !of_its_own.contains(table))
        .collect();
    if !tables.is_empty() {
        return tables;
    }
    let selects = words.iter().position(|word| word == "SELECT").and_then(|at| words.get(at + 1));
    selects.map(|word| vec![name(word)]).unwrap_or_default()
}

/// The statements of a file that do not ask for their organisation, and speak of what is one's.
fn unscoped(source: &Source) -> Vec<String> {
    let path = source.name();
    if !is_judged(&path) {
        return Vec::new();
    }
    let may =
        |name: &str| name.starts_with("pg_") || OF_NO_ORGANISATION.iter().any(|(known, _)| *known == name);
    let production = source.production();
    let mut found = Vec::new();
    for (line, sql) in sql_texts(&production) {
        let words = words(sql);
        // What changes a table says nothing of its rows.
        let of_no_rows = words
            .first()
            .is_some_and(|first| ["ALTER", "DROP", "CREATE", "GRANT", "REVOKE"].contains(&first.as_str()));
        if of_no_rows || asks_for_its_organisation(&words) {
            continue;
        }
        let spoken = spoken_of(&words);
        if spoken.is_empty() || spoken.iter().any(|name| !may(name)) {
            found.push(format!("{path}:{line}: {spoken:?} without asking for an organisation"));
        }
    }
    found
}

#[test]
fn every_statement_asks_for_its_organisation() {
    let sources = workspace::sources();
    let judged = sources.iter().filter(|source| is_judged(&source.name()));
    let statements: usize = judged.map(|source| sql_texts(&source.production()).len()).sum();
    assert!(statements > 80, "only {statements} statements were read");
    let found: Vec<String> = sources.iter().flat_map(unscoped).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_may_be_asked_without_is_asked_somewhere_and_says_why() {
    let sources = workspace::sources();
    let judged: Vec<&Source> = sources.iter().filter(|source| is_judged(&source.name())).collect();
    for (known, why) in OF_NO_ORGANISATION {
        let spoken = judged.iter().any(|source| {
            sql_texts(&source.production()).iter().any(|(_, sql)| spoken_of(&words(sql)).contains(known))
        });
        assert!(spoken, "{known} is asked nowhere: take it off the list");
        assert!(why.len() > 10, "{known}: {why}");
    }
}

#[test]
fn a_statement_that_does_not_ask_is_caught() {
    let judge =
        |path: &str, sql: &str| unscoped(&Source::new(path.as_ref(), format!("const S: &str = {sql:?};")));
    let store = "node/clinical/src/a/store.rs";
    for wrong in [
        "SELECT org_id FROM patients",
        "SELECT org_id, id FROM patients WHERE id = $1",
        "SELECT id FROM patients ORDER BY org_id",
        "UPDATE patients SET org_id = $1 WHERE id = $2",
        "INSERT INTO patients (id, name) VALUES ($1, $2) ON CONFLICT (org_id) DO UPDATE SET org_id = $1",
        "WITH one AS (INSERT INTO outbox (org_id) VALUES ($1)) INSERT INTO patients (id) SELECT $2",
        "DELETE FROM patients",
        "SELECT p.id FROM id_pool i JOIN patients p ON p.id = i.patient_id",
        "SELECT everybody($1)",
    ] {
        for path in [store, "storage/src/a.rs"] {
            assert_eq!(judge(path, wrong).len(), 1, "{path}: {wrong}");
        }
    }
    for right in [
        "SELECT id FROM patients WHERE id = $1 AND org_id = $2",
        "SELECT p.id FROM patients p JOIN visits v ON v.org_id = $1 AND v.patient_id = p.id",
        "INSERT INTO patients (id, org_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        "SELECT count(*) FROM id_pool",
        "SELECT c.oid FROM pg_class c",
        "SELECT purge_answers($1, $2)",
    ] {
        assert_eq!(judge(store, right), [""; 0], "{right}");
    }
    assert_eq!(judge("node/src/doctor/a.rs", "SELECT org_id FROM patients"), [""; 0], "no rows of anybody's");
}
