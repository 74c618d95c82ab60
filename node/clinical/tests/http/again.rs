//! The same request again, after it came to nothing, or after what it made was changed.

use residency_control::calendar::{CalendarChange, Hold, Ledger, Minute, OverrideReason};
use residency_control::machine::apply;
use residency_control::{Command, Outcome};
use residency_policy::{BookingHandle, Clock as _, ProviderId, Region};
use serde_json::json;

use crate::appointments::{LATER, START, appointment};
use crate::support::{World, jurisdiction};

impl World {
    fn calendar_change(&self, change: CalendarChange) {
        let outcome = apply(&mut self.book.state.lock().expect("a lock"), Command::Calendar(change));
        assert_eq!(outcome, Outcome::Done);
    }

    /// The organisation holds as much as it may. Returns one of the holds.
    fn hold_all(&self, provider: ProviderId) -> BookingHandle {
        let handle = |n: usize| BookingHandle::from_bytes((n as u128 + 1).to_be_bytes());
        let start = Minute::at("2026-12-01T15:00:00Z".parse().expect("an instant")).expect("a minute");
        let at = self.region.clock.now().as_second();
        let provider_version =
            self.book.state.lock().expect("a lock").providers().get(provider).expect("is known").version;
        for n in 0..Ledger::HOLDS_MAX {
            self.calendar_change(CalendarChange::Hold(Hold {
                provider,
                handle: handle(n),
                start,
                end: start.plus(30),
                at,
                until: at + 3_000,
                calendar_version: 1,
                provider_version,
                org: self.org,
                region: Region(jurisdiction("US-TX")),
                over_capacity: Some(OverrideReason::UrgentNeed),
            }));
        }
        handle(0)
    }
}

#[tokio::test]
async fn what_came_to_nothing_for_now_may_be_asked_for_again() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let body = appointment(provider, START);
    let ask = |key: &str| world.book(&patient, &body).header("idempotency-key", key);
    // Somebody is faster, and then does not come.
    let mut slow = Box::pin(ask("one").send());
    world.stands_still(&mut slow, 0).await;
    let faster = ask("two").send().await.is(201);
    world.book.back.notify_one();
    slow.await.is(409).problem("slot-taken");
    ask("one").send().await.is(409).problem("slot-taken");
    let cancel = format!("{}/cancel", faster.header("location"));
    world.ask("provider", "POST", &cancel).json(&json!({"code": "patient-request"})).send().await.is(200);
    ask("one").send().await.is(201);

    let body = appointment(provider, LATER);
    let ask = || world.book(&patient, &body).header("idempotency-key", "three");
    let one = world.hold_all(provider);
    let refused = ask().send().await.is(429);
    assert_eq!(refused.header("retry-after"), "60");
    refused.problem("too-many-requests");
    ask().send().await.is(429).problem("too-many-requests");
    world.calendar_change(CalendarChange::Release { provider, handle: one, org: world.org });
    assert_eq!(ask().send().await.is(201).json()["starts_at"], LATER);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

/// Others finished it, so no answer was stored; and then it was changed.
#[tokio::test]
async fn whoever_booked_is_shown_what_is_there_by_now() {
    for change in ["cancel", "reschedule"] {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let body = appointment(provider, START);
        let ask = || world.book(&patient, &body).header("idempotency-key", "one");
        assert!(world.send_and_die(ask(), 3).await.is_none());
        world.settle().await;
        let listed = format!("/v1/patients/{patient}/appointments");
        let listed = world.ask("provider", "GET", &listed).send().await.is(200).json();
        let id = listed["data"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/patients/{patient}/appointments/{id}/{change}");
        let done = match change {
            "cancel" => json!({"code": "patient-request"}),
            _ => json!({"start": LATER}),
        };
        let changed = world.ask("provider", "POST", &path).json(&done).send().await.is(200).json();
        let again = ask().send().await.is(201).json();
        assert_eq!((&again["id"], &again["status"]), (&json!(id), &changed["status"]), "{change}");
        assert_eq!(again["starts_at"], changed["starts_at"], "{change}");
        // The control: another request under the same key is another.
        let other = world.book(&patient, &appointment(provider, "2026-11-25T15:00:00Z"));
        other.header("idempotency-key", "one").send().await.is(422).problem("idempotency-reused");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{change}");
    }
}
