//! Calendars, slots and holds, at every door.

use http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tests::calendars::{self, clinician, coming, daily, doctor, hold, in_days, now, put, slots};
use tests::client::Client;
use tests::clinic;
use tests::cluster::shared;

use super::{HOME, doors};

/// Somebody of this role at the router and at every node.
fn everywhere(role: &str) -> Vec<Client> {
    let regions = shared().described().regions.iter().map(|region| region.url.clone());
    let client = shared().client(role, HOME);
    [client.url().to_owned()].into_iter().chain(regions).map(|at| client.at(&at)).collect()
}

#[tokio::test]
async fn a_calendar_is_put_at_one_door_and_seen_at_all() {
    let admin = shared().client("org_admin", HOME);
    let provider = clinician(&admin, &[HOME]).await.expect("a clinician");
    let path = format!("/v1/providers/{provider}/calendar");
    for (number, door) in everywhere("org_admin").into_iter().enumerate() {
        let body = daily("America/Chicago", "09:00", "17:00", 30 + 5 * u32::try_from(number).expect("few"));
        let done = put(&door, &provider, &format!("\"{number}\""), &body).await.expect("an answer");
        let done = done.expect(200).unwrap_or_else(|e| panic!("{}: {e:#}", door.url()));
        let stale = put(&door, &provider, &format!("\"{number}\""), &body).await.expect("an answer");
        assert_eq!(stale.problem(412).expect("a problem"), "precondition-failed");
        let index: u64 = done.header("x-log-index").parse().expect("an index");
        for other in everywhere("provider_staff") {
            let asked = other.ask(Method::GET, &format!("{path}?consistency=linearizable"));
            let read = asked
                .without("purpose-of-use")
                .send()
                .await
                .expect("an answer")
                .expect(200)
                .expect("it is shown");
            assert_eq!(
                (read.json(), read.header("etag")),
                (done.json(), done.header("etag")),
                "{}",
                other.url()
            );
            assert!(read.header("x-log-index").parse::<u64>().expect("an index") >= index);
        }
    }
}

/// The next two days on which the clock of New York is changed, and by what.
fn changes() -> [(Timestamp, i32); 2] {
    let zone = TimeZone::get("America/New_York").expect("a zone");
    let mut all = zone.following(now()).map(|change| (change.timestamp(), change.offset().seconds()));
    [all.next().expect("a change"), all.next().expect("a change")]
}

#[tokio::test]
async fn no_slot_is_doubled_or_missing_when_the_clock_is_changed() {
    let admin = shared().client("org_admin", HOME);
    let provider = clinician(&admin, &[HOME]).await.expect("a clinician");
    let (mut etag, hour) = (0, SignedDuration::from_hours(1));
    for (zone, changed) in [("America/New_York", true), ("America/Phoenix", false)] {
        let body = daily(zone, "00:00", "24:00", 30);
        put(&admin, &provider, &format!("\"{etag}\""), &body)
            .await
            .expect("an answer")
            .expect(200)
            .expect("is put");
        etag += 1;
        for (at, _) in changes() {
            // From some hours before the change to some hours after it: instants go on evenly.
            let (from, to) =
                (at.checked_sub(hour * 5).expect("before"), at.checked_add(hour * 5).expect("after"));
            let found = slots(&admin, &provider, from, to).await.expect("slots");
            let expected: Vec<String> =
                (0..20).map(|n| from.checked_add(hour / 2 * n).expect("within").to_string()).collect();
            assert_eq!(found, expected, "{zone}");
        }
        // By the wall: the skipped hour has none, the repeated one has twice as many.
        let night = daily(zone, "01:00", "03:00", 30);
        put(&admin, &provider, &format!("\"{etag}\""), &night)
            .await
            .expect("an answer")
            .expect(200)
            .expect("is put");
        etag += 1;
        let mut counts = Vec::new();
        for (at, _) in changes() {
            let day = at.to_zoned(TimeZone::get(zone).expect("a zone")).start_of_day().expect("a day");
            let next = day.tomorrow().expect("a day");
            counts
                .push(slots(&admin, &provider, day.timestamp(), next.timestamp()).await.expect("slots").len());
        }
        counts.sort_unstable();
        assert_eq!(counts, if changed { [2, 6] } else { [4, 4] }, "{zone}");
    }
}

