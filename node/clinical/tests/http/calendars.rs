//! Calendars, slots and holds, over HTTP.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use jiff::civil::{Date, date};
use residency_control::machine::apply;
use residency_control::{Command, Languages, Organisation, Outcome, Provider, ProviderOrgs, Taxonomies};
use residency_policy::licensure::{Attested, Licence, LicenceKind, LicenceStatus, Licences};
use residency_policy::{Npi, OrgId, OrgType, ProviderId};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::support::{Answer, World, jurisdiction, random};

/// When the tests' clock stands, as a day of the week: a Wednesday, `2026-11-18T11:06:40Z`.
pub(crate) const MONDAY: &str = "2026-11-23";

/// A licence from 2020 on.
pub(crate) fn licence(state: &str, until: Option<Date>) -> Licence {
    let since = date(2020, 1, 1);
    Licence {
        jurisdiction: jurisdiction(state),
        kind: LicenceKind::Full,
        number: format!("{}-1", &state[3..]).parse().expect("a number"),
        status: LicenceStatus::Active,
        status_since: since,
        from: since,
        until,
        source: "state-board".parse().expect("a source"),
        verified: since,
    }
}

/// What an organisation answers for.
pub(crate) fn attested(org: OrgId, licences: Vec<Licence>) -> Attested {
    Attested::alike(&[org], &Licences::new(licences).expect("licences")).expect("one list")
}

/// Weekdays from nine to five by the clock of Chicago, half an hour each.
pub(crate) fn weekdays() -> Value {
    json!({
        "zone": "America/Chicago", "slot_minutes": 30, "horizon_days": 400,
        "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:00", "since": "2026-01-01"}]
    })
}

impl World {
    /// A clinician of the clinic's own organisation who holds these licences, without a calendar.
    pub(crate) fn clinician(&self, licences: Vec<Licence>) -> ProviderId {
        let nine = u32::from_be_bytes(random::<[u8; 16]>()[..4].try_into().expect("four bytes"));
        self.clinician_known_by(Npi::from_nine(100_000_000 + nine % 200_000_000).expect("an NPI"), licences)
    }

    /// The same with this NPI.
    pub(crate) fn clinician_known_by(&self, npi: Npi, licences: Vec<Licence>) -> ProviderId {
        let id = ProviderId::random(&TestEntropy::default());
        let mut state = self.book.state.lock().expect("a lock");
        let organisation = Organisation {
            id: self.org,
            name: "Lone Star Health".parse().expect("a name"),
            org_type: OrgType::Provider,
            serves: [jurisdiction("US-TX")].into_iter().collect(),
            active: true,
        };
        let known = state.organisations().contains_key(&self.org);
        if !known {
            assert_eq!(apply(&mut state, Command::PutOrganisation(organisation)), Outcome::Done);
        }
        let provider = Provider {
            id,
            npi,
            name: "Robin Sample".parse().expect("a name"),
            taxonomy: Taxonomies::new(vec!["207Q00000X".parse().expect("a code")]).expect("codes"),
            languages: Languages::new(Vec::new()).expect("languages"),
            orgs: ProviderOrgs::new(vec![self.org]).expect("organisations"),
            licences: attested(self.org, licences),
            collaborating: None,
            active: true,
            synthetic: true,
            version: 0,
        };
        let put = Command::PutProvider { provider, expected: 0 };
        assert_eq!(apply(&mut state, put), Outcome::Done);
        id
    }

    /// A clinician for Texas and California who is there on weekdays.
    pub(crate) async fn doctor(&self) -> ProviderId {
        let id = self.clinician(vec![licence("US-TX", None), licence("US-CA", None)]);
        self.put_calendar(id, "\"0\"", &weekdays()).await.is(200);
        id
    }

    pub(crate) async fn put_calendar(&self, provider: ProviderId, tag: &str, body: &Value) -> Answer {
        let path = format!("/v1/providers/{provider}/calendar");
        self.open("org_admin", "PUT", &path).header("if-match", tag).json(body).send().await
    }

    /// A request for what is not PHI.
    pub(crate) fn open(&self, key: &str, method: &str, path: &str) -> crate::support::Ask<'_> {
        self.ask(key, method, path).without("purpose-of-use")
    }

    pub(crate) async fn hold(&self, provider: ProviderId, start: &str) -> Answer {
        let body = json!({"start": start, "service_jurisdiction": "US-TX"});
        self.open("provider", "POST", &format!("/v1/providers/{provider}/holds")).json(&body).send().await
    }

    /// The free slots between two days, by their beginning as the wall clock in a zone shows it.
    pub(crate) async fn slots(&self, provider: ProviderId, from: &str, to: &str, zone: &str) -> Vec<String> {
        let path = format!("/v1/providers/{provider}/slots?from={from}&to={to}&zone={zone}");
        let body = self.open("provider_staff", "GET", &path).send().await.is(200).json();
        let slots = body["data"].as_array().expect("a list");
        slots.iter().map(|slot| slot["local_start"].as_str().expect("text").to_owned()).collect()
    }
}

