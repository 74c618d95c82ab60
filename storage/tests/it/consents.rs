//! What the home says of consent, held against the same said again here; and that taking away never gives.

use std::collections::BTreeSet;

use residency_policy::{OrgId, PatientId};
use storage::testing::TestRegion;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{an_org, register, texas};

const CATEGORIES: [&str; 3] = ["general", "substance-use", "reproductive"];
const PURPOSES: [&str; 2] = ["TREAT", "HOPERAT"];
/// The instant at which it is asked, in seconds; a consent may have ended before.
const NOW: i32 = 1_000;

/// One word in a ledger.
#[derive(Debug, Clone, Copy)]
enum Word {
    Grant {
        purpose: usize,
        category: usize,
        own: bool,
        from: i32,
        until: Option<i32>,
    },
    /// Of which grant, in their order.
    Revoke(usize),
}

/// Numbers that are the same at every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

fn ledger(seed: u64) -> Vec<Word> {
    let mut numbers = Numbers(seed);
    let mut words = Vec::new();
    for _ in 0..4 + numbers.below(8) {
        let granted = grants(&words);
        let open: Vec<usize> = (0..granted).filter(|one| !revoked(&words, *one)).collect();
        if !open.is_empty() && numbers.below(3) == 0 {
            words.push(Word::Revoke(open[numbers.below(open.len())]));
        } else {
            let from = if numbers.below(6) == 0 { NOW + 1 } else { 1 };
            let until = [None, None, Some(NOW), Some(NOW + 1)][numbers.below(4)];
            words.push(Word::Grant {
                purpose: numbers.below(PURPOSES.len()),
                category: numbers.below(CATEGORIES.len()),
                own: numbers.below(5) > 0,
                from,
                until: until.map(|until| until.max(from + 1)),
            });
        }
    }
    words
}

fn grants(words: &[Word]) -> usize {
    words.iter().filter(|word| matches!(word, Word::Grant { .. })).count()
}

fn revoked(words: &[Word], grant: usize) -> bool {
    words.iter().any(|word| matches!(word, Word::Revoke(one) if *one == grant))
}

/// The same as `enter_home` says, word by word: every word about it replaces what was said before, for its category or,
/// if it is general, for all; a revocation forgets all that was granted before it.
fn expected(words: &[Word], purpose: usize, category: usize) -> &'static str {
    let (mut specific, mut general, mut taken_back) = (false, false, false);
    let all: Vec<Word> = words.iter().filter(|word| matches!(word, Word::Grant { .. })).copied().collect();
    let about = |word: &Word| match *word {
        Word::Grant { purpose: p, category: c, own, .. } => own && p == purpose && (c == category || c == 0),
        Word::Revoke(_) => false,
    };
    let mut granted = 0;
    for word in words {
        match *word {
            Word::Grant { category: c, from, until, .. } => {
                let lives = from <= NOW && until.is_none_or(|until| until > NOW) && !revoked(words, granted);
                granted += 1;
                if about(word) && lives {
                    specific |= c == category;
                    general |= c == 0;
                }
            }
            Word::Revoke(one) if about(&all[one]) => (specific, general, taken_back) = (false, false, true),
            Word::Revoke(_) => {}
        }
    }
    match (specific, general, taken_back) {
        (true, ..) => "specific",
        (false, true, _) => "general",
        (false, false, true) => "revoked",
        _ => "none",
    }
}

/// Writes a ledger down, and returns the ids of its grants.
async fn write(client: &Client, org: OrgId, patient: PatientId, words: &[Word]) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for word in words {
        match *word {
            Word::Grant { purpose, category, own, from, until } => {
                let id: Uuid = client.query_one("SELECT gen_random_uuid()", &[]).await.expect("an id").get(0);
                let grantee = if own { org.uuid() } else { id };
                let (purpose, category) = (PURPOSES[purpose], CATEGORIES[category]);
                let (from, until) = (f64::from(from), until.map(f64::from));
                let sql = "INSERT INTO consents (id, patient_id, org_id, grantee_org_id, purpose, category, evidence,
                        text_version, locale, granted_at, expires_at, recorded_at, recorded_by)
                    VALUES ($1, $2, $3, $4, $5, $6, 'verbal', 'a', 'en', to_timestamp($7), to_timestamp($8), now(), $1)";
                client
                    .execute(
                        sql,
                        &[&id, &patient.uuid(), &org.uuid(), &grantee, &purpose, &category, &from, &until],
                    )
                    .await
                    .expect("a consent");
                ids.push(id);
            }
            Word::Revoke(one) => revoke(client, ids[one]).await,
        }
    }
    ids
}

async fn revoke(client: &Client, id: Uuid) {
    let sql =
        "UPDATE consents SET revoked_at = now(), revoked_by = id, revoked_word = nextval('consent_words'),
            revoked_evidence = 'verbal'
        WHERE id = $1";
    assert_eq!(client.execute(sql, &[&id]).await.expect("it is revoked"), 1);
}

