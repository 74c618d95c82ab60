//! Why, what would change it, and what other policies would.

use node_policy::{Loaded, POLICIES, PolicyFile, RefusalReason, SCHEMA, Shape, Verdict, differences, explain};

use crate::situation::{asks, shipped};

fn changes(words: &str) -> Vec<String> {
    let explanation = explain(shipped(), &asks(words));
    let mut all: Vec<String> =
        explanation.would_change.iter().map(|change| format!("{}={}", change.fact, change.to)).collect();
    all.sort();
    all
}

#[test]
fn a_refusal_says_what_would_have_allowed_it() {
    assert_eq!(
        changes("provider read encounter HOPERAT organisation"),
        ["purpose=TREAT"],
        "only treatment opens an encounter"
    );
    assert_eq!(changes("pharmacist read prescription TREAT organisation"), ["relationship=assigned"]);
    assert_eq!(changes("pharmacist read lab_result TREAT assigned"), [""; 0], "nothing would");
}

#[test]
fn an_answer_says_what_would_have_refused_it() {
    let all = changes("provider read encounter TREAT organisation");
    for expected in
        ["purpose=none", "purpose=HMARKT", "consent=revoked", "category=substance-use", "relationship=none"]
    {
        assert!(all.iter().any(|change| change == expected), "{expected} is not in {all:?}");
    }
    for neutral in ["licence=lacking", "device=unknown", "relationship=assigned", "home=US-CA"] {
        assert!(!all.iter().any(|change| change == neutral), "{neutral} is in {all:?}");
    }
}

#[test]
fn other_policies_differ_where_they_decide_otherwise() {
    let questions: Vec<_> = [
        "provider read encounter TREAT organisation",
        "provider_staff read encounter TREAT organisation",
        "auditor list patient HOPERAT organisation",
    ]
    .into_iter()
    .map(asks)
    .collect();
    assert_eq!(differences(shipped(), shipped(), questions.clone()).count(), 0);

    let without = |from: &str, to: &str| {
        let texts: Vec<(&str, String)> =
            POLICIES.iter().map(|file| (file.name, file.text.replacen(from, to, 1))).collect();
        let files: Vec<_> = texts.iter().map(|(name, text)| PolicyFile { name, text }).collect();
        Loaded::parse(SCHEMA, &files).expect("it loads")
    };
    let care = POLICIES.iter().find(|file| file.name == "care.cedar").expect("care").text;
    let (head, tail) = care.split_once("@id(\"encounter-provider-staff\")").expect("the policy is there");
    assert!(!head.is_empty());
    let policy = format!("@id(\"encounter-provider-staff\"){}", tail.split("\n@id").next().expect("its text"));
    let new = without(&policy, "");
    let found: Vec<_> = differences(shipped(), &new, questions.clone()).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].request, questions[1]);
    assert_eq!(found[0].now.verdict, Verdict::Allow(Shape::Listed));
    assert_eq!(found[0].then.verdict, Verdict::Refuse(RefusalReason::NotPermitted));
    let renamed = without("encounter-provider-staff", "another-name");
    assert_eq!(differences(shipped(), &renamed, questions).count(), 0, "a name is no difference");
}