#[tokio::test]
async fn a_hold_is_the_same_hold_at_every_door() {
    let admin = shared().client("org_admin", HOME);
    let provider = doctor(&admin, &[HOME]).await.expect("a clinician");
    let start = coming(&admin, &provider, 2).await.expect("slots")[0].clone();
    let path = format!("/v1/providers/{provider}/holds");
    let body = json!({ "start": start, "service_jurisdiction": HOME });
    let key = clinic::fresh().to_string();
    let mut first: Option<Value> = None;
    for door in everywhere("provider_staff") {
        let asking = door.ask(Method::POST, &path).without("purpose-of-use").header("idempotency-key", &key);
        let held = asking.json(&body).send().await.expect("an answer").expect(201).expect("it is held").json();
        assert_eq!(*first.get_or_insert_with(|| held.clone()), held, "{}", door.url());
        let taken = hold(&door, &provider, &start, HOME).await.expect("an answer");
        assert_eq!(taken.problem(409).expect("a problem"), "slot-taken");
        assert_eq!(taken.json()["slot"], json!({ "provider": provider, "start": start }), "{}", door.url());
    }
    let handle = first.as_ref().and_then(|held| held["handle"].as_str()).expect("a handle");
    let shown = format!("{path}/{handle}?consistency=linearizable");
    let doors = everywhere("provider");
    let released =
        doors[1].ask(Method::DELETE, &format!("{path}/{handle}")).without("purpose-of-use").send().await;
    released.expect("an answer").expect(204).expect("it is released");
    for door in &doors {
        let gone = door.ask(Method::GET, &shown).without("purpose-of-use").send().await.expect("an answer");
        assert_eq!(gone.problem(404).expect("a problem"), "not-found", "{}", door.url());
    }
    assert!(coming(&admin, &provider, 2).await.expect("slots").contains(&start));
}

