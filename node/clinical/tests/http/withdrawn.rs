//! A patient takes back their consent while something is on its way for them: nobody keeps a time that they were told no
//! about, and nobody is offered one.

use node_clinical::appointments::reconcile::Desk;
use serde_json::{Value, json};

use crate::appointments::{LATER, START, appointment};
use crate::consents::{grant, revoke, treatment};
use crate::crashes::STEPS;
use crate::support::{Answer, Ask, World, ana, id};
use crate::waitlist::{rounds, wish};

/// A consent of somebody new, which may be taken back.
async fn consented(world: &World) -> (String, Value) {
    let patient = world.somebody().await;
    let consent = grant(world, &patient, &treatment("general")).await;
    (patient, consent)
}

#[track_caller]
fn refused(answer: Answer) {
    assert_eq!(answer.is(403).problem("forbidden")["reason"], "consent-revoked");
}

impl World {
    /// How their appointments ended.
    async fn states(&self) -> Vec<String> {
        let client = self.region.as_superuser().await;
        let sql = "SELECT status || ' ' || coalesce(cancel_code, failure, '') FROM appointments";
        client.query(sql, &[]).await.expect("rows").iter().map(|row| row.get(0)).collect()
    }

    /// Asks, stands still after so many steps, takes the consent back, and goes on.
    async fn withdrawn_between(&self, ask: Ask<'_>, consent: &Value, patient: &str, steps: i64) -> Answer {
        let mut slow = Box::pin(ask.send());
        self.stands_still(&mut slow, steps).await;
        revoke(self, patient, consent).await;
        self.book.back.notify_one();
        slow.await
    }
}

#[tokio::test]
async fn a_booking_that_may_not_be_shown_any_more_keeps_no_time() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, (patient, consent)) = (world.doctor().await, consented(&world).await);
        let ask = world.book(&patient, &appointment(provider, START));
        refused(world.withdrawn_between(ask, &consent, &patient, steps).await);
        // The control: without anybody to give it back, the time is still taken.
        assert_eq!(world.standing(provider), [(START.to_owned(), "booked")], "{steps}");
        world.settle().await;
        assert_eq!(world.standing(provider), [], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        assert_eq!(world.states().await, ["cancelled patient-request"], "{steps}");
    }
}

#[tokio::test]
async fn a_booking_that_broke_off_is_not_finished_for_whoever_took_back_their_consent() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, (patient, consent)) = (world.doctor().await, consented(&world).await);
        let body = appointment(provider, START);
        assert!(world.send_and_die(world.book(&patient, &body), steps).await.is_none());
        revoke(&world, &patient, &consent).await;
        world.settle().await;
        assert_eq!(world.standing(provider), [], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        let expected = if steps + 1 < STEPS { "failed interrupted" } else { "cancelled patient-request" };
        assert_eq!(world.states().await, [expected], "{steps}");
    }
}

#[tokio::test]
async fn a_move_and_a_cancellation_that_may_not_be_shown_any_more_come_to_an_end() {
    for (way, body, ends) in [
        ("reschedule", json!({"start": LATER}), "cancelled patient-request"),
        ("cancel", json!({"code": "no-longer-needed"}), "cancelled no-longer-needed"),
    ] {
        let world = World::new().await;
        let (provider, (patient, consent)) = (world.doctor().await, consented(&world).await);
        let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
        let path = format!("{}/{way}", booked.header("location"));
        // After the first change of the control plane.
        let ask = world.ask("provider", "POST", &path).json(&body);
        refused(world.withdrawn_between(ask, &consent, &patient, 1).await);
        world.settle().await;
        assert_eq!(world.standing(provider), [], "{way}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{way}");
        assert_eq!(world.states().await, [ends], "{way}");
    }
}

