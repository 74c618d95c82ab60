//! What no permit overrides, said again apart from the policies.

use node_policy::{
    Action, ConsentState, Entity, Facts, LicenceState, Loaded, Obligation, POLICIES, PolicyFile, Principal,
    RefusalReason, Relationship, SCHEMA, Verdict, decide,
};
use residency_policy::{Category, Purpose};

use crate::situation::{able, ask, asks, shipped};

/// The shipped denials with one policy beside them that permits everything.
fn everything_permitted() -> Loaded {
    let text =
        "@id(\"anything\")\n@citation(\"none\")\n@shape(\"full\")\npermit (principal, action, resource);";
    let never = POLICIES.iter().copied().filter(|file| file.name == "never.cedar");
    let files: Vec<_> = never.chain([PolicyFile { name: "anything.cedar", text }]).collect();
    Loaded::parse(SCHEMA, &files).expect("it loads")
}

fn refusal(policies: &Loaded, words: &str, change: impl Fn(&mut Facts)) -> Option<RefusalReason> {
    let mut request = asks(words);
    change(&mut request.facts);
    match decide(policies, &request).verdict {
        Verdict::Allow(_) => None,
        Verdict::Refuse(reason) => Some(reason),
    }
}

#[test]
fn a_denial_stands_although_everything_is_permitted() {
    let open = everything_permitted();
    let unchanged = |_: &mut Facts| {};
    for (words, reason) in [
        ("provider read patient HMARKT organisation", RefusalReason::MarketingWithoutAuthorization),
        ("patient read consent HMARKT self", RefusalReason::MarketingWithoutAuthorization),
        ("marketer read prescription HOPERAT referral", RefusalReason::MarketerClinicalContent),
        ("marketer read lab_result HOPERAT referral", RefusalReason::MarketerClinicalContent),
        ("pharmacist read lab_order TREAT assigned", RefusalReason::NotForPharmacies),
        ("pharmacist list lab_result TREAT assigned", RefusalReason::NotForPharmacies),
        ("lab_tech read prescription TREAT assigned", RefusalReason::NotForLaboratories),
    ] {
        assert_eq!(refusal(&open, words, unchanged), Some(reason), "{words}");
    }
    let read = "provider read encounter TREAT organisation";
    assert_eq!(refusal(&open, read, unchanged), None, "the control: it is permitted");
    let revoked = |facts: &mut Facts| facts.consent = ConsentState::Revoked;
    assert_eq!(refusal(&open, read, revoked), Some(RefusalReason::ConsentRevoked));
    for purpose in ["ETREAT", "BTG"] {
        let broken = format!("provider read encounter {purpose} break-glass");
        assert_eq!(refusal(&open, &broken, revoked), None, "{purpose}: whoever broke the glass sees it");
        let whole = format!("provider read encounter {purpose} organisation");
        assert_eq!(refusal(&open, &whole, revoked), Some(RefusalReason::ConsentRevoked), "{purpose}");
    }
    let other = "provider read encounter TREAT break-glass";
    assert_eq!(refusal(&open, other, revoked), Some(RefusalReason::ConsentRevoked), "no emergency");
    let lacking = |facts: &mut Facts| facts.licence = LicenceState::Lacking;
    let sign = "provider sign encounter TREAT organisation";
    assert_eq!(refusal(&open, sign, lacking), Some(RefusalReason::LicenceLacking));
    let unasked = |facts: &mut Facts| facts.licence = LicenceState::Unasked;
    let prescribe = "provider sign prescription TREAT organisation";
    assert_eq!(refusal(&open, prescribe, unasked), Some(RefusalReason::LicenceLacking));
    let no_basis = |facts: &mut Facts| facts.basis = false;
    let consults = "marketer list consult HOPERAT referral";
    assert_eq!(refusal(&open, consults, no_basis), Some(RefusalReason::NoLegalBasis));
    for category in Category::ALL.into_iter().filter(|category| *category != Category::General) {
        let general = |facts: &mut Facts| facts.category = category;
        assert_eq!(refusal(&open, read, general), Some(RefusalReason::CategoryWithoutConsent), "{category}");
        let specific = |facts: &mut Facts| {
            facts.category = category;
            facts.consent = ConsentState::Specific;
        };
        assert_eq!(refusal(&open, read, specific), None, "{category}");
    }
}

#[test]
fn marketing_never_opens_phi_for_a_role_that_has_no_line_for_it() {
    for principal in Principal::all() {
        for &entity in Entity::ALL.iter().filter(|entity| entity.is_phi()) {
            for &action in Action::ALL {
                for &relationship in Relationship::ALL {
                    let facts = Facts { purpose: Some(Purpose::Marketing), relationship, ..able() };
                    let decision = decide(shipped(), &ask(principal, action, entity, facts));
                    assert!(!decision.allowed(), "{principal} {action} {entity}");
                }
            }
        }
    }
}

#[test]
fn a_refusal_names_its_rule_with_its_citation_and_what_would_help() {
    let mut request = asks("provider sign prescription TREAT organisation");
    request.facts.assurance = 1;
    let decision = decide(shipped(), &request);
    assert_eq!(decision.verdict, Verdict::Refuse(RefusalReason::StepUpRequired));
    assert_eq!(decision.obligations, [Obligation::StepUp(2)]);
    let rule = decision.rules.first().expect("a rule");
    assert_eq!(rule.id, "never-50-prescribe-stepped-up");
    assert!(rule.citation.starts_with("45 CFR 164.312(d)"), "{}", rule.citation);
}

#[test]
fn every_policy_cites_what_it_rests_on() {
    assert!(shipped().rules().count() > 150);
    for rule in shipped().rules() {
        assert!(rule.citation.chars().any(|c| c.is_ascii_digit()), "{}: {}", rule.id, rule.citation);
    }
}
