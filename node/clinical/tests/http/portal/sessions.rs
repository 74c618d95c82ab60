//! How the sessions of patients end, and what a browser must show.

use std::time::Duration;

use node_access::{Admission, Limits};
use rates::{Quota, Quotas};
use residency_policy::Role;
use serde_json::json;

use super::{ADDRESS, NEXT, PASSWORD, acceptance, with};
use crate::support::{Answer, World, ana, id};

#[tokio::test]
async fn a_session_ends_with_its_time_at_sign_out_and_with_the_login() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let of = async |token: &str| world.status_of_patient(token, &patient).await;
    let idle = world.portal_token(ADDRESS, PASSWORD).await;
    let busy = world.portal_token(ADDRESS, PASSWORD).await;
    for _ in 0..25 {
        world.later(1_700);
        assert_eq!(of(&busy).await, 200);
    }
    assert_eq!(of(&idle).await, 401, "after half an hour without a request");
    world.later(43_200 - 25 * 1_700 - 1);
    assert_eq!(of(&busy).await, 200);
    world.later(1);
    assert_eq!(of(&busy).await, 401, "after twelve hours");

    let out = world.portal_token(ADDRESS, PASSWORD).await;
    let stays = world.portal_token(ADDRESS, PASSWORD).await;
    let path = "/v1/portal/sign-out?home=US-TX";
    world.ask(&out, "POST", path).send().await.is(204);
    world.ask(&out, "POST", path).send().await.is(204);
    assert_eq!((of(&out).await, of(&stays).await), (401, 200));
    assert_eq!(world.count("SELECT count(*) FROM portal_sessions").await, 1, "what is over was forgotten");

    let account = format!("/v1/patients/{patient}/portal-account");
    world.ask("stranger", "DELETE", &account).send().await.is(404);
    assert_eq!(of(&stays).await, 200);
    let code = world.portal_code(&patient).await;
    world.ask("provider_staff", "DELETE", &account).send().await.is(204);
    assert_eq!(of(&stays).await, 401);
    world.at_the_portal("accounts", &acceptance(&code)).await.is(401);
    // Another invitation begins it anew, and ends what was there.
    let code = world.portal_code(&patient).await;
    world.at_the_portal("accounts", &acceptance(&code)).await.is(204);
    let before = world.portal_token(ADDRESS, PASSWORD).await;
    let code = world.portal_code(&patient).await;
    world.at_the_portal("accounts", &with(acceptance(&code), "password", NEXT)).await.is(204);
    assert_eq!(of(&before).await, 401);
    world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, PASSWORD)).await.is(401);

    // And whoever is removed from view has none.
    let last = world.portal_token(ADDRESS, NEXT).await;
    world.portal_code(&patient).await;
    let remove = format!("/v1/patients/{patient}?reason=duplicate");
    world.ask("provider", "DELETE", &remove).send().await.is(204);
    assert_eq!(of(&last).await, 401);
    let left = "SELECT (SELECT count(*) FROM portal_accounts) + (SELECT count(*) FROM portal_sessions)
        + (SELECT count(*) FROM portal_invitations)";
    assert_eq!(world.count(left).await, 0);
}

#[tokio::test]
async fn whoever_knows_the_current_password_changes_it_and_their_other_sessions_end() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let (mine, other) =
        (world.portal_token(ADDRESS, PASSWORD).await, world.portal_token(ADDRESS, PASSWORD).await);
    let change = async |token: &str, current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        world.ask(token, "PUT", "/v1/portal/password?home=US-TX").json(&body).send().await
    };
    change(&mine, "wrong", NEXT).await.is(401).problem("unauthenticated");
    world.portal_counted(1).await;
    change(&mine, PASSWORD, "passwordpassword").await.is(422);
    change("provider", PASSWORD, NEXT).await.is(401);
    change(&mine, PASSWORD, NEXT).await.is(204);
    assert_eq!(world.portal_failures().await, 0);
    assert_eq!(world.status_of_patient(&mine, &patient).await, 200);
    assert_eq!(world.status_of_patient(&other, &patient).await, 401);
    world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, PASSWORD)).await.is(401);
    world.portal_token(ADDRESS, NEXT).await;
}

#[tokio::test]
async fn an_address_that_shows_sessions_that_are_none_has_no_other_looked_up_for_a_while() {
    let quotas = Quotas { address: Quota { per_minute: 200, burst: 200 }, ..Quotas::NONE };
    let admission = Admission::new(256, Duration::from_mins(1));
    let world = World::crowded(Limits::default(), &quotas, admission).await;
    let patient = world.portal_patient(ADDRESS).await;
    let good = world.portal_token(ADDRESS, PASSWORD).await;
    let path = format!("/v1/patients/{patient}");
    let status = async |token: &str, from: &str| {
        let ask = world.ask(token, "GET", &path).header("purpose-of-use", "PATRQT").from(from);
        ask.send().await.status.as_u16()
    };
    // One letter of its 256 bits is another.
    let at = good.len() - 20;
    let other = if &good[at..=at] == "A" { "B" } else { "A" };
    let guessed = format!("{}{other}{}", &good[..at], &good[at + 1..]);
    let (here, elsewhere) = ("198.51.100.7", "198.51.100.8");
    for _ in 0..20 {
        assert_eq!(status(&good, here).await, 200, "who shows a good one is not counted");
        assert_eq!(status(&guessed, here).await, 401);
    }
    assert_eq!((status(&guessed, here).await, status(&good, here).await), (429, 429));
    assert_eq!((status(&guessed, elsewhere).await, status(&good, elsewhere).await), (401, 200));
}

