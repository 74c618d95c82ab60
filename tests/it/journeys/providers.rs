//! Clinicians: who is found for a state, a day and a specialty, and who may say what of whom.

use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use residency_policy::Npi;
use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::clinic;
use tests::cluster::shared;
use tests::faults::wait_until;

use super::tenants::{Tenant, at_every_door};
use super::{HOME, doors};

const PATH: &str = "/v1/providers";

/// NPIs that no other test and no synthetic clinician has.
fn npi() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nine = 190_000_000 + NEXT.fetch_add(1, Ordering::SeqCst);
    Npi::from_nine(nine).expect("an NPI").to_string()
}

fn licence(state: &str, number: &str) -> Value {
    json!({
        "jurisdiction": state, "kind": "full", "number": number, "status": "active",
        "from": "2021-01-01", "until": "2026-11-30", "source": "state-board", "verified": "2026-11-01",
    })
}

fn physician(licences: &[Value]) -> Value {
    json!({
        "npi": npi(), "name": "Robin O'Sample, MD", "taxonomy": ["208M00000X"], "languages": ["en", "es-MX"],
        "licences": licences, "synthetic": true,
    })
}

async fn add(admin: &Client, body: &Value) -> Answer {
    admin.post(PATH, body).await.expect("an answer").expect(201).expect("is added")
}

async fn put(admin: &Client, of: &Answer, body: &Value) -> Answer {
    let path = format!("{PATH}/{}", of.json()["id"].as_str().expect("an id"));
    let asking = admin.ask(Method::PUT, &path).header("if-match", of.header("etag")).json(body);
    asking.send().await.expect("an answer")
}

/// What a search finds, as NPIs.
async fn found(anyone: &Client, query: &str) -> Vec<String> {
    let path = format!("{PATH}?consistency=linearizable&{query}");
    let all = clinic::walk(anyone, &path, 50).await.expect("a list");
    all.iter().map(|one| one["npi"].as_str().expect("an NPI").to_owned()).collect()
}

/// The body that a PUT takes for what was read.
fn told(shown: &Value) -> Value {
    let mut body = shown.clone();
    let map = body.as_object_mut().expect("an object");
    for name in ["id", "specialties", "authority"] {
        map.remove(name);
    }
    body
}

/// Requirement A15, word for word, at both doors.
#[tokio::test]
async fn only_active_clinicians_with_a_licence_there_on_that_day_are_found() {
    for (door, admin) in doors("org_admin") {
        let there = add(&admin, &physician(&[licence("US-TX", "T-1"), licence("US-CA", "C-1")])).await;
        let elsewhere = add(&admin, &physician(&[licence("US-CA", "C-1")])).await;
        let mut off = physician(&[licence("US-TX", "T-1")]);
        off["active"] = json!(false);
        let off = add(&admin, &off).await;
        let mut suspended = licence("US-TX", "T-1");
        (suspended["status"], suspended["status_since"]) = (json!("suspended"), json!("2026-06-01"));
        let suspended = add(&admin, &physician(&[suspended])).await;
        let [there, elsewhere, off, suspended] =
            [there, elsewhere, off, suspended].map(|a| a.json()["npi"].as_str().expect("an NPI").to_owned());
        for state in ["TX", "US-TX"] {
            let query = format!("state={state}&specialty=208M00000X&on=2026-11-30");
            let npis = found(&admin, &query).await;
            assert!(npis.contains(&there), "{door} {query}: {npis:?}");
            assert!(![&elsewhere, &off, &suspended].iter().any(|npi| npis.contains(npi)), "{door} {npis:?}");
        }
        let on = async |day: &str| found(&admin, &format!("state=TX&specialty=208M00000X&on={day}")).await;
        assert!(!on("2026-12-01").await.contains(&there), "its last day is over");
        assert!(!on("2020-12-31").await.contains(&there), "its first day is to come");
        assert!(on("2026-05-31").await.contains(&suspended), "the day before it was suspended");
        assert!(!on("2026-06-01").await.contains(&suspended), "from the day of its status");
        let all = found(&admin, "specialty=208M00000X").await;
        assert!(all.contains(&elsewhere) && all.contains(&suspended) && !all.contains(&off), "{all:?}");
        assert!(found(&admin, "specialty=208M00000X&active=any").await.contains(&off));
    }
}

