//! Who waits for an appointment.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use node_clinical::appointments::reconcile::Desk;
use residency_control::calendar::{CalendarChange, Minute, Waiting, Wanted};
use residency_control::machine::apply;
use residency_control::{Command, Outcome, Refusal};
use residency_policy::{BookingHandle, OrgId, ProviderId, Region};
use serde_json::{Value, json};

use crate::appointments::{START, appointment};
use crate::support::{World, id, jurisdiction};

/// Somebody wishes for a morning with a provider.
pub(crate) fn wish(provider: ProviderId) -> Value {
    json!({
        "provider": provider.to_string(), "service_jurisdiction": "US-TX",
        "from": "2026-11-23T15:00:00Z", "to": "2026-11-23T15:30:00Z"
    })
}

impl World {
    pub(crate) async fn join(&self, patient: &str, body: &Value) -> Value {
        let ask = self.ask("provider_staff", "POST", &format!("/v1/patients/{patient}/waitlist"));
        ask.json(body).send().await.is(201).json()
    }

    async fn wishes(&self, patient: &str) -> Vec<Value> {
        let path = format!("/v1/patients/{patient}/waitlist?ended=true");
        let listed = self.ask("provider", "GET", &path).send().await.is(200).json();
        listed["data"].as_array().expect("a list").clone()
    }

    /// Who waits, in their order.
    pub(crate) fn order(&self) -> usize {
        self.book.state.lock().expect("a lock").ledger().waiting().count()
    }
}

/// Rounds until nothing is due.
pub(crate) async fn rounds(desk: &Desk) {
    desk.look_for_offers().await.expect("a look");
    while desk.round().await.expect("a round") > 0 {}
}

#[tokio::test]
async fn a_slot_that_gets_free_is_offered_to_whoever_came_first() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let provider = world.doctor().await;
    let (ana, ben, cleo) = (world.somebody().await, world.somebody().await, world.somebody().await);
    let booked = world.book(&ana, &appointment(provider, START)).send().await.is(201);
    let first = world.join(&ben, &wish(provider)).await;
    assert_eq!((&first["status"], &first["offer"]), (&json!("joining"), &Value::Null));
    rounds(&desk).await;
    world.join(&cleo, &wish(provider)).await;
    rounds(&desk).await;
    assert_eq!(world.wishes(&ben).await[0]["status"], "waiting");
    assert_eq!(world.order(), 2);

    let cancel = format!("{}/cancel", booked.header("location"));
    world.ask("provider", "POST", &cancel).json(&json!({"code": "patient-request"})).send().await.is(200);
    rounds(&desk).await;
    let offered = world.wishes(&ben).await[0].clone();
    assert_eq!((&offered["status"], &offered["offer"]["starts_at"]), (&json!("offered"), &json!(START)));
    assert_eq!(world.wishes(&cleo).await[0]["status"], "waiting", "who came later waits on");
    assert_eq!(world.standing(provider), [(START.to_owned(), "held")]);
    assert_eq!(world.order(), 1, "who has an offer does not stand in the order");

    let mut body = appointment(provider, START);
    body["start"] = Value::Null;
    body["hold"] = offered["offer"]["hold"].clone();
    world.book(&ben, &body).send().await.is(201);
    rounds(&desk).await;
    let ended = world.wishes(&ben).await[0].clone();
    assert_eq!((&ended["status"], &ended["outcome"]), (&json!("ended"), &json!("booked")));
    assert_eq!(world.standing(provider), [(START.to_owned(), "booked")]);
}

#[tokio::test]
async fn an_offer_that_nobody_takes_goes_to_the_next() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let provider = world.doctor().await;
    let (ben, cleo) = (world.somebody().await, world.somebody().await);
    for patient in [&ben, &cleo] {
        world.join(patient, &wish(provider)).await;
        rounds(&desk).await;
    }
    rounds(&desk).await;
    assert_eq!(world.wishes(&ben).await[0]["status"], "offered");
    let late: Timestamp = "2026-11-18T11:40:00Z".parse().expect("an instant");
    world.region.clock.set(late);
    let client = world.region.as_superuser().await;
    client.execute("UPDATE booking_work SET due_at = now()", &[]).await.expect("time passes");
    rounds(&desk).await;
    rounds(&desk).await;
    assert_eq!(world.wishes(&cleo).await[0]["status"], "offered");
    assert_eq!(world.wishes(&ben).await[0]["status"], "waiting", "at the end of the order");
    assert_eq!((world.order(), world.standing(provider).len()), (1, 1));
}

