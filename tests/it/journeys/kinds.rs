//! What nobody is given, not by an operator either: a role that the organisation's kind may not have.

use residency_control::system::SystemEntropy;
use residency_control::{Command, KeyVerifier, Organisation, keys};
use residency_policy::{OrgId, OrgType, Role};
use tests::cluster::{run, shared};
use tests::{clinic, operate};

use super::tenants::{at_every_door, settles};

#[tokio::test]
async fn a_key_of_a_role_that_the_kind_may_not_have_is_nobodys_at_every_door() {
    let org = OrgId::from(clinic::fresh());
    let serves = shared().described().regions.iter().filter_map(|r| r.jurisdiction.parse().ok()).collect();
    let name = "Aspen Outreach".parse().expect("a name");
    let new = Organisation { id: org, name, org_type: OrgType::Marketing, serves, active: true };
    let minted = keys::mint(&SystemEntropy::new());
    let verifier = KeyVerifier {
        key: minted.key,
        org,
        role: Role::Provider,
        jurisdictions: serves,
        secret_sha256: minted.secret_sha256,
        revoked: false,
        expires: None,
    };
    let bare = [Command::AddOrganisation(new), Command::PutKey(verifier)];
    for came in operate::commands(shared(), "tx", &bare).await.expect("they are proposed") {
        assert_eq!(came["of"]["outcome"], "Done", "{came}");
    }
    // Whoever knows what came later in the log knows this one too: and it is the control.
    let (admin, _) = operate::mint(shared(), &org.to_string(), Role::OrgAdmin).await.expect("a key");
    settles(&admin, 200).await;
    for door in at_every_door(minted.text.reveal()) {
        let refused = door.get("/v1/regions").await.expect("an answer");
        assert_eq!(refused.problem(401).expect("a problem"), "unauthenticated", "{}", door.url());
    }

    let config = shared().home().join("regions/tx/node.toml").display().to_string();
    let issue = |role: &str| {
        let org = org.to_string();
        run(&["keys", "issue", &org, "--role", role, "--scopes", "directory:read", "--config", &config])
    };
    let refused = issue("provider").expect_err("it is not issued").to_string();
    assert!(refused.contains("has nobody with the role provider"), "{refused}");
    issue("marketer").expect("the control");
}