#[tokio::test]
async fn a_search_shows_npi_taxonomy_licences_languages_and_what_gives_authority() {
    let anyone = shared().client("provider_staff", HOME);
    let admin = shared().client("org_admin", HOME);
    let added = add(&admin, &physician(&[licence("US-TX", "T-77")])).await.json();
    let npi = added["npi"].as_str().expect("an NPI");
    let path = format!("{PATH}?npi={npi}&state=TX&on=2026-11-30&language=es&consistency=linearizable");
    let answer = anyone.get(&path).await.expect("an answer").expect(200).expect("a list");
    assert!(answer.header("x-log-index").parse::<u64>().is_ok(), "{:?}", answer.headers);
    let one = &answer.json()["data"][0];
    assert_eq!(one["taxonomy"], json!(["208M00000X"]));
    assert_eq!(one["specialties"], json!(["Hospitalist Physician"]));
    assert_eq!(one["languages"], json!(["en", "es-MX"]));
    assert_eq!(one["licences"][0]["number"], "T-77");
    assert_eq!(one["authority"], json!({"jurisdiction": "US-TX", "kind": "full", "until": "2026-11-30"}));
    for query in ["language=fr", "state=CA", "specialty=207Q00000X", "state=TX&on=2026-12-01"] {
        let list = anyone.get(&format!("{PATH}?npi={npi}&{query}")).await.expect("an answer").expect(200);
        assert_eq!(list.expect("a list").json()["data"], json!([]), "{query}");
    }
    // A marketer sees that there is a licence, and not its number.
    let marketer = shared().client("marketer", HOME);
    let path = format!("{PATH}/{}?consistency=linearizable", added["id"].as_str().expect("an id"));
    let seen = marketer.get(&path).await.expect("an answer").expect(200).expect("is shown");
    assert_eq!(seen.json()["licences"][0]["jurisdiction"], "US-TX");
    assert!(!seen.text().contains("T-77"), "{}", seen.text());
    let full = anyone.get(&path).await.expect("an answer").expect(200).expect("the control");
    assert!(full.text().contains("T-77"));
}

