//! Patients of two organisations who sign in with one address.

use residency_control::{Command, Organisation};
use residency_policy::OrgType;

use super::{ADDRESS, NEXT, PASSWORD, acceptance, with};
use crate::signin::text;
use crate::support::{World, ana, id, jurisdiction};

#[tokio::test]
async fn one_address_is_a_login_of_each_organisation_and_neither_learns_of_the_other() {
    let world = World::new().await;
    let here = world.portal_patient(ADDRESS).await;
    let other = world.book.keys.lock().expect("a lock")["stranger"].org;
    world.done(Command::PutOrganisation(Organisation {
        id: other,
        name: "Oak Street Clinic".parse().expect("a name"),
        org_type: OrgType::Provider,
        serves: [jurisdiction("US-TX")].into_iter().collect(),
        active: true,
    }));
    let registered = world.ask("stranger", "POST", "/v1/patients?home=US-TX").json(&ana()).send().await;
    let there = id(&registered.is(201).json());
    let path = format!("/v1/patients/{there}/portal-invitations");
    let code = text(&world.ask("stranger", "POST", &path).send().await.is(201), "code");
    let accepted = world.at_the_portal("accounts", &with(acceptance(&code), "password", NEXT)).await;
    accepted.is(204);

    let shown =
        |password: &str| with(world.portal_shown(ADDRESS, password), "organisation", &other.to_string());
    let ours = world.portal_token(ADDRESS, PASSWORD).await;
    let theirs = text(&world.at_the_portal("sign-in", &shown(NEXT)).await.is(200), "session_token");
    for (token, own, of_another) in [(&ours, &here, &there), (&theirs, &there, &here)] {
        assert_eq!(world.status_of_patient(token, own).await, 200);
        assert_eq!(world.status_of_patient(token, of_another).await, 404);
    }
    // The password of one is wrong at the other, and is counted there and nowhere else.
    world.at_the_portal("sign-in", &shown(PASSWORD)).await.is(401);
    world.portal_counted(1).await;
    let failures = format!("SELECT failures::bigint FROM portal_accounts WHERE org_id = '{other}'");
    assert_eq!((world.count(&failures).await, world.portal_failures().await), (1, 1));
    // Nor does whoever reads the table see that it is one address.
    assert_eq!(world.count("SELECT count(DISTINCT email_blind) FROM portal_accounts").await, 2);
}