#[tokio::test]
async fn a_calendar_is_put_by_whoever_has_seen_it() {
    let world = World::new().await;
    let provider = world.clinician(vec![licence("US-TX", None)]);
    let path = format!("/v1/providers/{provider}/calendar");
    world.open("provider", "GET", &path).send().await.is(404).problem("not-found");
    let first = world.put_calendar(provider, "\"0\"", &weekdays()).await.is(200);
    assert_eq!((first.header("etag"), first.json()["version"].as_i64()), ("\"1\"", Some(1)));
    assert!(first.header("x-log-index").parse::<u64>().is_ok(), "{:?}", first.headers);
    world.put_calendar(provider, "\"0\"", &weekdays()).await.is(412).problem("precondition-failed");
    let mut longer = weekdays();
    longer["slot_minutes"] = json!(60);
    let second = world.put_calendar(provider, "\"1\"", &longer).await.is(200);
    assert_eq!(second.header("etag"), "\"2\"");
    let read = world.open("provider_staff", "GET", &path).send().await.is(200);
    assert_eq!((read.header("etag"), read.json()), ("\"2\"", second.json()));
    let without = world.open("org_admin", "PUT", &path).json(&weekdays()).send().await;
    without.is(428).problem("precondition-required");
    world.open("stranger", "GET", &path).send().await.is(403).problem("forbidden");
    let linearizable = format!("{path}?consistency=linearizable");
    world.open("provider", "GET", &linearizable).send().await.is(200);
    world.book.quorum.store(false, Ordering::SeqCst);
    world.open("provider", "GET", &linearizable).send().await.is(503).problem("control-unavailable");
    world.open("provider", "GET", &path).send().await.is(200);
    world.put_calendar(provider, "\"2\"", &weekdays()).await.is(503).problem("control-unavailable");
}

#[tokio::test]
async fn slots_are_those_of_the_clock_on_the_wall_also_when_it_is_changed() {
    let world = World::new().await;
    let provider = world.clinician(vec![licence("US-NY", None)]);
    let night = json!({
        "zone": "America/New_York", "slot_minutes": 60, "horizon_days": 400,
        "weekly": [{"days": ["sun"], "from": "00:00", "to": "04:00", "since": "2026-01-01"}]
    });
    world.put_calendar(provider, "\"0\"", &night).await.is(200);
    let spring = world.slots(provider, "2027-03-14", "2027-03-15", "America/New_York").await;
    let expected = ["T00:00:00-05:00", "T01:00:00-05:00", "T03:00:00-04:00"];
    assert_eq!(spring, expected.map(|at| format!("2027-03-14{at}[America/New_York]")));
    let autumn = world.slots(provider, "2027-11-07", "2027-11-08", "America/New_York").await;
    let expected =
        ["T00:00:00-04:00", "T01:00:00-04:00", "T01:00:00-05:00", "T02:00:00-05:00", "T03:00:00-05:00"];
    assert_eq!(autumn, expected.map(|at| format!("2027-11-07{at}[America/New_York]")));
    // The same slots by another clock, and a place where no clock is changed.
    let elsewhere = world.slots(provider, "2027-11-07", "2027-11-08", "America/Phoenix").await;
    assert_eq!(
        elsewhere[0], "2027-11-07T00:00:00-07:00[America/Phoenix]",
        "its own midnight begins the window"
    );
    let mut phoenix = night.clone();
    phoenix["zone"] = json!("America/Phoenix");
    world.put_calendar(provider, "\"1\"", &phoenix).await.is(200);
    for day in ["2027-03-14", "2027-11-07"] {
        let next: Date = day.parse::<Date>().expect("a date").tomorrow().expect("a date");
        let slots = world.slots(provider, day, &next.to_string(), "America/Phoenix").await;
        assert_eq!(slots.len(), 4, "{slots:?}");
    }
}