/// A nurse's multistate licence counts in the members of the compact, and in no other state.
#[tokio::test]
async fn what_a_compact_gives_counts_where_it_does() {
    let admin = shared().client("org_admin", HOME);
    let mut nurse = physician(&[licence("US-TX", "RN-1")]);
    nurse["taxonomy"] = json!(["163W00000X"]);
    (nurse["licences"][0]["kind"], nurse["licences"][0]["source"]) = (json!("nlc"), json!("nursys"));
    let added = add(&admin, &nurse).await.json();
    let npi = added["npi"].as_str().expect("an NPI").to_owned();
    let at =
        async |state: &str| found(&admin, &format!("state={state}&specialty=163W00000X&on=2026-11-30")).await;
    assert!(at("TX").await.contains(&npi) && at("AZ").await.contains(&npi));
    assert!(!at("CA").await.contains(&npi) && !at("MA").await.contains(&npi), "no member, and not certain");
    // What a nurse has is nothing for a physician.
    let mut physician = physician(&[licence("US-TX", "RN-1")]);
    physician["licences"][0]["kind"] = json!("nlc");
    let refused = admin.post(PATH, &physician).await.expect("an answer");
    assert_eq!(refused.problem(422).expect("a problem"), "invalid");
    assert_eq!(refused.json()["errors"][0]["code"], "other-profession");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_added() {
    let admin = shared().client("org_admin", HOME);
    let mut npis = Vec::new();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = physician(&[licence("US-TX", "T-1"), licence("US-CA", "C-1")]);
        change(&mut body);
        body
    };
    let mut wrong = licence("US-TX", "T-1");
    wrong["until"] = json!("2020-12-31");
    for (body, pointer, code) in [
        (with(&|b| b["npi"] = json!("1234567890")), "/npi", "check-digit"),
        (with(&|b| b["npi"] = json!("123")), "/npi", "format"),
        (with(&|b| b["npi"] = json!(1_234_567_893)), "/npi", "format"),
        (with(&|b| b["npi"] = Value::Null), "/npi", "required"),
        (with(&|b| b["name"] = json!("Ana 1980")), "/name", "format"),
        (with(&|b| b["taxonomy"] = json!(["ABC"])), "/taxonomy", "format"),
        (with(&|b| b["taxonomy"] = json!([])), "/taxonomy", "format"),
        (with(&|b| b["languages"] = json!(["english"])), "/languages", "format"),
        (with(&|b| b["languages"] = json!(["x-ana"])), "/languages", "format"),
        (with(&|b| b["licences"][1] = wrong.clone()), "/licences/1", "ends-before-it-begins"),
        (with(&|b| b["licences"][1] = licence("US-TX", "T-1")), "/licences/1", "same-number"),
        (with(&|b| b["licences"][0]["jurisdiction"] = json!("US-ZZ")), "/licences/0", "unknown-jurisdiction"),
        (with(&|b| b["licences"][0]["kind"] = json!("best")), "/licences/0", "unknown-kind"),
        (with(&|b| b["licences"][0]["number"] = json!("Ana Garcia")), "/licences/0", "number"),
        (with(&|b| b["licences"][0]["status"] = json!("revoked")), "/licences/0", "status-since"),
        (with(&|b| b["licences"][0]["from"] = json!("2026-02-30")), "/licences/0", "from"),
        (with(&|b| b["licences"][0]["source"] = json!("told me")), "/licences/0", "unknown-source"),
        (with(&|b| b["licences"][0]["note"] = json!("x")), "/licences/0", "unknown-field"),
        (with(&|b| b["collaborating"] = json!(clinic::fresh())), "/collaborating", "unknown"),
        (with(&|b| b["birth_date"] = json!("1980-01-01")), "", "unknown-field"),
    ] {
        npis.extend(body["npi"].as_str().map(str::to_owned));
        let refused = admin.post(PATH, &body).await.expect("an answer");
        assert_eq!(refused.problem(422).unwrap_or_else(|e| panic!("{pointer} {code}: {e}")), "invalid");
        let errors = refused.json()["errors"].clone();
        assert_eq!((&errors[0]["pointer"], &errors[0]["code"]), (&json!(pointer), &json!(code)), "{errors}");
    }
    for query in [
        "state=ZZ",
        "state=tx",
        "specialty=ABC",
        "language=english",
        "on=2026-02-30",
        "npi=1234567890",
        "active=no",
        "consistency=eventual",
        "sort=name",
        "limit=0",
    ] {
        let refused = admin.get(&format!("{PATH}?{query}")).await.expect("an answer");
        assert_eq!(refused.problem(400).expect(query), "bad-parameter", "{query}");
    }
    let right = physician(&[licence("US-TX", "T-1")]);
    add(&admin, &right).await;
    npis.extend(right["npi"].as_str().map(str::to_owned));
    let mut added = found(&admin, "active=any").await;
    added.retain(|npi| npis.contains(npi));
    assert_eq!(added, [right["npi"].as_str().expect("an NPI")], "and the control");
}

