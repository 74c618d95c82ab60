//! Having less never allows more, wherever a policy could permit anything: every such role, action and entity, with every
//! purpose, relationship and state of consent, and the other facts around them. What is drawn by chance (`properties.rs`)
//! would not meet a policy that is wrong for one role and one entity.

use node_policy::{
    Action, ConsentState, Entity, Facts, LicenceState, Loaded, POLICIES, PolicyFile, Principal, Relationship,
    SCHEMA, decide,
};
use residency_policy::{Category, Purpose};

use crate::situation::{able, ask, shipped};

/// Whether the first situation is the second with some of it missing.
fn has_less(less: &Facts, more: &Facts) -> bool {
    let purpose = less.purpose.is_none() || less.purpose == more.purpose;
    let related = less.relationship == Relationship::None || less.relationship == more.relationship;
    purpose
        && related
        && less.consent <= more.consent
        && less.licence <= more.licence
        && less.basis <= more.basis
        && less.assurance <= more.assurance
        && less.category == more.category
}

/// Every purpose, relationship and state of consent, with nothing else missing. What is no PHI is asked for a purpose and
/// for none.
fn why_and_how(entity: Entity) -> Vec<Facts> {
    let purposes = std::iter::once(None).chain(Purpose::ALL.iter().copied().map(Some));
    let mut all = Vec::new();
    for purpose in purposes.take(if entity.is_phi() { usize::MAX } else { 2 }) {
        for &relationship in Relationship::ALL {
            all.extend(ConsentState::ALL.iter().map(|consent| Facts {
                purpose,
                relationship,
                consent: *consent,
                ..able()
            }));
        }
    }
    all
}

/// What else may be missing, for one purpose and in one relationship; and every category with every state of consent.
fn what_else(facts: Facts) -> Vec<Facts> {
    let mut all = Vec::new();
    for category in [Category::General, Category::SubstanceUse] {
        for consent in [ConsentState::None, ConsentState::General] {
            for &licence in LicenceState::ALL {
                for basis in [false, true] {
                    all.extend([1, 2].map(|assurance| Facts {
                        category,
                        consent,
                        licence,
                        basis,
                        assurance,
                        ..facts
                    }));
                }
            }
        }
    }
    for category in Category::ALL {
        all.extend(ConsentState::ALL.iter().map(|consent| Facts { category, consent: *consent, ..facts }));
    }
    all
}

/// A question without its situation.
type Key = (Principal, Action, Entity);

/// Those of these situations in which it is allowed, and a pair of which the one with less is allowed and the other not.
fn compared(policies: &Loaded, key: Key, situations: &[Facts]) -> Result<Vec<Facts>, String> {
    let (principal, action, entity) = key;
    let is_allowed = |facts: &Facts| decide(policies, &ask(principal, action, entity, *facts)).allowed();
    let (allowed, refused): (Vec<Facts>, Vec<Facts>) = situations.iter().copied().partition(is_allowed);
    for less in &allowed {
        if let Some(more) = refused.iter().find(|more| has_less(less, more)) {
            return Err(format!("{principal} {action} {entity}: {less:?} is allowed, {more:?} is not"));
        }
    }
    Ok(allowed)
}

/// How many questions were asked about these entities, or where having less allows more.
fn judge(policies: &Loaded, entities: &[Entity]) -> Result<usize, String> {
    let mut asked = 0;
    for principal in Principal::all() {
        for (&entity, &action) in entities.iter().flat_map(|e| Action::ALL.iter().map(move |a| (e, a))) {
            if !policies.permits(principal, action, entity) {
                continue;
            }
            let key = (principal, action, entity);
            let first = why_and_how(entity);
            let allowed = compared(policies, key, &first)?;
            let (purpose, relationship) = (Some(Purpose::Treat), Relationship::Organisation);
            let usual = allowed.last().copied().unwrap_or(Facts { purpose, relationship, ..able() });
            let second = what_else(usual);
            compared(policies, key, &second)?;
            asked += first.len() + second.len();
        }
    }
    Ok(asked)
}

#[test]
fn having_less_never_allows_more_wherever_anything_could_be_permitted() {
    let asked = judge(shipped(), Entity::ALL).expect("nothing is allowed by having less");
    assert!(asked > 100_000, "only {asked} questions");
}

#[test]
fn a_policy_that_is_wrong_for_one_role_and_one_entity_is_found() {
    for (entity, seed) in [
        (
            Entity::Patient,
            r#"permit (principal == Role::"lab_tech", action == Action::"delete", resource is Patient)
               when { context.consent == ConsentState::"none" };"#,
        ),
        (
            Entity::Claim,
            r#"permit (principal == Role::"provider_staff", action == Action::"delete", resource is Claim)
               when { context.purpose == Purpose::"HLEGAL" && context.relationship == Relationship::"referral"
                      && context.consent == ConsentState::"general" };"#,
        ),
        (
            Entity::Encounter,
            r#"permit (principal == Role::"provider", action == Action::"read", resource is Encounter)
               when { context.purpose == Purpose::"HRESCH" && context.relationship == Relationship::"none" };"#,
        ),
        (
            Entity::Calendar,
            r#"permit (principal == Role::"pharmacist", action == Action::"update", resource is Calendar)
               when { context.purpose == Purpose::"none" };"#,
        ),
        (
            Entity::Message,
            r#"permit (principal == Role::"support", action == Action::"create", resource is Message)
               when { context.licence == Licence::"lacking" };"#,
        ),
        (
            Entity::Payment,
            r#"permit (principal == Role::"patient", action == Action::"delete", resource is Payment)
               when { !context.basis };"#,
        ),
        (
            Entity::Kit,
            r#"permit (principal == Role::"auditor", action == Action::"create", resource is Kit)
               when { context.assurance == 1 };"#,
        ),
    ] {
        assert!(judge(shipped(), &[entity]).is_ok(), "the control: {entity}");
        let text = format!("@id(\"seeded\")\n@citation(\"none\")\n@shape(\"full\")\n{seed}");
        let seeded = PolicyFile { name: "seeded.cedar", text: &text };
        let files: Vec<PolicyFile<'_>> = POLICIES.iter().copied().chain([seeded]).collect();
        let loaded = Loaded::parse(SCHEMA, &files).expect("it loads");
        let found = judge(&loaded, &[entity]).err();
        assert!(found.is_some(), "{seed}");
    }
}