#[tokio::test]
async fn of_two_cookies_the_patients_changes_the_patients_password() {
    let world = World::new().await;
    world.portal_patient(ADDRESS).await;
    let staff = world.staff("robin@elm.example", &[Role::Provider]);
    let pairs = |answer: &Answer| {
        let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
        lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
    };
    let shown = json!({ "organisation": world.org, "login": staff.login, "password": crate::signin::PASSWORD });
    let worker = pairs(&world.post("/v1/auth/login", &shown).await.is(200));
    let shown = json!({ "organisation": world.org, "email": ADDRESS, "password": PASSWORD });
    let patient = pairs(&world.at_the_portal("sign-in", &shown).await.is(200));
    let both = format!("{worker}; {patient}");
    let change = |jar: &str, site: &str| {
        let ask = world.ask("", "PUT", "/v1/portal/password?home=US-TX").without("authorization");
        let ask = ask.header("cookie", jar).header("sec-fetch-site", site);
        ask.json(&json!({ "current_password": PASSWORD, "new_password": NEXT })).send()
    };
    change(&worker, "same-origin").await.is(401).problem("unauthenticated");
    change(&both, "cross-site").await.is(403).problem("cross-site");
    change(&both, "same-origin").await.is(204);
    world.portal_token(ADDRESS, NEXT).await;
}

#[tokio::test]
async fn a_browser_has_its_session_where_no_script_reads_it_and_changes_only_from_our_own_page() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let body = json!({ "organisation": world.org, "email": ADDRESS, "password": PASSWORD });
    let answer = world.at_the_portal("sign-in", &body).await.is(200);
    let line = answer.header("set-cookie").to_owned();
    assert!(!answer.text().contains("dom_p_"), "it is in the cookie only");
    for part in ["__Host-domicile-patient=dom_p_US-TX_", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(line.contains(part), "{line}");
    }
    let jar = line.split(';').next().expect("a cookie").to_owned();
    let ask = |method: &str, path: &str, site: Option<&str>| {
        let asking = world.ask("", method, path).without("authorization").header("cookie", &jar);
        let asking = asking.header("purpose-of-use", "PATRQT").header("if-match", "\"1\"");
        match site {
            Some(site) => asking.header("sec-fetch-site", site),
            None => asking,
        }
    };
    let path = format!("/v1/patients/{patient}");
    ask("GET", &path, None).send().await.is(200);
    let renamed = json!({"given_name": "Eva"});
    for site in [None, Some("cross-site"), Some("same-site"), Some("none")] {
        ask("PATCH", &path, site).json(&renamed).send().await.is(403).problem("cross-site");
        ask("POST", "/v1/portal/sign-out?home=US-TX", site).send().await.is(403).problem("cross-site");
        ask("POST", "/v1/portal/sign-in?home=US-TX", site)
            .json(&body)
            .send()
            .await
            .is(403)
            .problem("cross-site");
    }
    ask("PATCH", &path, Some("same-origin")).json(&renamed).send().await.is(200);
    // A browser has one session.
    ask("POST", "/v1/portal/sign-in?home=US-TX", Some("same-origin")).json(&body).send().await.is(200);
    ask("GET", &path, None).send().await.is(401);
    assert_eq!(world.count("SELECT count(*) FROM portal_sessions").await, 1);
}

/// Nothing of a login is in the control plane: neither what it replicates nor what it is asked changes by it.
#[tokio::test]
async fn nothing_of_a_login_is_in_the_control_plane() {
    let world = World::new().await;
    world.colleague(&[Role::Provider]);
    let state = || {
        let state = world.book.state.lock().expect("a lock");
        (state.signin().clone(), format!("{:?}", state.organisations()))
    };
    let before = state();
    let patient = id(&world.register(&ana()).await);
    let code = world.portal_code(&patient).await;
    world.at_the_portal("accounts", &acceptance(&code)).await.is(204);
    world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, "wrong")).await.is(401);
    world.portal_counted(1).await;
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let path = "/v1/portal/sign-out?home=US-TX";
    world.ask(&token, "POST", path).send().await.is(204);
    assert!(state() == before, "nothing was proposed");
    // The control: somebody of the workforce is seen there.
    world.staff("robin@elm.example", &[Role::Provider]);
    assert!(state() != before);
}

#[tokio::test]
async fn a_browser_that_is_somebody_of_the_workforce_too_ends_its_patients_session_all_the_same() {
    let world = World::new().await;
    world.portal_patient(ADDRESS).await;
    let body = json!({ "organisation": world.org, "email": ADDRESS, "password": PASSWORD });
    let sessions = "SELECT count(*) FROM portal_sessions";
    let kept = |answer: &Answer| answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let ask = |act: &str, cookie: &str, site: &str| {
        let path = format!("/v1/portal/{act}?home=US-TX");
        let asking = world.ask("", "POST", &path).without("authorization").without("purpose-of-use");
        let jar = format!("__Host-domicile-access=provider; {cookie}");
        asking.header("cookie", &jar).header("sec-fetch-site", site)
    };
    let first = kept(&world.at_the_portal("sign-in", &body).await.is(200));
    let second = kept(&ask("sign-in", &first, "same-origin").json(&body).send().await.is(200));
    assert_ne!(first, second);
    assert_eq!(world.count(sessions).await, 1, "the one before was replaced");
    ask("sign-out", &second, "cross-site").send().await.is(403).problem("cross-site");
    assert_eq!(world.count(sessions).await, 1);
    ask("sign-out", &second, "same-origin").send().await.is(204);
    assert_eq!(world.count(sessions).await, 0);
}