#[tokio::test]
async fn an_npi_is_one_clinicians_and_a_repeated_request_one_request() {
    for (door, admin) in doors("org_admin") {
        let body = physician(&[licence("US-TX", "T-1")]);
        let key = clinic::fresh().to_string();
        let send =
            |body: &Value| admin.ask(Method::POST, PATH).header("idempotency-key", &key).json(body).send();
        let added = send(&body).await.expect("an answer").expect(201).expect(door);
        let path = added.header("location").to_owned();
        let again = send(&body).await.expect("an answer").expect(201).expect(door);
        assert_eq!((again.json(), again.header("location")), (added.json(), path.as_str()));
        assert_eq!(again.header("idempotent-replayed"), "true");
        let mut other = body.clone();
        other["name"] = json!("Another Name");
        let reused = send(&other).await.expect("an answer");
        assert_eq!(reused.problem(422).expect("a problem"), "idempotency-reused");
        let taken = admin.post(PATH, &other).await.expect("an answer");
        assert_eq!(taken.problem(409).expect("a problem"), "already-exists");
        assert_eq!(taken.json()["errors"][0]["pointer"], "/npi");
        // Whoever was told of the change finds it at every node.
        for region in ["ca", "ny", "tx"] {
            let reader = shared().client_at(region, "auditor", HOME);
            let linearizable = format!("{path}?consistency=linearizable");
            let seen = reader.get(&linearizable).await.expect("an answer").expect(200).expect(region);
            assert_eq!((seen.json(), seen.header("etag")), (added.json(), "\"1\""));
            let index = |answer: &Answer| answer.header("x-log-index").parse::<u64>().expect("an index");
            assert!(index(&seen) >= index(&added));
            let local = wait_until("the clinician to be known", async || {
                reader.get(&path).await.ok().filter(|a| a.status == 200)
            });
            local.await.expect(region);
        }
    }
}

#[tokio::test]
async fn a_change_names_the_version_that_was_read() {
    let own = Tenant::new("Linden Street Clinic").await;
    for admin in at_every_door(&own.sure().await) {
        let first = add(&admin, &physician(&[licence("US-TX", "T-1")])).await;
        let mut body = told(&first.json());
        body["languages"] = json!(["en"]);
        // What a clinician's every act rests on takes a second factor.
        let mut licensed = body.clone();
        licensed["licences"] = json!([licence("US-TX", "T-2")]);
        let one_factor = put(&own.admin(), &first, &licensed).await;
        assert_eq!(one_factor.problem(403).expect("a problem"), "forbidden");
        assert_eq!(one_factor.json()["reason"], "step-up-required");
        let second = put(&admin, &first, &body).await.expect(200).expect("it is changed");
        assert_eq!((second.header("etag"), &second.json()["languages"]), ("\"2\"", &json!(["en"])));
        let stale = put(&admin, &first, &body).await;
        assert_eq!(stale.problem(412).expect("a problem"), "precondition-failed");
        let same = put(&admin, &second, &body).await.expect(200).expect("nothing to change");
        assert_eq!(same.header("etag"), "\"2\"");
        let mut renumbered = body.clone();
        renumbered["npi"] = json!(npi());
        let refused = put(&admin, &second, &renumbered).await;
        assert_eq!(refused.problem(422).expect("a problem"), "invalid");
        assert_eq!(refused.json()["errors"][0]["code"], "fixed");
        let path = first.header("location");
        let bare = admin.ask(Method::PUT, path).json(&body).send().await.expect("an answer");
        assert_eq!(bare.problem(428).expect("a problem"), "precondition-required");
        let nobody = format!("{PATH}/{}", clinic::fresh());
        let missing = admin.ask(Method::PUT, &nobody).header("if-match", "\"1\"").json(&body).send().await;
        assert_eq!(missing.expect("an answer").problem(404).expect("a problem"), "not-found");
    }
}

