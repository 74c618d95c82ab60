//! The cells of the access matrix that are about a segregated category of PHI, driven with no consent, with one to something
//! else, and with one that names the category.

use http::Method;
use residency_policy::{Category, Purpose, Role};
use serde_json::json;
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::shared;

use super::access_matrix::{file_allows, matrix};

const HOME: &str = "US-CA";
/// Asked of roles of other organisations, to whom no consent of the patient says anything.
const OF_OTHERS: [&str; 3] = ["TREAT", "ETREAT", "HOPERAT"];

/// One question and its answer.
#[derive(Debug)]
struct Cell {
    role: &'static str,
    /// Whether the patient is of the asker's organisation.
    own: bool,
    purpose: &'static str,
    status: u16,
    text: String,
}

/// Somebody of this role at the home's own node.
fn at_home(role: &str) -> Client {
    shared().client_at("ca", role, HOME)
}

/// Lists a patient's encounters of a category as every role, for every purpose.
async fn ask_all(patient: &Record, category: Category) -> Vec<Cell> {
    let clinic = &shared().credential("provider", HOME).org;
    let path = format!("{}/segregated/{category}/encounters", patient.path);
    let mut cells = Vec::new();
    for role in Role::ALL.iter().map(|role| role.as_str()) {
        let own = shared().credential(role, HOME).org == *clinic;
        let purposes = Purpose::ALL.iter().map(|purpose| purpose.as_str());
        for purpose in purposes.filter(|purpose| own || OF_OTHERS.contains(purpose)) {
            let answer = at_home(role).purpose(purpose).get(&path).await.expect("an answer");
            cells.push(Cell { role, own, purpose, status: answer.status.as_u16(), text: answer.text() });
        }
    }
    cells
}

/// Where the answers are not what the file says, as sentences: with a consent to these purposes, or without one to any. Whoever is
/// not of the patient's organisation never sees anything.
fn wrong(cells: &[Cell], consented: &[&str]) -> Vec<String> {
    let file = matrix();
    let right = |cell: &&Cell| {
        let by_file = file_allows(&file, cell.role, ("encounter", "list"), cell.purpose);
        if cell.own && by_file && consented.contains(&cell.purpose) {
            cell.status == 200
        } else if cell.own && by_file {
            cell.status == 403
                && ["category-without-consent", "consent-revoked"].iter().any(|r| cell.text.contains(r))
        } else {
            matches!(cell.status, 403 | 404)
        }
    };
    let said = |cell: &Cell| format!("{} for {}: {} {}", cell.role, cell.purpose, cell.status, cell.text);
    cells.iter().filter(|cell| !right(cell)).map(said).collect()
}

/// Enters a consent to treatment, and says where it stands.
async fn consent(patient: &Record, category: Category) -> String {
    let body = json!({
        "purpose": "TREAT", "category": category.name(), "evidence": "signature", "reference": "drawer 4",
        "text_version": "treat-2026-02", "locale": "en-US"
    });
    let path = format!("{}/consents", patient.path);
    let answer = at_home("provider_staff").post(&path, &body).await.expect("an answer");
    answer.expect(201).expect("it is entered").header("location").to_owned()
}

/// The status that opening an encounter of a category gets.
async fn open(patient: &Record, category: Category) -> u16 {
    let path = format!("{}/segregated/{category}/encounters", patient.path);
    let answer = at_home("provider").post(&path, &clinic::encounter(HOME, "a visit", "a note")).await;
    answer.expect("an answer").status.as_u16()
}

#[tokio::test]
async fn a_segregated_category_is_open_to_whom_the_file_says_with_its_own_consent_and_to_nobody_without() {
    let none = Vec::<String>::new();
    let segregated = Category::ALL.iter().copied().filter(|category| *category != Category::General);
    let (mut seen, mut before) = (0, Category::General);
    for (category, seed) in segregated.zip(940..) {
        let person = clinic::somebody(HOME, seed);
        let patient = clinic::register(&at_home("provider"), HOME, &person).await.expect("it is registered");
        assert_eq!(wrong(&ask_all(&patient, category).await, &[]), none, "{category} without a consent");
        assert_eq!(open(&patient, category).await, 403, "{category}");

        // One to what is general, or to another category, is none to this.
        consent(&patient, before).await;
        assert_eq!(wrong(&ask_all(&patient, category).await, &[]), none, "{category} with one to {before}");
        before = category;

        let own = consent(&patient, category).await;
        let asked = ask_all(&patient, category).await;
        assert_eq!(wrong(&asked, &["TREAT"]), none, "{category} with its own");
        seen += asked.iter().filter(|cell| cell.status == 200).count();
        assert_eq!(open(&patient, category).await, 201, "{category}");
        // The control: what is open is not taken for closed.
        assert!(!wrong(&asked, &[]).is_empty(), "{category}");

        let revoke = at_home("provider_staff");
        let revoke = revoke.ask(Method::POST, &format!("{own}/revoke"));
        let revoke = revoke.json(&json!({"evidence": "verbal", "reference": "by telephone"})).send().await;
        revoke.expect("an answer").expect(200).expect("it is taken back");
        assert_eq!(wrong(&ask_all(&patient, category).await, &[]), none, "{category} taken back");
    }
    assert!(seen >= 4, "some role sees each of them: {seen}");
}
