//! An organisation's API keys as its operator sees to them: issued, used for what they are for, rotated, revoked; and an
//! organisation that shut itself out.

use residency_control::Command;
use residency_control::signin::{Networks, SignInChange, SignInSettings};
use tests::client::Client;
use tests::cluster::{run, shared};
use tests::faults::wait_until;
use tests::operate;

use super::tenants::{Tenant, settles};

/// The router, and every region's own door.
fn doors() -> Vec<Client> {
    let regions = shared().described().regions.iter().map(|region| shared().nobody().at(&region.url));
    [shared().nobody()].into_iter().chain(regions).collect()
}

/// Waits until a key gets this status for a list of regions at every door.
async fn answers(key: &str, status: u16) {
    for door in doors() {
        let door = door.key(key);
        wait_until("the key's new standing to be known", async || {
            door.get("/v1/regions").await.ok().filter(|answer| answer.status == status).map(|_| ())
        })
        .await
        .unwrap_or_else(|e| panic!("{}: {e}", door.url()));
    }
}

fn first_line(said: &str) -> String {
    said.lines().next().expect("a line").to_owned()
}

#[tokio::test]
async fn a_key_is_issued_for_something_rotated_with_overlap_and_revoked() {
    let own = Tenant::new("Hawthorn Street Clinic").await;
    let config = shared().home().join("regions/tx/node.toml").display().to_string();
    let keys = |act: &str, with: &[&str]| {
        let all: Vec<&str> = ["keys", act].iter().chain(with).copied().chain(["--config", &config]).collect();
        run(&all)
    };
    let scopes = ["--role", "org_admin", "--scopes", "directory:write", "--days", "7"];
    let issue: Vec<&str> = [own.id.as_str()].into_iter().chain(scopes).collect();
    let first = first_line(&keys("issue", &issue).expect("it is issued"));
    answers(&first, 200).await;
    for door in doors() {
        let users = door.key(&first).get(&format!("/v1/orgs/{}/users", own.id)).await.expect("an answer");
        assert_eq!(users.problem(403).expect("a problem"), "forbidden");
        assert_eq!(users.json()["reason"], "scope-lacking", "{}", door.url());
        let admins = door.key(&own.key).get(&format!("/v1/orgs/{}/users", own.id)).await;
        assert_eq!(admins.expect("an answer").status, 200, "the control: the role may");
    }
    let id = first[3..35].to_owned();
    let listed = keys("list", &[&own.id]).expect("they are listed");
    let of_key = listed.lines().find(|line| line.replace('-', "").starts_with(&id)).expect("it is there");
    assert!(of_key.contains("directory:write") && !listed.contains(&first[36..]), "{listed}");

    let rotate = |overlap: &'static str| {
        keys("rotate", &[&own.id, &first[..35], "--overlap-hours", overlap]).map(|said| first_line(&said))
    };
    let second = rotate("1").expect("it is rotated");
    for key in [&first, &second] {
        answers(key, 200).await;
    }
    let third = rotate("0").expect("it is rotated");
    for (key, status) in [(&first, 401), (&second, 401), (&third, 200)] {
        answers(key, status).await;
    }
    keys("revoke", &[&id]).expect("it is revoked");
    answers(&third, 401).await;
    let none = rotate("0").expect_err("it was revoked");
    assert!(none.to_string().contains("not open"), "{none}");
    let unknown = keys("rotate", &[&own.id, &"0".repeat(32)]).expect_err("there is none");
    assert!(unknown.to_string().contains("no such key"), "{unknown}");
}

#[tokio::test]
async fn an_organisation_that_shut_itself_out_is_opened_by_its_operator() {
    let own = Tenant::new("Juniper Street Clinic").await;
    let config = shared().home().join("regions/ny/node.toml").display().to_string();
    let open = || run(&["orgs", "open", &own.id, "--config", &config]);
    assert!(open().expect("it runs").contains("nothing was changed"));
    let org = own.id.parse().expect("an id");
    let networks = Networks::new(vec!["203.0.113.0/24".parse().expect("a network")]).expect("one");
    let settings = SignInSettings { networks, ..SignInSettings::unset(org) };
    let put = Command::SignIn(SignInChange::PutSettings { settings, expected: 0 });
    let came = operate::commands(shared(), "tx", &[put]).await.expect("it is proposed");
    assert_eq!(came[0]["of"]["outcome"], "Done", "{came:?}");
    settles(&own.key, 403).await;
    assert!(open().expect("it runs").contains("is open"));
    settles(&own.key, 200).await;

    // Shut by its known devices alone, which no key shows: the node that is asked has heard of what it proposed itself.
    let settings = SignInSettings { known_devices_only: true, ..SignInSettings::unset(org) };
    let put = Command::SignIn(SignInChange::PutSettings { settings, expected: 2 });
    let came = operate::commands(shared(), "ny", &[put]).await.expect("it is proposed");
    assert_eq!(came[0]["of"]["outcome"], "Done", "{came:?}");
    assert!(open().expect("it runs").contains("on any device"));
    assert!(open().expect("it runs").contains("nothing was changed"));
}
