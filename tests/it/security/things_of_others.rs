//! What belongs to one organisation, asked for by every role of another, on every operation whose path has an id in it:
//! the answer is, byte for byte, that about something that nobody has.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use residency_control::{Command, Organisation};
use residency_policy::{OrgId, OrgType, Role};
use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::cluster::shared;
use tests::{calendars, clinic, operate};

const HOME: &str = "US-TX";
/// A state that some work in who have nothing to do with that one.
const OTHER_STATE: &str = "US-CA";
/// What everybody who is known may look at: the directory is one for all (see `node/policy/matrix.tsv`).
const OPEN: &[&str] = &["read_organisation", "read_provider"];
/// What is refused to another organisation with its reason: they work with the same directory, so they know that it is there.
const KNOWN: &[&str] = &[
    "read_calendar",
    "put_calendar",
    "find_slots",
    "hold_slot",
    "read_hold",
    "release_hold",
    "replace_provider",
    "update_organisation",
    "close_organisation",
];
/// Whose things are shown elsewhere to be nobody's to others: `http/{break_glass,api_keys,devices,passkeys}.rs`, `http/federation`.
const ELSEWHERE: &[&str] = &[
    "review_break_glass",
    "rotate_api_key",
    "revoke_api_key",
    "admit_device",
    "remove_device",
    "remove_passkey",
    "link_provider",
    "unlink_user",
    "delete_identity_provider",
    "update_identity_provider",
    "test_identity_provider",
    "read_docs_file",
    "read_log_tile",
    "read_log_tile_of_two",
    "read_log_tile_of_three",
    "read_log_tile_of_four",
    "read_problem",
    "start_with_provider",
    "start_invited_with_provider",
    "finish_with_provider",
];

/// The ids of one organisation's things, by their place in a path.
pub(crate) type Things = BTreeMap<&'static str, String>;

fn id(answer: &Value) -> String {
    answer["id"].as_str().expect("an id").to_owned()
}

/// Somebody's patient with one of everything, and the organisation's own.
pub(crate) async fn things() -> Things {
    let who = |role| shared().client_at("tx", role, HOME);
    let (doctor, staff, admin) = (who("provider"), who("provider_staff"), who("org_admin"));
    let patient = clinic::register(&staff, HOME, &clinic::somebody(HOME, 941)).await.expect("it is registered");
    let encounter =
        clinic::open_encounter(&doctor, &patient, HOME, "cough", "note").await.expect("it is opened");
    let post = async |below: &str, body: &Value| {
        let answer = staff.post(&format!("{}/{below}", patient.path), body).await.expect("an answer");
        id(&answer.expect(201).expect("it is there").json())
    };
    let provider = calendars::doctor(&admin, &[HOME]).await.expect("a clinician");
    let free = calendars::coming(&staff, &provider, 2).await.expect("slots");
    let appointment = post("appointments", &calendars::appointment(&provider, &free[0], HOME, "cough")).await;
    let wish = json!({ "provider": provider, "service_jurisdiction": HOME, "from": free[1], "to": free[2] });
    let wish = post("waitlist", &wish).await;
    let consent = json!({
        "purpose": "TREAT", "category": "general", "evidence": "signature", "reference": "drawer 4",
        "text_version": "treat-2026-02", "locale": "en-us",
    });
    let consent = post("consents", &consent).await;
    let credential = shared().credential("provider", HOME);
    let login = credential.user.as_ref().and_then(|user| user.login.as_ref()).expect("they sign in");
    let shown = json!({
        "organisation": credential.org, "login": login.name, "password": login.password, "tokens": "body"
    });
    let signed_in = shared().nobody().post("/v1/auth/login", &shown).await.expect("an answer");
    let session =
        signed_in.expect(200).expect("they sign in").json()["session"].as_str().expect("one").to_owned();
    let user = credential.user.as_ref().expect("a user").id.clone();
    BTreeMap::from([
        ("patients", patient.id),
        ("encounter", encounter.id),
        ("appointment", appointment),
        ("wish", wish),
        ("consent", consent),
        ("sessions", session),
        ("users", user),
        ("orgs", credential.org.clone()),
        ("providers", provider),
    ])
}

