//! A node dies between any two steps of a booking, a move or a cancellation, and nothing stays half done.
//!
//! Every step ends with a change of the control plane or a commit here. Whoever asks is dropped before or after the
//! n-th change, for every n: what they had committed stays, what they would have done is not done.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::appointments::{LATER, START, appointment};
use crate::support::{Answer, Ask, World};

impl World {
    /// Sends a request whose node dies after so many steps. `None` if it did.
    pub(crate) async fn send_and_die(&self, ask: Ask<'_>, steps: i64) -> Option<Answer> {
        self.book.steps.store(steps, Ordering::SeqCst);
        let answer = tokio::select! {
            answer = ask.send() => Some(answer),
            () = self.book.gone.notified() => None,
        };
        self.book.steps.store(i64::MAX, Ordering::SeqCst);
        answer
    }

    /// Sends a request, which stands still after so many steps until it is told to go on.
    pub(crate) async fn stands_still(&self, slow: &mut (impl Future<Output = Answer> + Unpin), steps: i64) {
        self.book.steps.store(steps, Ordering::SeqCst);
        tokio::select! {
            answer = slow => panic!("it was to stand still: {answer:?}"),
            () = self.book.gone.notified() => {}
        }
        self.book.steps.store(i64::MAX, Ordering::SeqCst);
    }

    /// Nobody has a piece of work any more.
    pub(crate) async fn expire(&self) {
        let client = self.region.as_superuser().await;
        client.execute("UPDATE booking_work SET due_at = now()", &[]).await.expect("expires");
    }
}

/// Before and after holding, before and after confirming, and one more after which nobody dies.
pub(crate) const STEPS: i64 = 4;