async fn said(app: &Client, org: OrgId, patient: PatientId, purpose: &str, category: &str) -> String {
    let sql = "SELECT consent FROM enter_home($1, 'provider', $2, $3, NULL, $4, $3, to_timestamp($5))";
    let (org, patient, now) = (org.uuid(), patient.uuid(), f64::from(NOW));
    let row = app.query_one(sql, &[&org, &purpose, &patient, &category, &now]).await;
    row.expect("the home speaks").get(0)
}

/// From the least to the most.
fn rank(state: &str) -> usize {
    ["revoked", "none", "general", "specific"].iter().position(|word| *word == state).expect("a state")
}

async fn world(region: &TestRegion) -> (Client, Client) {
    (region.as_superuser().await, region.as_app().await)
}

#[tokio::test]
async fn the_home_says_what_the_ledger_says_and_taking_away_never_gives() {
    let region = texas().await;
    let (superuser, app) = world(&region).await;
    let org = an_org();
    let mut states = BTreeSet::new();
    for seed in 0..40 {
        let (patient, _) = register(&region, org).await;
        let mut words = ledger(seed);
        let ids = write(&superuser, org, patient, &words).await;
        loop {
            let mut before = Vec::new();
            for (p, purpose) in PURPOSES.iter().enumerate() {
                for (c, category) in CATEGORIES.iter().enumerate() {
                    let state = said(&app, org, patient, purpose, category).await;
                    assert_eq!(state, expected(&words, p, c), "{purpose} {category}: {words:?}");
                    before.push(rank(&state));
                    states.insert(state);
                }
            }
            // Then one more is taken back, until none is left.
            let Some(one) = (0..ids.len()).find(|one| !revoked(&words, *one)) else { break };
            revoke(&superuser, ids[one]).await;
            words.push(Word::Revoke(one));
            let mut at = 0;
            for purpose in PURPOSES {
                for category in CATEGORIES {
                    let after = rank(&said(&app, org, patient, purpose, category).await);
                    assert!(after <= before[at], "{purpose} {category}: {words:?}");
                    at += 1;
                }
            }
        }
    }
    assert_eq!(states.len(), 4, "the control: every state came up: {states:?}");
}

#[tokio::test]
async fn the_ledger_is_only_added_to() {
    let region = texas().await;
    let (superuser, _) = world(&region).await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let grant = Word::Grant { purpose: 0, category: 0, own: true, from: 1, until: None };
    let ids = write(&superuser, org, patient, &[grant]).await;
    for change in
        ["expires_at = now()", "category = 'reproductive'", "grantee_org_id = id", "revoked_at = NULL"]
    {
        let sql = format!("UPDATE consents SET {change}");
        let refused = superuser.batch_execute(&sql).await.expect_err(change);
        assert!(format!("{refused:?}").contains("consents_append_only"), "{change}: {refused:?}");
    }
    revoke(&superuser, ids[0]).await;
    let back = "UPDATE consents SET revoked_at = NULL, revoked_by = NULL, revoked_word = NULL, revoked_evidence = NULL";
    superuser.batch_execute(back).await.expect_err("what was taken back stays taken back");
    let app = region.as_app().await;
    app.batch_execute("DELETE FROM consents").await.expect_err("the program deletes none");
}

/// Whoever sees anything of a patient must see what was taken back, or the home would call it no consent at all.
async fn blind_roles(client: &Client) -> Vec<String> {
    let sql = "SELECT DISTINCT r.role::text FROM pg_policy p
            JOIN pg_class c ON c.oid = p.polrelid,
            LATERAL (SELECT unnest(string_to_array((regexp_match(
                pg_get_expr(coalesce(p.polqual, p.polwithcheck), p.polrelid), '\\{([a-z_,]+)\\}'))[1], ',')) AS role) r
        WHERE c.relname <> 'consents'
            AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'patient_id'
                UNION ALL SELECT WHERE c.relname = 'patients')
            AND r.role NOT IN (SELECT unnest(string_to_array((regexp_match(
                pg_get_expr(q.polqual, q.polrelid), '\\{([a-z_,]+)\\}'))[1], ','))
                FROM pg_policy q WHERE q.polrelid = 'consents'::regclass)
        ORDER BY 1";
    client.query(sql, &[]).await.expect("the catalog").iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn whoever_sees_anything_of_a_patient_sees_what_was_taken_back() {
    let region = texas().await;
    let owner = region.as_owner().await;
    assert_eq!(blind_roles(&owner).await, Vec::<String>::new());
    owner
        .batch_execute(
            "CREATE POLICY planted ON patients FOR SELECT USING (
                org_id::text = current_setting('app.org_id') AND current_setting('app.purpose') <> ''
                AND current_setting('app.role') = ANY ('{pharmacist}'::text[]))",
        )
        .await
        .expect("a planted fault");
    assert_eq!(blind_roles(&owner).await, ["pharmacist"], "the control");
}