#[tokio::test]
async fn a_hold_takes_a_slot_for_a_while() {
    let world = World::new().await;
    let provider = world.doctor().await;
    let start = "2026-11-23T15:00:00Z";
    let before = world.slots(provider, MONDAY, "2026-11-24", "America/Chicago").await;
    assert_eq!((before.len(), before[0].as_str()), (16, "2026-11-23T09:00:00-06:00[America/Chicago]"));
    let path = format!("/v1/providers/{provider}/holds");
    let body = json!({"start": "2026-11-23T09:00[America/Chicago]", "service_jurisdiction": "US-TX"});
    let ask = || world.open("provider", "POST", &path).header("idempotency-key", "one").json(&body);
    let held = ask().send().await.is(201);
    let shown = held.json();
    assert_eq!((&shown["start"], &shown["status"]), (&json!(start), &json!("held")));
    assert_eq!(shown["expires_at"], "2026-11-18T11:11:40Z");
    assert!(held.header("x-log-index").parse::<u64>().is_ok());
    assert_eq!(held.header("location"), format!("{path}/{}", shown["handle"].as_str().expect("an id")));
    world.region.clock.set("2026-11-18T11:07:40Z".parse().expect("an instant"));
    let again = ask().send().await.is(201);
    assert_eq!((again.json(), again.header("idempotent-replayed")), (shown.clone(), "true"));
    let other = json!({"start": "2026-11-23T15:30:00Z", "service_jurisdiction": "US-TX"});
    let reused =
        world.open("provider", "POST", &path).header("idempotency-key", "one").json(&other).send().await;
    reused.is(422).problem("idempotency-reused");
    // The same key with anything else of the request changed: another provider, another place, a reason.
    let elsewhere = format!("/v1/providers/{}/holds", world.doctor().await);
    let in_california = json!({"start": start, "service_jurisdiction": "US-CA"});
    let urgent = json!({"start": start, "service_jurisdiction": "US-TX", "override_reason": "urgent-need"});
    for (path, body) in [(&elsewhere, &body), (&path, &in_california), (&path, &urgent)] {
        let reused =
            world.open("provider", "POST", path).header("idempotency-key", "one").json(body).send().await;
        reused.is(422).problem("idempotency-reused");
    }
    world
        .open("provider", "POST", &elsewhere)
        .header("idempotency-key", "two")
        .json(&body)
        .send()
        .await
        .is(201);

    let taken = world.hold(provider, start).await.is(409).problem("slot-taken");
    assert_eq!(taken["slot"], json!({"provider": provider.to_string(), "start": start}));
    assert_eq!(world.slots(provider, MONDAY, "2026-11-24", "America/Chicago").await.len(), 15);
    let one = held.header("location").to_owned();
    assert_eq!(world.open("provider_staff", "GET", &one).send().await.is(200).json(), shown);
    world.open("stranger", "GET", &one).send().await.is(404).problem("not-found");
    world.open("stranger", "DELETE", &one).send().await.is(404).problem("not-found");
    world.open("provider", "DELETE", &one).send().await.is(204);
    world.open("provider", "DELETE", &one).send().await.is(204);
    world.open("provider", "GET", &one).send().await.is(404);

    let held = world.hold(provider, start).await.is(201).header("location").to_owned();
    world.region.clock.set("2026-11-18T11:12:40Z".parse().expect("an instant"));
    world.open("provider", "GET", &held).send().await.is(404);
    world.hold(provider, start).await.is(201);
}

#[tokio::test]
async fn fifty_who_want_one_slot_at_once_are_one_who_gets_it() {
    let world = World::new().await;
    let provider = world.doctor().await;
    let start = "2026-11-23T15:00:00Z";
    let answers = join_all((0..50).map(|_| world.hold(provider, start))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.is(409).problem("slot-taken")["slot"]["start"], start);
    }
}

#[tokio::test]
async fn who_may_not_practise_there_is_not_booked_and_the_licence_is_named() {
    let world = World::new().await;
    let ends = date(2026, 11, 30);
    let provider = world.clinician(vec![licence("US-TX", Some(ends)), licence("US-CA", None)]);
    world.put_calendar(provider, "\"0\"", &weekdays()).await.is(200);
    let path = format!("/v1/providers/{provider}/holds");
    let hold = async |state: &str, start: &str| {
        let body = json!({"start": start, "service_jurisdiction": state});
        world.open("provider", "POST", &path).json(&body).send().await
    };
    let missing = hold("US-NY", "2026-11-23T15:00:00Z").await.is(409).problem("no-authority");
    assert_eq!(missing["licence"], json!({"service_jurisdiction": "US-NY", "code": "licence-missing"}));
    assert!(missing["detail"].as_str().is_some_and(|text| text.contains("New York")), "{missing}");
    hold("US-TX", "2026-11-30T22:30:00Z").await.is(201);
    let expired = hold("US-TX", "2026-12-01T15:00:00Z").await.is(409).problem("no-authority");
    assert_eq!(expired["licence"]["code"], "licence-expired");
    assert!(expired["detail"].as_str().is_some_and(|text| text.contains("2026-11-30")), "{expired}");
    hold("US-CA", "2026-12-01T15:00:00Z").await.is(201);
}