/// Each organisation speaks for itself.
#[tokio::test]
async fn only_the_administrator_of_an_organisation_puts_it_to_a_clinician() {
    let (one, two) = (Tenant::new("Maple Street Clinic").await, Tenant::new("Nutmeg Street Clinic").await);
    let (admin, stranger) =
        (shared().nobody().key(&one.sure().await), shared().nobody().key(&two.sure().await));
    let (own, other) = (one.id, two.id);
    let forbidden = |answer: &Answer| assert_eq!(answer.problem(403).expect("a problem"), "forbidden");

    let mut for_another = physician(&[licence("US-TX", "T-1")]);
    for_another["organisations"] = json!([other]);
    forbidden(&admin.post(PATH, &for_another).await.expect("an answer"));
    let added = add(&admin, &physician(&[licence("US-TX", "T-1")])).await;
    let mut body = told(&added.json());
    assert_eq!(body["organisations"], json!([own]));

    // A stranger changes nothing, but may have them join.
    body["name"] = json!("Another Name");
    forbidden(&put(&stranger, &added, &body).await);
    body["organisations"] = json!([own, other]);
    forbidden(&put(&stranger, &added, &body).await);
    forbidden(&put(&admin, &added, &body).await);
    body["name"] = added.json()["name"].clone();
    let joined = put(&stranger, &added, &body).await.expect(200).expect("they join");
    assert_eq!(joined.json()["organisations"], json!([own, other]));
    // They work for both now. What is common is kept by the first, and a licence by who entered it.
    body["name"] = json!("Another Name");
    forbidden(&put(&stranger, &joined, &body).await);
    let renamed = put(&admin, &joined, &body).await.expect(200).expect("the first renames them");
    let mut suspended = body.clone();
    suspended["licences"][0]["status"] = json!("suspended");
    suspended["licences"][0]["status_since"] = json!("2026-11-01");
    forbidden(&put(&stranger, &renamed, &suspended).await);
    let mut aside = body.clone();
    aside["active"] = json!(false);
    forbidden(&put(&stranger, &renamed, &aside).await);
    forbidden(&put(&admin, &renamed, &aside).await);
    // Nobody sends another's away; everybody may let go of their own.
    body["organisations"] = json!([other]);
    forbidden(&put(&stranger, &renamed, &body).await);
    let left = put(&admin, &renamed, &body).await.expect(200).expect("they leave");
    assert_eq!(left.json()["organisations"], json!([other]));
    assert_eq!(left.json()["licences"], json!([]), "and take their word back");
    body["languages"] = json!([]);
    forbidden(&put(&admin, &left, &body).await);
    body["organisations"] = json!([]);
    let nowhere = put(&stranger, &left, &body).await;
    assert_eq!(nowhere.problem(422).expect("a problem"), "invalid");

    // A collaborating physician is a physician who is known.
    let of = |answer: &Answer| answer.json()["id"].as_str().expect("an id").to_owned();
    let mut nurse = physician(&[licence("US-TX", "NP-1")]);
    (nurse["taxonomy"], nurse["collaborating"]) = (json!(["363LF0000X"]), json!(of(&left)));
    let nurse = add(&admin, &nurse).await;
    assert_eq!(nurse.json()["collaborating"], json!(of(&left)));
    let mut second = physician(&[licence("US-TX", "NP-2")]);
    second["collaborating"] = json!(of(&nurse));
    let refused = admin.post(PATH, &second).await.expect("an answer");
    assert_eq!(refused.problem(422).expect("a problem"), "invalid");
    assert_eq!(refused.json()["errors"][0]["code"], "not-a-physician");
}

/// A new cluster has clinicians to try with, and each key of a provider is one of them.
#[tokio::test]
async fn a_new_cluster_has_clinicians_of_every_kind() {
    let anyone = shared().client("lab_tech", HOME);
    let all = clinic::walk(&anyone, &format!("{PATH}?active=any"), 5).await.expect("a list");
    let synthetic: Vec<&Value> =
        all.iter().filter(|one| one["npi"].as_str().is_some_and(|npi| npi.starts_with("1000"))).collect();
    assert!(synthetic.len() >= 12 && synthetic.iter().all(|one| one["synthetic"] == true), "{}", all.len());
    for state in ["CA", "NY", "TX"] {
        let found = found(&anyone, &format!("state={state}&specialty=207Q00000X")).await;
        assert!(!found.is_empty(), "no family physician in {state}");
    }
    let mut bound = 0;
    for credential in shared().described().credentials.iter().filter(|c| c.role == "provider") {
        let clinician = credential.provider.as_ref().expect("a clinician");
        let one = all.iter().find(|one| one["id"] == clinician.id.as_str()).expect("is in the directory");
        assert_eq!(one["npi"], clinician.npi.as_str());
        assert!(one["organisations"].as_array().is_some_and(|orgs| orgs.contains(&json!(credential.org))));
        bound += 1;
    }
    assert!(bound >= 2, "{bound}");
}
