//! Which target a path names.

use http::{Method, Uri};
use proptest::prelude::*;
use residency_control::system::SystemClock;
use residency_policy::{Category, Clock as _, Home, Ingress, Region, Ruleset};
use router::decide::{Step, choose};
use router::identify::{Missing, Page, Sensitivity, Target, identify};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{FakeView, RULES, View, at, patient};

fn target(method: &str, path: &str) -> (Target, &'static str) {
    let found = identify(&Method::from_bytes(method.as_bytes()).unwrap(), &path.parse::<Uri>().unwrap());
    (found.target, found.route)
}

#[test]
fn a_patients_path_names_patient_and_category() {
    let ana = patient(1);
    let general = Target::Patient(ana, Sensitivity::Of(Category::General));
    let any = Target::Patient(ana, Sensitivity::Any);
    let substance_use = Target::Patient(ana, Sensitivity::Of(Category::SubstanceUse));
    let id = ana.to_string();
    for (method, path, expected) in [
        ("GET", format!("/v1/patients/{id}"), general),
        ("DELETE", format!("/v1/patients/{id}?reason=duplicate"), general),
        ("GET", format!("/v1/patients/{id}/encounters"), general),
        ("POST", format!("/v1/patients/{id}/encounters/{id}/sign"), general),
        ("GET", format!("/v1/patients/{id}/encounters/{id}/sign/more"), any),
        ("GET", format!("/v1/patients/{id}/psychotherapy-notes"), any),
        ("GET", format!("/v1/patients/{id}/segregated/substance-use/encounters"), substance_use),
        ("POST", format!("/v1/patients/{id}/segregated/substance-use/encounters/{id}/sign"), substance_use),
        ("GET", format!("/v1/patients/{id}/segregated/substance-use/labs"), any),
        ("GET", format!("/v1/patients/{id}/segregated/general/encounters"), any),
        ("GET", format!("/v1/patients/{id}/segregated/anything/encounters"), any),
        ("GET", format!("/v1/patients/{id}/consents"), any),
        ("GET", format!("/v1/patients/{id}/consents/{id}"), any),
        ("POST", format!("/v1/patients/{id}/consents/{id}/revoke"), any),
        ("GET", format!("/v1/patients/{id}/purposes?kind=access"), any),
        ("GET", format!("/v1/patients/{id}/disclosures"), any),
        ("GET", format!("/v1/patients/{id}/what/comes/later"), any),
        ("GET", format!("https://elsewhere.example/v1/patients/{id}"), general),
    ] {
        assert_eq!(target(method, &path).0, expected, "{method} {path}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one line for each path, and the list is best read whole")]
fn a_path_names_what_it_says() {
    let (ana, texas) = (patient(1), Home(Region(at("US-TX"))));
    let general = Target::Patient(ana, Sensitivity::Of(Category::General));
    let any = Target::Patient(ana, Sensitivity::Any);
    let nobody = Target::NoPatient(Sensitivity::Of(Category::General));
    let home = |why| Target::HomeMissing(why);
    let (missing, once, code) = (home(Missing::REQUIRED), home(Missing::REPEATED), home(Missing::FORMAT));
    let id = ana.to_string();
    for (method, path, expected) in [
        ("GET", "/v1/patients/not-an-id".into(), nobody),
        ("GET", format!("/v1/patients/{}", id.replace('-', "")), nobody),
        ("GET", "/v1/patients?home=US-TX".into(), Target::Region(texas)),
        ("POST", "/v1/patients?limit=5&home=US%2dTX".into(), Target::Region(texas)),
        ("POST", "/v1/patients/search?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/break-glass/reviews?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/break-glass/reviews".into(), missing),
        ("GET", "/v1/audit/events?home=US-TX&outcome=refused".into(), Target::Region(texas)),
        ("GET", "/v1/audit/events".into(), missing),
        ("POST", format!("/v1/patients/{id}/break-glass"), any),
        ("POST", format!("/v1/patients/{id}/break-glass/{id}/review"), any),
        ("GET", "/v1/patients".into(), missing),
        ("GET", "/v1/patients?Home=US-TX".into(), missing),
        ("GET", "/v1/patients?home=US-TX&home=US-TX".into(), once),
        ("GET", "/v1/patients?home=US-TX&hom%65=US-CA".into(), once),
        ("GET", "/v1/patients?home=".into(), code),
        ("GET", "/v1/patients?home=TX".into(), code),
        ("GET", "/v1/patients?home=US-TX%00".into(), code),
        ("GET", "/v1/audit/log/checkpoint?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/audit/log/checkpoint".into(), missing),
        ("GET", "/v1/audit/log/cosigned?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/audit/log/keys?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/audit/log/tile/0/000?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/audit/log/tile/entries/x001/x234/067.p/5?home=US-TX".into(), Target::Region(texas)),
        ("GET", "/v1/audit/log/tile/0/x001/x001/x001/067.p/5?home=US-TX".into(), Target::Nothing),
        ("GET", "/v1/audit/log/tile/0?home=US-TX".into(), Target::Nothing),
        ("GET", "/v1/audit/log/more?home=US-TX".into(), Target::Nothing),
        ("GET", "/v1/audit/log".into(), Target::Nothing),
        ("GET", "/v1/regions".into(), Target::Anywhere),
        ("POST", "/v1/policies/test".into(), Target::Anywhere),
        ("POST", "/v1/policies".into(), Target::Nothing),
        ("POST", "/v1/orgs".into(), Target::Anywhere),
        ("GET", format!("/v1/orgs/{id}"), Target::Anywhere),
        ("POST", format!("/v1/orgs/{id}/users"), Target::Anywhere),
        ("POST", "/v1/csp-reports".into(), Target::Anywhere),
        ("POST", "/v1/csp-reports/more".into(), Target::Nothing),
        ("POST", "/v1/auth/login".into(), Target::Anywhere),
        ("POST", "/v1/auth/refresh".into(), Target::Anywhere),
        ("POST", "/v1/auth/logout".into(), Target::Anywhere),
        ("GET", "/v1/auth/sessions".into(), Target::Anywhere),
        ("DELETE", format!("/v1/auth/sessions/{id}"), Target::Anywhere),
        ("DELETE", format!("/v1/auth/sessions/{id}/more"), Target::Nothing),
        ("POST", "/v1/auth/totp".into(), Target::Anywhere),
        ("POST", "/v1/auth/totp/confirm".into(), Target::Anywhere),
        ("PUT", "/v1/auth/password".into(), Target::Anywhere),
        ("PUT", "/v1/auth/password/more".into(), Target::Nothing),
        ("POST", "/v1/auth/step-up".into(), Target::Anywhere),
        ("POST", "/v1/auth/step-up/more".into(), Target::Nothing),
        ("POST", "/v1/auth/passkeys".into(), Target::Anywhere),
        ("POST", "/v1/auth/passkeys/options".into(), Target::Anywhere),
        ("POST", "/v1/auth/passkeys/more".into(), Target::Nothing),
        ("GET", "/v1/auth/authenticators/passkeys".into(), Target::Anywhere),
        ("POST", "/v1/auth/authenticators/passkeys/options".into(), Target::Anywhere),
        ("DELETE", format!("/v1/auth/authenticators/passkeys/{id}"), Target::Anywhere),
        ("DELETE", format!("/v1/auth/authenticators/passkeys/{id}/more"), Target::Nothing),
        ("GET", "/v1/auth/authenticators".into(), Target::Nothing),
        ("GET", "/v1/auth/authenticators/more".into(), Target::Nothing),
        ("POST", "/v1/auth/invitations/accept".into(), Target::Anywhere),
        ("POST", "/v1/auth/nonsense".into(), Target::Nothing),
        ("GET", format!("/v1/auth/oidc/{id}/start"), Target::Anywhere),
        ("POST", format!("/v1/auth/oidc/{id}/link"), Target::Anywhere),
        ("GET", format!("/v1/auth/oidc/{id}/callback?code=a&state=b"), Target::Anywhere),
        ("GET", format!("/v1/auth/oidc/{id}/start/more"), Target::Nothing),
        ("GET", "/v1/auth/oidc/nonsense".into(), Target::Nothing),
        ("GET", format!("/v1/orgs/{id}/identity-providers"), Target::Anywhere),
        ("PUT", format!("/v1/orgs/{id}/sign-in-settings"), Target::Anywhere),
        ("PUT", format!("/v1/orgs/{id}/legal-basis"), Target::Anywhere),
        ("DELETE", format!("/v1/orgs/{id}/identity-providers/{id}/links/{id}"), Target::Anywhere),
        ("DELETE", format!("/v1/orgs/{id}/identity-providers/{id}/links/{id}/more"), Target::Nothing),
        ("DELETE", format!("/v1/orgs/{id}/identity-providers/{id}/links"), Target::Nothing),
        ("GET", format!("/v1/orgs/{id}/api-keys"), Target::Anywhere),
        ("GET", format!("/v1/orgs/{id}/devices"), Target::Anywhere),
        ("DELETE", format!("/v1/orgs/{id}/devices/{id}"), Target::Anywhere),
        ("PUT", format!("/v1/orgs/{id}/devices/{id}/admission"), Target::Anywhere),
        ("PUT", format!("/v1/orgs/{id}/devices/{id}/admission/more"), Target::Nothing),
        ("DELETE", format!("/v1/orgs/{id}/api-keys/{id}"), Target::Anywhere),
        ("POST", format!("/v1/orgs/{id}/api-keys/{id}/rotate"), Target::Anywhere),
        ("POST", format!("/v1/orgs/{id}/api-keys/{id}/rotate/more"), Target::Nothing),
        ("PUT", format!("/v1/orgs/{id}/sign-in-settings/more"), Target::Nothing),
        ("PUT", format!("/v1/orgs/{id}/legal-basis/more"), Target::Nothing),
        ("DELETE", format!("/v1/orgs/{id}/identity-providers/{id}"), Target::Anywhere),
        ("POST", format!("/v1/orgs/{id}/identity-providers/{id}/test"), Target::Anywhere),
        ("POST", format!("/v1/orgs/{id}/identity-providers/{id}/test/more"), Target::Nothing),
        ("GET", format!("/v1/orgs/{id}/nonsense"), Target::Nothing),
        ("POST", format!("/v1/users/{id}/invitations"), Target::Anywhere),
        ("GET", "/.well-known/jwks.json".into(), Target::Anywhere),
        ("GET", "/.well-known/other".into(), Target::Nothing),
        ("GET", "/v1/providers?state=TX&home=US-TX".into(), Target::Anywhere),
        ("PUT", format!("/v1/providers/{id}"), Target::Anywhere),
        ("PATCH", format!("/v1/users/{id}"), Target::Anywhere),
        ("PUT", format!("/v1/users/{id}/clinician"), Target::Anywhere),
        ("PUT", format!("/v1/providers/{id}/calendar"), Target::Anywhere),
        ("GET", format!("/v1/providers/{id}/slots?from=2027-01-04"), Target::Anywhere),
        ("POST", format!("/v1/providers/{id}/holds"), Target::Anywhere),
        ("DELETE", format!("/v1/providers/{id}/holds/{id}"), Target::Anywhere),
        ("GET", format!("/v1/providers/{id}/holds/{id}/more"), Target::Nothing),
        ("GET", format!("/v1/providers/{id}/patients"), Target::Nothing),
        ("POST", "/v1/portal/accounts?home=US-TX".into(), Target::Region(texas)),
        ("POST", "/v1/portal/sign-in?home=US-TX".into(), Target::Region(texas)),
        ("POST", "/v1/portal/sign-in".into(), missing),
        ("POST", "/v1/portal/sign-out?home=US-TX".into(), Target::Region(texas)),
        ("PUT", "/v1/portal/password?home=US-TX".into(), Target::Region(texas)),
        ("PUT", "/v1/portal/password/more?home=US-TX".into(), Target::Nothing),
        ("POST", "/v1/portal/nonsense?home=US-TX".into(), Target::Nothing),
        ("POST", format!("/v1/patients/{id}/portal-invitations"), general),
        ("DELETE", format!("/v1/patients/{id}/portal-account"), general),
        ("POST", format!("/v1/patients/{id}/appointments"), general),
        ("POST", format!("/v1/patients/{id}/appointments/{id}/reschedule"), general),
        ("POST", format!("/v1/patients/{id}/appointments/{id}/cancel"), general),
        ("GET", format!("/v1/patients/{id}/appointments/{id}/more"), any),
        ("DELETE", format!("/v1/patients/{id}/waitlist/{id}"), general),
        ("GET", format!("/v1/orgs/{id}/users/{id}"), Target::Nothing),
        ("GET", "/v1/users".into(), Target::Nothing),
        ("GET", "/openapi.json".into(), Target::Anywhere),
        ("GET", "/docs".into(), Target::Anywhere),
        ("GET", "/docs/swagger-ui.css".into(), Target::Anywhere),
        ("GET", "/problems/not-found".into(), Target::Anywhere),
        ("GET", "/healthz".into(), Target::Here(Page::Live)),
        ("GET", "/readyz".into(), Target::Here(Page::Ready)),
        ("GET", "/metrics".into(), Target::Here(Page::Metrics)),
        ("POST", "/healthz".into(), Target::ReadOnly),
        ("GET", "/".into(), Target::Nothing),
        ("OPTIONS", "*".into(), Target::Nothing),
        ("GET", "/v2/patients?home=US-TX".into(), Target::Nothing),
        ("GET", "/v1/consults/1".into(), Target::Nothing),
        ("GET", format!("/v1//patients/{id}"), Target::Nothing),
        ("GET", format!("/v1/patients/{id}/"), Target::Nothing),
        ("GET", format!("/v1/patients/{id}/../{id}"), Target::Nothing),
        ("GET", format!("/v1/%70atients/{id}"), Target::Nothing),
        ("GET", format!("/v1/patients/{id};home=US-CA"), Target::Nothing),
        ("TRACE", format!("/v1/patients/{id}"), Target::Method),
        ("CONNECT", "elsewhere.example:443".into(), Target::Method),
        ("PURGE", "/v1/regions".into(), Target::Method),
    ] {
        assert_eq!(target(method, &path).0, expected, "{method} {path}");
    }
}

#[test]
fn a_route_never_shows_what_the_caller_wrote() {
    let id = patient(1).to_string();
    for path in [
        format!("/v1/patients/{id}"),
        format!("/v1/patients/{id}/anagarcia"),
        "/docs/anagarcia".into(),
        "/anagarcia".into(),
    ] {
        let route = target("GET", &path).1;
        assert!(!route.contains("anagarcia") && !route.contains(&id), "{route}");
    }
}

fn view() -> View {
    let view = FakeView::default();
    *view.rules.lock().unwrap() = Some(Arc::new(Ruleset::parse(RULES).unwrap()));
    for region in ["US-TX", "US-NY", "US-IL", "US-NV"] {
        view.region_at(region, "localhost:1".parse().unwrap());
    }
    for (n, home) in [(1, "US-TX"), (2, "US-NY"), (3, "US-IL"), (4, "US-NV")] {
        view.place(patient(n), home, 1);
    }
    View(Arc::new(view))
}

fn step(view: &View, method: &Method, uri: &Uri) -> Step {
    let ingress = Ingress(at("US-CA"));
    choose(view, ingress, Duration::from_secs(10), SystemClock.now(), method, &identify(method, uri), None)
}

/// The homes that a path or query names, read in the most generous way: any id or code anywhere in it.
fn named(view: &View, text: &str) -> Vec<Home> {
    let of_patients = (1..5).filter(|n| text.contains(&patient(*n).to_string()));
    let of_patients =
        of_patients.filter_map(|n| view.0.placements.lock().unwrap().get(&patient(n)).map(|p| p.home));
    let of_codes = ["US-TX", "US-NY", "US-IL", "US-NV"].into_iter().filter(|code| text.contains(code));
    of_patients.collect::<Vec<_>>().into_iter().chain(of_codes.map(|code| Home(Region(at(code))))).collect()
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u8..7).prop_map(|n| patient(n).to_string()),
        proptest::sample::select(vec![
            "v1",
            "patients",
            "search",
            "encounters",
            "orgs",
            "regions",
            "docs",
            "?",
            "&",
            "/",
            "home=",
            "US-TX",
            "US-NY",
            "US-NV",
            "US-CA",
            "=",
            "home",
            "..",
            "%2f",
            ";",
            "healthz",
            "//",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9._~=&?/-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn nothing_goes_to_a_home_that_the_path_and_query_do_not_name(
        pieces in proptest::collection::vec(piece(), 0..12),
        slashes in any::<bool>(),
        method in proptest::sample::select(vec![Method::GET, Method::POST, Method::PATCH, Method::DELETE]),
    ) {
        let view = view();
        let text = format!("/{}", pieces.join(if slashes { "/" } else { "" }));
        let Ok(uri) = text.parse::<Uri>() else { return Ok(()) };
        match step(&view, &method, &uri) {
            Step::Forward(home, _) | Step::Redirect(home) => {
                prop_assert!(named(&view, &text).contains(&home), "{text} went to {home:?}");
            }
            Step::ForwardAnywhere => prop_assert!(!text.starts_with("/v1/patients")),
            Step::ForwardUnknown(regions) => {
                let id = uri.path().split('/').nth(3).and_then(|id| id.parse().ok());
                let placed = id.and_then(|id| view.0.placements.lock().unwrap().get(&id).copied());
                prop_assert!(text.starts_with("/v1/patients/") && placed.is_none(), "{text} has a home");
                let refuse = [Region(at("US-NY")), Region(at("US-IL"))];
                prop_assert!(regions.iter().all(|entry| !refuse.contains(&entry.region)), "{text}");
            }
            Step::Here(_) | Step::Refuse(_) => {}
        }
    }
}

#[test]
fn the_property_can_see_a_forward() {
    // The control of the property above: the same reading of a well-formed path does forward, and to where it says.
    let view = view();
    let uri: Uri = format!("/v1/patients/{}", patient(4)).parse().unwrap();
    assert!(
        matches!(step(&view, &Method::GET, &uri), Step::Forward(Home(Region(home)), Some(_)) if home == at("US-NV"))
    );
    assert!(!named(&view, "/v1/patients/").contains(&Home(Region(at("US-NV")))));
}

#[test]
fn where_the_path_does_not_tell_the_category_the_strictest_rule_holds() {
    let view = view();
    let general: Uri = format!("/v1/patients/{}", patient(1)).parse().unwrap();
    let any: Uri = format!("/v1/patients/{}/psychotherapy-notes", patient(1)).parse().unwrap();
    assert!(matches!(step(&view, &Method::GET, &general), Step::Forward(..)));
    assert!(matches!(step(&view, &Method::GET, &any), Step::Redirect(_)), "substance use redirects");
}