#[tokio::test]
async fn whoever_took_back_their_consent_waits_no_more_and_what_they_were_offered_is_free() {
    for offered in [false, true] {
        let world = World::new().await;
        let (provider, (patient, consent)) = (world.doctor().await, consented(&world).await);
        let desk = Desk::new(world.here.clone());
        world.join(&patient, &wish(provider)).await;
        world.settle().await;
        assert_eq!(world.order(), 1, "{offered}: they wait");
        if offered {
            rounds(&desk).await;
            assert_eq!(world.standing(provider).len(), 1, "a slot is held for them");
        }
        revoke(&world, &patient, &consent).await;
        // Nobody moves any clock: taking it back is what makes somebody look.
        while desk.round().await.expect("a round") > 0 {}
        rounds(&desk).await;
        assert_eq!((world.order(), world.standing(provider)), (0, Vec::new()), "{offered}");
        let client = world.region.as_superuser().await;
        let row = client.query_one("SELECT status, outcome FROM waitlist", &[]).await.expect("a row");
        assert_eq!(
            (row.get::<_, String>(0), row.get::<_, String>(1)),
            ("ended".to_owned(), "removed".to_owned())
        );
    }
}

/// A consent to one of the purposes for which appointments are made.
async fn consented_to(world: &World, patient: &str, purpose: &str) -> Value {
    let mut terms = treatment("general");
    terms["purpose"] = json!(purpose);
    grant(world, patient, &terms).await
}

#[tokio::test]
async fn only_the_consent_to_what_it_was_booked_for_counts() {
    for made_for in ["TREAT", "HOPERAT"] {
        for taken_back in ["TREAT", "HOPERAT"] {
            let world = World::new().await;
            let (provider, patient) = (world.doctor().await, world.somebody().await);
            let consent = consented_to(&world, &patient, taken_back).await;
            let ask = world.book(&patient, &appointment(provider, START)).header("purpose-of-use", made_for);
            assert!(world.send_and_die(ask, STEPS - 1).await.is_none(), "booked, and nobody heard it");
            revoke(&world, &patient, &consent).await;
            world.settle().await;
            let (states, standing) = if made_for == taken_back {
                ("cancelled patient-request", vec![])
            } else {
                ("booked ", vec![(START.to_owned(), "booked")])
            };
            assert_eq!(world.states().await, [states], "{made_for}, {taken_back}");
            assert_eq!(world.standing(provider), standing, "{made_for}, {taken_back}");
            assert_eq!(world.diverged().await, Vec::<String>::new(), "{made_for}, {taken_back}");
        }
    }
}

/// Who moves a visit for another purpose than it was made for, and loses the consent to that, is shown nothing. The visit
/// stays: moved if its time was moved, which was done in one change, and where it was otherwise.
#[tokio::test]
async fn a_move_for_another_purpose_does_not_cost_the_visit() {
    for (taken_back, dies, left) in [
        ("HOPERAT", false, Some(LATER)),
        ("HOPERAT", true, Some(LATER)),
        // The control: what the visit itself rests on.
        ("TREAT", true, None),
    ] {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let consent = consented_to(&world, &patient, taken_back).await;
        let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
        let path = format!("{}/reschedule", booked.header("location"));
        let ask = world.ask("provider", "POST", &path).json(&json!({"start": LATER}));
        let ask = ask.header("purpose-of-use", "HOPERAT");
        if dies {
            // The time is moved, and nobody heard it.
            assert!(world.send_and_die(ask, STEPS - 1).await.is_none());
            revoke(&world, &patient, &consent).await;
        } else {
            refused(world.withdrawn_between(ask, &consent, &patient, 1).await);
        }
        world.settle().await;
        let standing: Vec<_> = left.map(|start| (start.to_owned(), "booked")).into_iter().collect();
        assert_eq!(world.standing(provider), standing, "{taken_back}, {dies}");
        let state = if left.is_some() { "booked " } else { "cancelled patient-request" };
        assert_eq!(world.states().await, [state], "{taken_back}, {dies}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{taken_back}, {dies}");
    }
}

/// Before the control plane did anything there is nothing to keep: the visit is where it was.
#[tokio::test]
async fn a_move_that_was_not_made_leaves_the_visit_where_it_was() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let consent = consented_to(&world, &patient, "HOPERAT").await;
    let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
    let path = format!("{}/reschedule", booked.header("location"));
    let ask = world.ask("provider", "POST", &path).json(&json!({"start": LATER}));
    assert!(world.send_and_die(ask.header("purpose-of-use", "HOPERAT"), 0).await.is_none());
    revoke(&world, &patient, &consent).await;
    world.settle().await;
    assert_eq!(world.standing(provider), [(START.to_owned(), "booked")]);
    assert_eq!(world.states().await, ["booked "]);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

