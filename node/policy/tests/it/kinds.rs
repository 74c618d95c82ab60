//! A role counts only in an organisation of a kind that may have it, said again apart from the policies.

use node_policy::{
    Action, Entity, Facts, Loaded, POLICIES, PolicyFile, Principal, RefusalReason, Relationship, SCHEMA,
    Verdict, decide,
};
use residency_policy::{OrgType, Purpose, Role};

use crate::situation::{able, ask, shipped};

/// Every role in an organisation of every kind, and in none.
fn places() -> impl Iterator<Item = (Option<OrgType>, Role)> {
    let kinds = || std::iter::once(None).chain(OrgType::ALL.iter().copied().map(Some));
    Role::ALL.iter().flat_map(move |role| kinds().map(move |kind| (kind, *role)))
}

/// Whether the policies may say yes at all.
fn may(kind: Option<OrgType>, role: Role, action: Action, entity: Entity) -> bool {
    let has = kind.is_some_and(|kind| kind.may_have(role));
    let blind = kind == Some(OrgType::Marketing) && role != Role::Marketer && entity.is_phi();
    let founds = (action, entity) == (Action::Create, Entity::Organisation);
    has && !blind && (!founds || kind == Some(OrgType::Provider))
}

/// How often something was allowed, or what is allowed to somebody whose organisation may not have the role, or the other
/// way about.
fn compare(policies: &Loaded) -> Result<usize, Vec<String>> {
    let (mut allowed, mut wrong) = (0, Vec::new());
    for &entity in Entity::ALL {
        for &action in Action::ALL {
            let purposes = [Purpose::Treat, Purpose::Operations];
            for purpose in purposes.into_iter().take(if entity.is_phi() { 2 } else { 1 }) {
                for (kind, role) in places() {
                    let relationship = match role {
                        Role::Marketer => Relationship::Referral,
                        _ => Relationship::Assigned,
                    };
                    let facts = Facts { purpose: Some(purpose), relationship, ..able() };
                    // Without its kind the helper takes the usual one.
                    let usual = ask(Principal::Member(role), action, entity, facts);
                    let mut there = usual;
                    there.facts.organisation = kind;
                    let got = decide(policies, &there).allowed();
                    let want = may(kind, role, action, entity) && decide(policies, &usual).allowed();
                    allowed += usize::from(got);
                    if got != want {
                        wrong.push(format!("{role} of {kind:?} {action} {entity}"));
                    }
                }
            }
        }
    }
    if wrong.is_empty() { Ok(allowed) } else { Err(wrong) }
}

#[test]
fn a_role_counts_only_where_the_organisations_kind_may_have_it() {
    let allowed = compare(shipped()).unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    assert!(allowed > 300, "only {allowed}");
}

#[test]
fn a_policy_set_that_asks_for_the_role_alone_is_caught() {
    for (missing, lets) in [
        ("never-01-role-of-another-kind", "provider of Some(lab) read patient"),
        ("never-02-marketing-partner-phi", "org_admin of Some(marketing) list patient"),
        ("never-03-tenant-by-partner", "org_admin of Some(marketing) create organisation"),
    ] {
        let never = POLICIES.iter().find(|file| file.name == "never.cedar").expect("the denials").text;
        let (head, tail) = never.split_once(&format!("@id(\"{missing}\")")).expect("the policy is there");
        let (_, rest) = tail.split_once("};").expect("its end");
        let text = format!("{head}{rest}");
        let others = POLICIES.iter().copied().filter(|file| file.name != "never.cedar");
        let files: Vec<_> = others.chain([PolicyFile { name: "never.cedar", text: &text }]).collect();
        let loaded = Loaded::parse(SCHEMA, &files).expect("it loads");
        let wrong = compare(&loaded).expect_err("it is caught");
        assert!(wrong.iter().any(|line| line == lets), "{missing}: {wrong:?}");
    }
}

#[test]
fn a_refusal_says_that_it_is_the_kind_of_organisation() {
    for (role, entity) in [(Role::Provider, Entity::Patient), (Role::OrgAdmin, Entity::Consent)] {
        let facts = Facts {
            organisation: Some(OrgType::Marketing),
            purpose: Some(Purpose::Operations),
            relationship: Relationship::Organisation,
            ..able()
        };
        let decision = decide(shipped(), &ask(Principal::Member(role), Action::Read, entity, facts));
        assert_eq!(decision.verdict, Verdict::Refuse(RefusalReason::NotForOrganisation), "{role}");
    }
}