#[tokio::test]
async fn a_wish_ends_when_its_time_is_over_or_it_is_taken_back() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let provider = world.doctor().await;
    let (ben, cleo) = (world.somebody().await, world.somebody().await);
    world.hold(provider, START).await.is(201);
    let taken_back = world.join(&ben, &wish(provider)).await;
    world.join(&cleo, &wish(provider)).await;
    rounds(&desk).await;
    let path = format!("/v1/patients/{ben}/waitlist/{}", id(&taken_back));
    world.ask("stranger", "DELETE", &path).send().await.is(404);
    world.ask("provider", "DELETE", &path).send().await.is(204);
    world.ask("provider", "DELETE", &path).send().await.is(204);
    rounds(&desk).await;
    assert_eq!((world.wishes(&ben).await[0]["outcome"].clone(), world.order()), (json!("removed"), 1));

    world.region.clock.set("2026-11-23T15:30:00Z".parse().expect("an instant"));
    let client = world.region.as_superuser().await;
    client.execute("UPDATE booking_work SET due_at = now()", &[]).await.expect("time passes");
    rounds(&desk).await;
    assert_eq!((world.wishes(&cleo).await[0]["outcome"].clone(), world.order()), (json!("expired"), 0));
    let listed =
        world.ask("provider", "GET", &format!("/v1/patients/{cleo}/waitlist")).send().await.is(200).json();
    assert_eq!(listed["data"], json!([]), "what ended is listed when it is asked for");
}

#[tokio::test]
async fn a_specialty_is_anybody_who_may_practise_there() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let away = world.clinician(vec![crate::calendars::licence("US-NY", None)]);
    world.put_calendar(away, "\"0\"", &crate::calendars::weekdays()).await.is(200);
    let ben = world.somebody().await;
    let body = json!({
        "specialty": "207Q00000X", "service_jurisdiction": "US-TX",
        "from": "2026-11-23T15:00:00Z", "to": "2026-11-23T15:30:00Z"
    });
    world.join(&ben, &body).await;
    rounds(&desk).await;
    rounds(&desk).await;
    assert_eq!(world.wishes(&ben).await[0]["status"], "waiting", "nobody may practise there");
    let here = world.doctor().await;
    rounds(&desk).await;
    assert_eq!(world.wishes(&ben).await[0]["offer"]["provider_id"], here.to_string());
}

#[tokio::test]
async fn a_wish_waits_for_the_control_plane_and_survives_a_crash() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let provider = world.doctor().await;
    let ben = world.somebody().await;
    world.book.quorum.store(false, Ordering::SeqCst);
    world.join(&ben, &wish(provider)).await;
    rounds(&desk).await;
    assert_eq!((world.wishes(&ben).await[0]["status"].clone(), world.order()), (json!("joining"), 0));
    world.book.quorum.store(true, Ordering::SeqCst);
    let client = world.region.as_superuser().await;
    // Before and after: joining, holding, leaving the order.
    for steps in 0..6 {
        world.book.steps.store(steps, Ordering::SeqCst);
        client.execute("UPDATE booking_work SET due_at = now(), resting = false", &[]).await.expect("expires");
        tokio::select! {
            () = rounds(&desk) => {}
            () = world.book.gone.notified() => {}
        }
        world.book.steps.store(i64::MAX, Ordering::SeqCst);
    }
    for _ in 0..3 {
        client.execute("UPDATE booking_work SET due_at = now() WHERE NOT resting", &[]).await.expect("expires");
        rounds(&desk).await;
    }
    let offered = world.wishes(&ben).await[0].clone();
    assert_eq!(offered["status"], "offered");
    assert_eq!(world.order(), 0);
    let held = world.standing(provider);
    assert!(held.len() == 1 && held[0].1 == "held", "{held:?}");
    for body in [json!({}), json!({"provider": provider.to_string()})] {
        let ask = world.ask("provider", "POST", &format!("/v1/patients/{ben}/waitlist"));
        ask.json(&body).send().await.is(422).problem("invalid");
    }
}

