//! Laboratories and pharmacies over HTTP: what registers call them is asked for, checked and shown.

use serde_json::{Value, json};

use crate::support::{Answer, World};

async fn add(world: &World, key: &str, body: &Value) -> Answer {
    let ask = world.ask("org_admin", "POST", "/v1/orgs").without("purpose-of-use").without("idempotency-key");
    ask.header("idempotency-key", key).json(body).send().await
}

fn new(kind: &str) -> Value {
    json!({ "name": "Juniper Street", "type": kind, "serves": ["US-TX"] })
}

fn with(kind: &str, numbers: &[(&str, &str)]) -> Value {
    let mut body = new(kind);
    for (name, number) in numbers {
        body[*name] = json!(number);
    }
    body
}

#[tokio::test]
async fn a_laboratory_and_a_pharmacy_are_added_with_their_numbers() {
    let world = World::new().await;
    for (kind, numbers) in
        [("lab", vec![("clia", "45D0000001")]), ("pharmacy", vec![("ncpdp", "4500001"), ("npi", "1234567893")])]
    {
        let body = with(kind, &numbers);
        let made = add(&world, kind, &body).await.is(201);
        let path = made.header("location").to_owned();
        let shown = world.ask("provider", "GET", &path).without("purpose-of-use").send().await.is(200).json();
        assert_eq!(shown, made.json());
        for (name, number) in &numbers {
            assert_eq!(shown[*name], *number, "{kind}");
        }
        let others: Vec<_> =
            ["clia", "ncpdp", "npi"].into_iter().filter(|name| body.get(name).is_none()).collect();
        assert!(others.iter().all(|name| shown.get(name).is_none()), "{shown}");
        let again = add(&world, kind, &body).await.is(201);
        assert_eq!((again.header("idempotent-replayed"), again.json()), ("true", shown));
        let (name, other) = if kind == "lab" { ("clia", "45D0000002") } else { ("ncpdp", "4500002") };
        let mut changed = body.clone();
        changed[name] = json!(other);
        add(&world, kind, &changed).await.is(422).problem("idempotency-reused");
    }
    // One that no register knows has none.
    let clinic = add(&world, "clinic", &new("provider")).await.is(201).json();
    assert!(clinic.get("npi").is_none() && clinic.get("clia").is_none(), "{clinic}");
}

#[tokio::test]
async fn a_number_that_is_missing_wrong_or_another_kinds_is_named() {
    let world = World::new().await;
    let npi = ("npi", "1234567893");
    for (body, wrong) in [
        (new("lab"), vec![("/clia", "required")]),
        (with("lab", &[("clia", "45d0000001")]), vec![("/clia", "format")]),
        (with("lab", &[("clia", "45D0000001"), npi]), vec![("/npi", "not-for-type")]),
        (new("pharmacy"), vec![("/ncpdp", "required"), ("/npi", "required")]),
        (with("pharmacy", &[npi]), vec![("/ncpdp", "required")]),
        (with("pharmacy", &[("ncpdp", "45001"), npi]), vec![("/ncpdp", "format")]),
        (with("pharmacy", &[("ncpdp", "4500001"), ("npi", "1234567890")]), vec![("/npi", "format")]),
        (with("provider", &[npi]), vec![("/npi", "not-for-type")]),
        (with("marketing", &[("clia", "45D0000001")]), vec![("/clia", "not-for-type")]),
        (with("auditor", &[("ncpdp", "4500001")]), vec![("/ncpdp", "not-for-type")]),
    ] {
        let problem = add(&world, "refused", &body).await.is(422).problem("invalid");
        let errors = problem["errors"].as_array().expect("a list").iter();
        let named: Vec<_> = errors
            .map(|error| (error["pointer"].as_str().expect("text"), error["code"].as_str().expect("text")))
            .collect();
        assert_eq!(named, wrong, "{body}");
    }
}