/// What an earlier release began has no purpose: whichever of the two was taken back, nobody keeps the time.
#[tokio::test]
async fn what_was_begun_before_purposes_were_kept_asks_for_both() {
    for taken_back in ["TREAT", "HOPERAT"] {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let consent = consented_to(&world, &patient, taken_back).await;
        let ask = world.book(&patient, &appointment(provider, START));
        assert!(world.send_and_die(ask, STEPS - 1).await.is_none());
        let client = world.region.as_superuser().await;
        let older = "ALTER TABLE appointments DISABLE TRIGGER USER; UPDATE appointments SET purpose = NULL; \
                     ALTER TABLE appointments ENABLE TRIGGER USER";
        client.batch_execute(older).await.expect("a superuser may");
        revoke(&world, &patient, &consent).await;
        world.settle().await;
        assert_eq!(world.states().await, ["cancelled patient-request"], "{taken_back}");
    }
}

#[tokio::test]
async fn only_the_consent_to_what_it_was_wished_for_takes_a_wish_out_of_the_order() {
    for made_for in ["TREAT", "HOPERAT"] {
        for taken_back in ["TREAT", "HOPERAT"] {
            let world = World::new().await;
            let (provider, patient) = (world.doctor().await, world.somebody().await);
            let consent = consented_to(&world, &patient, taken_back).await;
            let ask = world.ask("provider_staff", "POST", &format!("/v1/patients/{patient}/waitlist"));
            ask.header("purpose-of-use", made_for).json(&wish(provider)).send().await.is(201);
            world.settle().await;
            assert_eq!(world.order(), 1, "they wait");
            revoke(&world, &patient, &consent).await;
            world.settle().await;
            let waits = usize::from(made_for != taken_back);
            assert_eq!(world.order(), waits, "{made_for}, {taken_back}");
        }
    }
}

/// Whoever sends the same registration twice at once gets no more of the second than of one that is sent later.
#[tokio::test]
async fn a_registration_that_was_quicker_is_judged_as_one_of_long_ago() {
    let world = World::new().await;
    let ask = || {
        let ask = world.ask("provider", "POST", "/v1/patients?home=US-TX");
        ask.header("idempotency-key", "one").json(&ana())
    };
    let patient = id(&ask().send().await.is(201).json());
    let consent = grant(&world, &patient, &treatment("general")).await;
    revoke(&world, &patient, &consent).await;
    // No id is at hand, so the second has to ask for one after its look, and waits there.
    while world.region.pool.take_id().await.is_ok() {}
    world.fill(1).await;
    let mut client = world.region.as_superuser().await;
    client
        .batch_execute("ALTER TABLE idempotency_records DISABLE TRIGGER USER")
        .await
        .expect("a superuser may");
    // Its look finds nothing yet.
    let turn = "UPDATE idempotency_records SET attempt_mac = sha256(attempt_mac) WHERE patient_id::text = $1";
    let back = "UPDATE idempotency_records SET attempt_mac = $2 WHERE patient_id::text = $1";
    let known = "SELECT attempt_mac FROM idempotency_records WHERE patient_id::text = $1 AND status = 201 \
                 ORDER BY created_at LIMIT 1";
    let mac: Vec<u8> = client.query_one(known, &[&patient]).await.expect("the stored answer").get(0);
    let only = "DELETE FROM idempotency_records WHERE patient_id::text = $1 AND attempt_mac <> $2";
    client.execute(only, &[&patient, &mac]).await.expect("the others go");
    client.execute(turn, &[&patient]).await.expect("it is hidden");
    let lock = client.transaction().await.expect("begins");
    lock.batch_execute("LOCK TABLE id_pool IN ACCESS EXCLUSIVE MODE").await.expect("locks");
    let meanwhile = async {
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'id_pool'::regclass AND NOT granted)";
        while !lock.query_one(waits, &[]).await.expect("looks").get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
        lock.execute(back, &[&patient, &mac]).await.expect("the first was quicker");
        lock.commit().await.expect("goes on");
    };
    let (answer, ()) = tokio::join!(ask().send(), meanwhile);
    refused(answer);
    assert_eq!(world.accesses(&patient).await.iter().filter(|one| *one == "read refused").count(), 1);
    assert_eq!(
        world.region.pool.take_id().await.map(|_| ()).map_err(|e| e.to_string()),
        Ok(()),
        "its id was given back"
    );
}