/// Whoever says that they wait stands in the order, even if an earlier departure comes late.
#[tokio::test]
async fn a_departure_that_comes_late_takes_nobody_off_the_order() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let (provider, ben) = (world.doctor().await, world.somebody().await);
    world.join(&ben, &wish(provider)).await;
    let client = world.region.as_superuser().await;
    let sql = "SELECT handle::text FROM waitlist";
    let first: String = client.query_one(sql, &[]).await.expect("a wish").get(0);
    // It joins and holds, and its departure is on its way when its node dies.
    world.book.steps.store(4, Ordering::SeqCst);
    tokio::select! {
        () = async { rounds(&desk).await; rounds(&desk).await; } => panic!("it was to die"),
        () = world.book.gone.notified() => {}
    }
    world.book.steps.store(i64::MAX, Ordering::SeqCst);
    // Nothing is free for it any more, so that it waits.
    world.settle().await;
    assert_eq!(world.wishes(&ben).await[0]["status"], "waiting");
    let region = Region(jurisdiction("US-TX"));
    let late = CalendarChange::Leave { handle: first.parse().expect("a handle"), region };
    let outcome = apply(&mut world.book.state.lock().expect("a lock"), Command::Calendar(late));
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(world.wishes(&ben).await[0]["status"], "waiting");
    assert_eq!(world.order(), 1, "who waits stands in the order");
    rounds(&desk).await;
    rounds(&desk).await;
    assert_eq!(world.wishes(&ben).await[0]["status"], "offered");
}

impl World {
    /// As many of an organisation wait for a provider as may.
    fn crowd(&self, org: OrgId, provider: ProviderId) {
        let minute = |text: &str| Minute::at(text.parse().expect("an instant")).expect("a minute");
        let mut state = self.book.state.lock().expect("a lock");
        for n in 1_u128.. {
            let waiting = Waiting {
                handle: BookingHandle::from_bytes(
                    u128::from_be_bytes(org.to_bytes()).wrapping_add(n).to_be_bytes(),
                ),
                wanted: Wanted::Provider(provider),
                from: minute("2026-11-23T15:00:00Z"),
                to: minute("2026-11-23T15:30:00Z"),
                org,
                region: Region(jurisdiction("US-NY")),
            };
            match apply(&mut state, Command::Calendar(CalendarChange::Wait(waiting))) {
                Outcome::Done => {}
                Outcome::Refused(why) => return assert_eq!(why, Refusal::Full),
            }
        }
    }
}

#[tokio::test]
async fn one_organisation_keeps_no_other_from_its_turn() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let (provider, ben) = (world.doctor().await, world.somebody().await);
    world.crowd(OrgId::from_bytes([7; 16]), provider);
    world.join(&ben, &wish(provider)).await;
    rounds(&desk).await;
    rounds(&desk).await;
    assert_eq!(world.wishes(&ben).await[0]["status"], "offered");
}

#[tokio::test]
async fn a_waiting_list_takes_so_many_and_no_more() {
    let world = World::new().await;
    let (provider, ben, cleo) = (world.doctor().await, world.somebody().await, world.somebody().await);
    let path = format!("/v1/patients/{ben}/waitlist");
    let ask = |path: &str| world.ask("provider_staff", "POST", path).json(&wish(provider));
    let first = ask(&path).header("idempotency-key", "one").send().await.is(201).json();
    for _ in 1..20 {
        ask(&path).send().await.is(201);
    }
    let full = ask(&path).send().await.is(409).problem("waitlist-full");
    assert_eq!(full["detail"], "this patient has as many wishes as they may");
    ask(&path).header("idempotency-key", "one").send().await.is(201);
    world.ask("provider", "DELETE", &format!("{path}/{}", id(&first))).send().await.is(204);
    ask(&path).send().await.is(201);

    let path = format!("/v1/patients/{cleo}/waitlist");
    ask(&path).send().await.is(201);
    world.crowd(world.org, provider);
    let full = ask(&path).send().await.is(409).problem("waitlist-full");
    assert_eq!(full["detail"], "this organisation's waiting list holds as many wishes as it may");
}