#[tokio::test]
async fn who_has_a_free_slot_is_found() {
    let admin = shared().client("org_admin", HOME);
    let free = doctor(&admin, &[HOME]).await.expect("a clinician");
    let full = clinician(&admin, &[HOME]).await.expect("a clinician");
    let closed = json!({
        "zone": "America/Chicago", "slot_minutes": 30, "weekly": [],
        "exceptions": [{ "date": in_days(200).to_string()[..10], "from": "09:00", "to": "10:00" }]
    });
    put(&admin, &full, "\"0\"", &closed).await.expect("an answer").expect(200).expect("is put");
    let found = async |from: i64, to: i64| {
        let window = format!("available_from={}&available_to={}", in_days(from), in_days(to));
        let path = format!("/v1/providers?specialty=207Q00000X&consistency=linearizable&{window}");
        let all = clinic::walk(&admin, &path, 100).await.expect("a list");
        all.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let soon = found(1, 3).await;
    assert!(soon.contains(&free) && !soon.contains(&full), "{soon:?}");
    let window = format!("available_from={}&available_to={}", in_days(1), in_days(40));
    let path = format!("/v1/providers?{window}");
    let wide = admin.get(&path);
    assert_eq!(wide.await.expect("an answer").problem(400).expect("a problem"), "window-too-wide");
    let half = admin.get(&format!("/v1/providers?available_from={}", in_days(1))).await.expect("an answer");
    assert_eq!(half.problem(400).expect("a problem"), "bad-parameter");
}

/// The filter of the list and the slots themselves are asked in many ways, drawn from a seed, also about the days on which
/// the clock is changed: whoever is found has a slot, and whoever has one is found.
#[tokio::test]
async fn who_is_found_has_slots_and_who_has_slots_is_found() {
    let admin = shared().client("org_admin", HOME);
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let mut calendars = Vec::new();
    for zone in ["America/New_York", "America/Phoenix", "Pacific/Honolulu"] {
        let id = clinician(&admin, &[HOME]).await.expect("a clinician");
        let from = rng.random_range(0..23);
        let mut hours = daily(zone, &format!("{from:02}:00"), &format!("{:02}:00", from + 1), 20);
        hours["weekly"][0]["days"] = json!([["mon", "thu"], ["sun", "tue"]][rng.random_range(0..2)]);
        put(&admin, &id, "\"0\"", &hours).await.expect("an answer").expect(200).expect("is put");
        calendars.push(id);
    }
    let (mut yes, mut no) = (0, 0);
    for round in 0..24 {
        let around = match round % 3 {
            0 => changes()[round / 3 % 2].0,
            _ => in_days(rng.random_range(1..380)),
        };
        let minutes = |range: std::ops::Range<i64>, rng: &mut ChaCha8Rng| {
            SignedDuration::from_mins(rng.random_range(range))
        };
        let from = around.saturating_sub(minutes(-1_440..1_440, &mut rng)).expect("an instant");
        let to = from.saturating_add(minutes(10..2_880, &mut rng)).expect("an instant");
        let path = format!(
            "/v1/providers?state={HOME}&available_from={from}&available_to={to}&consistency=linearizable"
        );
        let found = clinic::walk(&admin, &path, 100).await.expect("a list");
        for id in &calendars {
            let has = !slots(&admin, id, from, to).await.expect("slots").is_empty();
            assert_eq!(found.iter().any(|one| one["id"] == **id), has, "{id} from {from} to {to}");
            *(if has { &mut yes } else { &mut no }) += 1;
        }
    }
    assert!(yes > 5 && no > 5, "the control: {yes} had slots and {no} had none");
}

#[tokio::test]
async fn a_slot_after_the_end_of_a_licence_is_none_in_that_state() {
    let admin = shared().client("org_admin", HOME);
    let ends = in_days(20).to_zoned(TimeZone::UTC).date();
    let id = calendars::licensed(&admin, &[HOME], Some(ends)).await.expect("a clinician");
    let hours = daily("America/Chicago", "09:00", "17:00", 30);
    put(&admin, &id, "\"0\"", &hours).await.expect("an answer").expect(200).expect("is put");
    let found = async |state: &str, from: i64, to: i64| {
        let window = format!("available_from={}&available_to={}", in_days(from), in_days(to));
        let path = format!("/v1/providers?consistency=linearizable&{window}{state}");
        let all = clinic::walk(&admin, &path, 100).await.expect("a list");
        all.iter().any(|one| one["id"] == *id)
    };
    let state = format!("&state={HOME}");
    assert!(found(&state, 10, 12).await, "the control: while the licence holds");
    assert!(!found(&state, 30, 32).await, "after its end");
    assert!(found(&state, 10, 32).await, "some of the window is before its end");
    assert!(found("", 30, 32).await, "where no state is asked for, only the calendar counts");
}

#[tokio::test]
async fn what_is_wrong_with_a_time_or_a_zone_has_a_name() {
    let (spring, _) = changes().into_iter().max_by_key(|(_, offset)| *offset).expect("a change");
    let (autumn, _) = changes().into_iter().min_by_key(|(_, offset)| *offset).expect("a change");
    let zone = TimeZone::get("America/New_York").expect("a zone");
    let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let skipped = format!("{}T02:30[America/New_York]", date(spring));
    let twice = format!("{}T01:30[America/New_York]", date(autumn));
    for (name, admin) in doors("org_admin") {
        let provider = doctor(&admin, &[HOME]).await.expect("a clinician");
        let yesterday = in_days(-1).round(jiff::Unit::Minute).expect("a minute").to_string();
        let night = format!("{}T03:00[America/Chicago]", date(in_days(3)));
        for (start, slug) in [
            (skipped.as_str(), "no-such-local-time"),
            (twice.as_str(), "ambiguous-local-time"),
            (yesterday.as_str(), "slot-in-past"),
            (night.as_str(), "slot-not-offered"),
            ("2027-01-04T09:00[America/Nowhere]", "unknown-zone"),
            ("soon", "invalid"),
        ] {
            let refused = hold(&admin, &provider, start, HOME).await.expect("an answer");
            assert_eq!(refused.problem(422).expect(start), slug, "{name}");
            assert_eq!(refused.json()["errors"][0]["pointer"], "/start", "{name}");
        }
        let start = coming(&admin, &provider, 2).await.expect("slots")[0].clone();
        let elsewhere = hold(&admin, &provider, &start, "US-NY").await.expect("an answer");
        assert_eq!(elsewhere.problem(409).expect("a problem"), "no-authority", "{name}");
        assert_eq!(
            elsewhere.json()["licence"],
            json!({ "service_jurisdiction": "US-NY", "code": "licence-missing" })
        );
        let mut nowhere = daily("America/Nowhere", "09:00", "17:00", 30);
        let refused = put(&admin, &provider, "\"1\"", &nowhere).await.expect("an answer");
        assert_eq!(refused.problem(422).expect("a problem"), "unknown-zone", "{name}");
        nowhere["zone"] = json!("UTC");
        nowhere["weekly"][0]["to"] = json!("08:00");
        let refused = put(&admin, &provider, "\"1\"", &nowhere).await.expect("an answer");
        assert_eq!(refused.problem(422).expect("a problem"), "invalid", "{name}");
        // Nothing was half booked by any of it.
        assert!(calendars::coming(&admin, &provider, 2).await.expect("slots").contains(&start));
    }
}