#[tokio::test]
async fn a_taken_slot_is_taken_once_more_for_a_reason_that_is_recorded() {
    let world = World::new().await;
    let provider = world.doctor().await;
    let start = "2026-11-23T15:00:00Z";
    world.hold(provider, start).await.is(201);
    let path = format!("/v1/providers/{provider}/holds");
    let over = async |key: &str, reason: &str| {
        let body = json!({"start": start, "service_jurisdiction": "US-TX", "override_reason": reason});
        world.open(key, "POST", &path).json(&body).send().await
    };
    over("provider", "because").await.is(422).problem("invalid");
    over("provider_staff", "urgent-need").await.is(403).problem("forbidden");
    let held = over("provider", "urgent-need").await.is(201);
    let shown = held.header("location").to_owned();
    assert_eq!(world.open("provider", "GET", &shown).send().await.is(200).json(), held.json());
    assert_eq!(held.json()["override_reason"], "urgent-need");
    let client = world.region.as_superuser().await;
    let sql = "SELECT count(*), max(entity_id::text), max(patient_id::text) FROM access_log
        WHERE entity = 'slot-override/urgent-need' AND action = 'create'";
    let row = client.query_one(sql, &[]).await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), 1, "the one that was allowed");
    assert_eq!(row.get::<_, Option<String>>(1).as_deref(), held.json()["handle"].as_str());
    assert_eq!(row.get::<_, Option<String>>(2), None);
    world.hold(provider, start).await.is(409).problem("slot-taken");
}

#[tokio::test]
async fn what_is_wrong_with_a_time_is_named() {
    let world = World::new().await;
    let provider = world.doctor().await;
    for (start, status, slug, code) in [
        ("2026-11-18T11:00:00Z", 422, "slot-in-past", "in-the-past"),
        ("2026-11-23T15:10:00Z", 422, "slot-not-offered", "no-slot"),
        ("2026-11-22T15:00:00Z", 422, "slot-not-offered", "no-slot"),
        ("2029-11-23T15:00:00Z", 422, "slot-not-offered", "too-far"),
        ("2026-11-23T15:00:30Z", 422, "invalid", "not-a-minute"),
        ("next Monday", 422, "invalid", "format"),
        ("2027-03-14T02:30[America/Chicago]", 422, "no-such-local-time", "no-such-local-time"),
        ("2026-11-01T01:30[America/Chicago]", 422, "ambiguous-local-time", "ambiguous-local-time"),
        ("2026-11-23T09:00[America/Nowhere]", 422, "unknown-zone", "unknown-zone"),
    ] {
        let problem = world.hold(provider, start).await.is(status).problem(slug);
        assert_eq!(problem["errors"][0]["pointer"], "/start", "{start}: {problem}");
        assert_eq!(problem["errors"][0]["code"], code, "{start}: {problem}");
    }
    let mut nowhere = weekdays();
    nowhere["zone"] = json!("America/Nowhere");
    world.put_calendar(provider, "\"1\"", &nowhere).await.is(422).problem("unknown-zone");
    for (query, status, slug) in [
        ("from=2026-11-23", 400, "bad-parameter"),
        ("from=2026-11-23&to=2026-11-23", 400, "bad-parameter"),
        ("from=2026-11-23&to=2026-12-25", 400, "window-too-wide"),
        ("from=2026-11-23&to=2026-11-24&zone=Mars%2FBase", 422, "unknown-zone"),
        ("from=2027-03-14T02:30%5BAmerica/Chicago%5D&to=2027-03-15", 422, "no-such-local-time"),
        ("from=x&to=2026-11-24", 400, "bad-parameter"),
    ] {
        let path = format!("/v1/providers/{provider}/slots?{query}");
        world.open("provider", "GET", &path).send().await.is(status).problem(slug);
    }
    let wide = world.slots(provider, MONDAY, "2026-12-24", "America/Chicago").await;
    assert_eq!(wide.len(), 23 * 16, "the control: thirty-one days");
    // Nothing of all that left anything.
    assert!(
        world.book.state.lock().expect("a lock").ledger().book(provider).is_some_and(|book| book.is_empty())
    );
}