#[tokio::test]
async fn a_booking_that_broke_off_is_finished_or_undone() {
    let mut left = 0;
    for steps in 0..=STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let body = appointment(provider, START);
        let ask = || world.book(&patient, &body).header("idempotency-key", "one");
        let died = world.send_and_die(ask(), steps).await.is_none();
        assert_eq!(died, steps < STEPS, "{steps}");
        // The control: as long as nobody finishes or undoes it, the two say different things.
        let diverged = world.diverged().await;
        assert_eq!(!diverged.is_empty(), died, "{steps}: {diverged:?}");
        left += usize::from(died);
        if died {
            // Somebody may be working on it for all that the caller knows.
            ask().send().await.is(409).problem("idempotency-in-flight");
        }
        world.settle().await;
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        // Whatever became of it, the same request again is one appointment.
        let again = ask().send().await.is(201);
        assert_eq!(again.json()["status"], "booked", "{steps}");
        assert_eq!(world.standing(provider), [(START.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
    assert_eq!(left, 4);
}

#[tokio::test]
async fn the_same_request_again_goes_on_with_what_broke_off() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let body = appointment(provider, START);
        let ask = || world.book(&patient, &body).header("idempotency-key", "one");
        assert!(world.send_and_die(ask(), steps).await.is_none());
        world.expire().await;
        let again = ask().send().await.is(201);
        assert_eq!(again.json()["starts_at"], START, "{steps}");
        assert_eq!(world.standing(provider), [(START.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        assert_eq!(ask().send().await.is(201).header("idempotent-replayed"), "true");
    }
}

#[tokio::test]
async fn a_move_that_broke_off_is_finished_or_undone() {
    for steps in 0..=STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
        let path = format!("{}/reschedule", booked.header("location"));
        let ask = || {
            let ask = world.ask("provider", "POST", &path).header("idempotency-key", "one");
            ask.json(&json!({"start": LATER}))
        };
        let died = world.send_and_die(ask(), steps).await.is_none();
        assert_eq!(died, steps < STEPS, "{steps}");
        let diverged = world.diverged().await;
        assert_eq!(!diverged.is_empty(), died, "{steps}: {diverged:?}");
        if steps % 2 == 0 {
            world.settle().await;
            assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
            let one: Vec<_> =
                world.standing(provider).into_iter().filter(|(_, word)| *word == "booked").collect();
            assert_eq!(one.len(), 1, "never both and never neither");
        } else {
            world.expire().await;
            // The first one may undo what was left; the next one then begins anew.
            let first = ask().send().await;
            if first.status == 409 {
                first.problem("idempotency-in-flight");
            }
        }
        let moved = ask().send().await.is(200);
        assert_eq!(moved.json()["starts_at"], LATER, "{steps}");
        assert_eq!(world.standing(provider), [(LATER.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

#[tokio::test]
async fn a_cancellation_that_broke_off_is_finished() {
    for steps in 0..=2 {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
        let path = format!("{}/cancel", booked.header("location"));
        let ask = || {
            let ask = world.ask("provider", "POST", &path).header("idempotency-key", "one");
            ask.json(&json!({"code": "no-longer-needed", "note": "well again"}))
        };
        let died = world.send_and_die(ask(), steps).await.is_none();
        assert_eq!(died, steps < 2, "{steps}");
        assert_eq!(!world.diverged().await.is_empty(), died, "{steps}");
        if steps == 0 {
            world.expire().await;
        } else {
            world.settle().await;
            assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        }
        let cancelled = ask().send().await.is(200);
        assert_eq!(cancelled.json()["cancel_note"], "well again");
        assert_eq!(world.standing(provider), [], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

impl World {
    /// Sends a request that stands still after so many steps, sees to it that others finish or undo what it began, and
    /// lets it go on.
    async fn send_and_come_back(&self, ask: Ask<'_>, steps: i64) -> Answer {
        let mut slow = Box::pin(ask.send());
        self.stands_still(&mut slow, steps).await;
        self.settle().await;
        assert_eq!(self.diverged().await, Vec::<String>::new(), "{steps}: others settled it");
        self.book.back.notify_waiters();
        slow.await
    }
}

/// Whoever comes back after they were given up for dead can write nothing, here or in the control plane.
#[tokio::test]
async fn who_was_given_up_for_dead_cannot_book() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let body = appointment(provider, START);
        let ask = || world.book(&patient, &body).header("idempotency-key", "one");
        let late = world.send_and_come_back(ask(), steps).await;
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        // What they are told is no lie, whatever others made of it.
        late.is(409).problem("idempotency-in-flight");
        assert_eq!(ask().send().await.is(201).json()["status"], "booked", "{steps}");
        assert_eq!(world.standing(provider), [(START.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

#[tokio::test]
async fn who_was_given_up_for_dead_cannot_move() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
        let path = format!("{}/reschedule", booked.header("location"));
        let ask = || {
            let ask = world.ask("provider", "POST", &path).header("idempotency-key", "one");
            ask.json(&json!({"start": LATER}))
        };
        let late = world.send_and_come_back(ask(), steps).await;
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        late.is(409).problem("idempotency-in-flight");
        assert_eq!(ask().send().await.is(200).json()["starts_at"], LATER, "{steps}");
        assert_eq!(world.standing(provider), [(LATER.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

/// Whoever goes on with a cancellation does not take it back: whoever was before may still free the time.
#[tokio::test]
async fn a_cancellation_that_somebody_else_began_is_not_taken_back() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
    let path = format!("{}/cancel", booked.header("location"));
    let ask = || {
        let ask = world.ask("provider", "POST", &path).header("idempotency-key", "one");
        ask.json(&json!({"code": "no-longer-needed"}))
    };
    let mut slow = Box::pin(ask().send());
    world.stands_still(&mut slow, 0).await;
    world.expire().await;
    world.book.quorum.store(false, Ordering::SeqCst);
    ask().send().await.is(503).problem("control-unavailable");
    world.book.quorum.store(true, Ordering::SeqCst);
    world.book.back.notify_waiters();
    slow.await.is(409).problem("idempotency-in-flight");
    world.settle().await;
    assert_eq!(world.diverged().await, Vec::<String>::new());
    assert_eq!(ask().send().await.is(200).json()["status"], "cancelled");
}

/// A hold that the caller took before outlives the crash of whoever booked it.
#[tokio::test]
async fn a_hold_of_the_callers_is_gone_on_with() {
    for (steps, settled) in [(0, true), (1, true), (0, false), (1, false)] {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let hold = world.hold(provider, START).await.is(201).json()["handle"].clone();
        let mut body = appointment(provider, START);
        body["start"] = serde_json::Value::Null;
        body["hold"] = hold;
        let ask = || world.book(&patient, &body).header("idempotency-key", "one");
        assert!(world.send_and_die(ask(), steps).await.is_none());
        if settled {
            world.settle().await;
        } else {
            world.expire().await;
        }
        assert_eq!(ask().send().await.is(201).json()["status"], "booked", "{steps}");
        assert_eq!(world.standing(provider), [(START.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");

        let hold = world.hold(provider, LATER).await.is(201).json()["handle"].clone();
        let path = format!("{}/reschedule", ask().send().await.is(201).header("location"));
        let body = json!({ "hold": hold });
        let ask = || world.ask("provider", "POST", &path).header("idempotency-key", "two").json(&body);
        assert!(world.send_and_die(ask(), steps).await.is_none());
        if settled {
            world.settle().await;
        } else {
            world.expire().await;
        }
        assert_eq!(ask().send().await.is(200).json()["starts_at"], LATER, "{steps}");
        assert_eq!(world.standing(provider), [(LATER.to_owned(), "booked")], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

/// Whoever worked on an earlier change of an appointment has nothing to say of a later one.
#[tokio::test]
async fn who_was_given_up_for_dead_cannot_end_what_came_later() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
    let path = format!("{}/reschedule", booked.header("location"));
    let ask = |start| world.ask("provider", "POST", &path).json(&json!({ "start": start }));
    let mut earlier = Box::pin(ask(LATER).send());
    world.stands_still(&mut earlier, 0).await;
    world.settle().await;
    let even_later = "2026-11-25T15:00:00Z";
    let mut later = Box::pin(ask(even_later).send());
    world.stands_still(&mut later, 1).await;
    // They go on in the order in which they stood still.
    world.book.back.notify_one();
    earlier.await.is(409).problem("idempotency-in-flight");
    world.book.back.notify_one();
    assert_eq!(later.await.is(200).json()["starts_at"], even_later);
    assert_eq!(world.standing(provider), [(even_later.to_owned(), "booked")]);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

/// The control plane cannot be asked what became of it: nobody keeps the work from whoever comes next.
#[tokio::test]
async fn who_cannot_ask_what_became_of_it_leaves_it_to_the_next() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let body = appointment(provider, START);
    let booking = || world.book(&patient, &body).header("idempotency-key", "one");
    assert!(world.send_and_die(booking(), 1).await.is_none());
    world.expire().await;
    world.book.quorum.store(false, Ordering::SeqCst);
    booking().send().await.is(503).problem("control-unavailable");
    world.book.quorum.store(true, Ordering::SeqCst);
    let booked = booking().send().await.is(201);
    let path = format!("{}/reschedule", booked.header("location"));
    let moving = || {
        let ask = world.ask("provider", "POST", &path).header("idempotency-key", "two");
        ask.json(&json!({"start": LATER}))
    };
    assert!(world.send_and_die(moving(), 1).await.is_none());
    world.expire().await;
    world.book.quorum.store(false, Ordering::SeqCst);
    moving().send().await.is(503).problem("control-unavailable");
    world.book.quorum.store(true, Ordering::SeqCst);
    world.settle().await;
    assert_eq!(moving().send().await.is(200).json()["starts_at"], LATER);
    assert_eq!(world.standing(provider), [(LATER.to_owned(), "booked")]);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}