/// A path with these things in it. What they lack, nobody has.
pub(crate) fn filled(path: &str, things: &Things) -> String {
    let mut kind = "";
    let parts = path.split('/').map(|part| {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            kind = part;
            return part.to_owned();
        };
        match name {
            "category" => "psychotherapy-notes".to_owned(),
            "id" => things.get(kind).cloned().unwrap_or_else(|| clinic::fresh().to_string()),
            name => things.get(name).cloned().unwrap_or_else(|| clinic::fresh().to_string()),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn body(operation: &str, things: &Things) -> Value {
    let start = calendars::in_days(3).to_string();
    match operation {
        "open_encounter" | "open_segregated_encounter" => clinic::encounter(HOME, "cough", "note"),
        "amend_encounter" | "amend_segregated_encounter" => json!({ "reason": "fever" }),
        "add_addendum" | "add_segregated_addendum" => json!({ "body": "more" }),
        "update_patient" => json!({ "given_name": "Ana" }),
        "book_appointment" => calendars::appointment(&things["providers"], &start, HOME, "cough"),
        "reschedule_appointment" => json!({ "start": start }),
        "cancel_appointment" => json!({ "code": "patient-request" }),
        "revoke_consent" => json!({ "evidence": "verbal", "reference": "by telephone" }),
        "update_user" => json!({ "active": false }),
        _ => json!({}),
    }
}

async fn ask(client: &Client, method: &Method, path: &str, body: &Value) -> Answer {
    let asking = client.ask(method.clone(), path).header("if-match", "\"1\"");
    let asking = if *method == Method::GET { asking } else { asking.json(body) };
    asking.send().await.expect("an answer")
}

/// Every role that there is, of organisations that have nothing to do with it.
async fn strangers() -> Vec<(String, Client)> {
    let everywhere: Vec<&str> = shared().described().regions.iter().map(|r| r.jurisdiction.as_str()).collect();
    let door = shared().nobody().at(&shared().region("tx").url);
    let mut strangers = Vec::new();
    for (called, serves) in
        [("Elder Lane Clinic", &everywhere[..]), ("Cypress Road Clinic", &[OTHER_STATE][..])]
    {
        let org = OrgId::from(clinic::fresh());
        let name = called.parse().expect("a name");
        let of = serves.iter().filter_map(|code| code.parse().ok()).collect();
        let new = Organisation { id: org, name, org_type: OrgType::Provider, serves: of, active: true };
        let came = operate::commands(shared(), "tx", &[Command::AddOrganisation(new)]).await;
        let came = came.expect("it is proposed");
        assert_eq!(came[0]["of"]["outcome"], "Done", "{came:?}");
        for role in [Role::Provider, Role::ProviderStaff, Role::OrgAdmin] {
            let minted = operate::mint_serving(shared(), &org.to_string(), role, serves).await;
            let (key, _) = minted.expect("a key");
            strangers.push((format!("{role} of {called}"), door.key(&key)));
        }
    }
    for role in ["marketer", "pharmacist", "lab_tech", "auditor"] {
        strangers.push((role.to_owned(), shared().client_at("tx", role, HOME)));
    }
    strangers
}

#[tokio::test]
async fn what_belongs_to_others_is_answered_like_what_nobody_has() {
    let (theirs, strangers) = (things().await, strangers().await);
    // At the home's own door: the router sends some of these there instead of passing them on.
    let owner = shared().client_at("tx", "provider", HOME);
    let document = shared().nobody().get("/openapi.json").await.expect("the document").json();
    let (mut compared, mut unseen, mut wrong, mut met) = (0, 0, Vec::new(), BTreeSet::new());
    let mut told = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let Some(name) = operation["operationId"].as_str() else { continue };
            if !path.contains('{') {
                continue;
            }
            met.insert(name.to_owned());
            if [OPEN, KNOWN, ELSEWHERE].iter().any(|list| list.contains(&name)) {
                continue;
            }
            let more = if name == "delete_patient" || name == "close_organisation" {
                "?reason=entered-in-error"
            } else {
                ""
            };
            let at = |things: &Things| filled(path, things) + more;
            let (real, nobodys, body) = (at(&theirs), at(&Things::new()), body(name, &theirs));
            for (who, stranger) in &strangers {
                for purpose in ["TREAT", "HOPERAT"] {
                    let client = stranger.purpose(purpose);
                    let one = ask(&client, &method, &real, &body).await;
                    let other = ask(&client, &method, &nobodys, &body).await;
                    compared += 1;
                    unseen += usize::from(one.status == 404);
                    let same = one.without_its_own() == other.without_its_own();
                    if one.status.is_success() || !same {
                        wrong.push(format!(
                            "{name} as {who} for {purpose}: {} and {}",
                            one.text(),
                            other.text()
                        ));
                    }
                }
            }
            // The control: to whom it belongs, the two are not alike.
            if method == Method::GET {
                let (one, other) =
                    (ask(&owner, &method, &real, &body).await, ask(&owner, &method, &nobodys, &body).await);
                told += usize::from(one.status == 200 && other.status == 404);
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(
        compared > 400 && unseen > 80 && told >= 8,
        "{compared} compared, {unseen} not found, {told} told apart"
    );
    for listed in [OPEN, KNOWN, ELSEWHERE].concat() {
        assert!(met.contains(listed), "{listed} is no operation any more");
    }
    // Nothing of it has changed.
    let still = clinic::read(&owner, &filled("/v1/patients/{id}/encounters/{encounter}", &theirs)).await;
    assert_eq!(still.expect("it is there").body["status"], "open");
}
