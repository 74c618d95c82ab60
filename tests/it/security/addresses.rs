//! From where an organisation's people and keys may come, at a running cluster: who the client is, its own socket says at
//! whichever door, and nothing that it sends.

use residency_control::Command;
use residency_control::signin::{Networks, SignInChange, SignInSettings};
use residency_policy::{OrgId, Role};
use tests::client::{Answer, Client};
use tests::clinic;
use tests::cluster::shared;
use tests::faults::wait_until;
use tests::operate;

/// Adds an organisation, and returns its id.
async fn organisation() -> OrgId {
    let id = OrgId::from(clinic::fresh());
    let new = residency_control::Organisation {
        id,
        name: "Elm Street Clinic".parse().expect("a name"),
        org_type: residency_policy::OrgType::Provider,
        serves: shared().described().regions.iter().filter_map(|r| r.jurisdiction.parse().ok()).collect(),
        active: true,
    };
    put(Command::AddOrganisation(new)).await;
    id
}

async fn put(command: Command) {
    let came = operate::commands(shared(), "tx", &[command]).await.expect("it is proposed");
    assert_eq!(came[0]["of"]["outcome"], "Done", "{came:?}");
}

async fn list(org: OrgId, network: &str, expected: u64) {
    let networks = Networks::new(vec![network.parse().expect("a network")]).expect("one");
    let settings = SignInSettings { networks, ..SignInSettings::unset(org) };
    put(Command::SignIn(SignInChange::PutSettings { settings, expected })).await;
}

/// The router, and every region's own door.
fn doors() -> Vec<Client> {
    let regions = shared().described().regions.iter().map(|region| shared().nobody().at(&region.url));
    [shared().nobody()].into_iter().chain(regions).collect()
}

async fn asked(door: &Client, key: &str, path: &str) -> Answer {
    let forged = door.key(key);
    let forged = forged.ask(http::Method::GET, path).header("purpose-of-use", "TREAT");
    let forged = forged.header("domicile-client", "203.0.113.7").header("x-forwarded-for", "203.0.113.7");
    forged.send().await.expect("an answer")
}

#[tokio::test]
async fn a_key_is_good_from_the_listed_networks_at_every_door_and_no_header_helps() {
    let org = organisation().await;
    let (key, _) = operate::mint(shared(), &org.to_string(), Role::Provider).await.expect("a key");
    // This machine is not in it.
    list(org, "203.0.113.0/24", 0).await;
    for door in doors() {
        let refused = || async {
            let answer = asked(&door, &key, "/v1/regions").await;
            (answer.status == 403).then_some(answer)
        };
        let answer = wait_until("the list to be known", refused).await.expect("it is refused");
        assert_eq!(answer.problem(403).expect("a problem"), "address-not-allowed", "{}", door.url());
        let patient = asked(&door, &key, &format!("/v1/patients/{}", clinic::fresh())).await;
        assert_eq!(patient.problem(403).expect("a problem"), "address-not-allowed", "{}", door.url());
    }
    list(org, "127.0.0.0/8", 1).await;
    for door in doors() {
        let let_in = || async { (asked(&door, &key, "/v1/regions").await.status == 200).then_some(()) };
        wait_until("the new list to be known", let_in).await.expect("it is let in");
        let patient = asked(&door, &key, &format!("/v1/patients/{}", clinic::fresh())).await;
        assert_eq!(patient.status, 404, "{}", door.url());
    }
}
