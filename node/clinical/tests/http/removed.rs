//! A patient is removed from view while something is on its way for them: they keep no time of anybody's.

use std::sync::atomic::Ordering;

use node_clinical::appointments::reconcile::Desk;
use serde_json::json;

use crate::appointments::{LATER, START, appointment};
use crate::crashes::STEPS;
use crate::support::{Answer, World};
use crate::waitlist::{rounds, wish};

impl World {
    async fn remove(&self, patient: &str) -> Answer {
        let path = format!("/v1/patients/{patient}?reason=entered-in-error");
        self.ask("provider", "DELETE", &path).header("if-match", "\"1\"").send().await
    }

    /// Where their appointments and wishes are, with how they ended.
    async fn ends(&self) -> Vec<String> {
        let client = self.region.as_superuser().await;
        let sql = "SELECT status || ' ' || coalesce(cancel_code, failure, '') FROM appointments \
                   UNION ALL SELECT status || ' ' || coalesce(outcome, '') FROM waitlist";
        client.query(sql, &[]).await.expect("rows").iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn a_booking_that_broke_off_is_undone() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let body = appointment(provider, START);
        assert!(world.send_and_die(world.book(&patient, &body), steps).await.is_none());
        world.remove(&patient).await.is(204);
        world.settle().await;
        assert_eq!(world.standing(provider), [], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        // The last step is the one after which it was booked.
        let expected = if steps + 1 < STEPS { "failed interrupted" } else { "cancelled patient-removed" };
        assert_eq!(world.ends().await, [expected], "{steps}");
    }
}

#[tokio::test]
async fn a_move_that_broke_off_is_undone() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
        let path = format!("{}/reschedule", booked.header("location"));
        let ask = world.ask("provider", "POST", &path).json(&json!({"start": LATER}));
        assert!(world.send_and_die(ask, steps).await.is_none());
        world.remove(&patient).await.is(204);
        world.settle().await;
        assert_eq!(world.standing(provider), [], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
        assert_eq!(world.ends().await, ["cancelled patient-removed"], "{steps}");
    }
}

#[tokio::test]
async fn who_is_just_booking_finds_nobody() {
    for steps in 0..STEPS {
        let world = World::new().await;
        let (provider, patient) = (world.doctor().await, world.somebody().await);
        let body = appointment(provider, START);
        let mut slow = Box::pin(world.book(&patient, &body).send());
        world.stands_still(&mut slow, steps).await;
        world.remove(&patient).await.is(204);
        world.book.back.notify_one();
        slow.await.is(404).problem("not-found");
        world.settle().await;
        assert_eq!(world.standing(provider), [], "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

/// A removal sees what is booked at the same moment: it waits for whoever is writing it.
#[tokio::test]
async fn a_removal_waits_for_what_is_being_written() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let body = appointment(provider, START);
    assert!(world.send_and_die(world.book(&patient, &body), 3).await.is_none());
    let (writer, watcher) = (world.region.as_superuser().await, world.region.as_superuser().await);
    let booked =
        "BEGIN; DELETE FROM booking_work; UPDATE appointments SET status = 'booked', version = version + 1";
    writer.batch_execute(booked).await.expect("is written");
    let mut removing = Box::pin(world.remove(&patient));
    let waits = async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
        while watcher.query_one(sql, &[]).await.expect("counts").get::<_, i64>(0) == 0 {}
    };
    tokio::select! {
        answer = &mut removing => panic!("it did not wait: {answer:?}"),
        () = waits => {}
    }
    writer.batch_execute("COMMIT").await.expect("commits");
    removing.await.is(204);
    world.settle().await;
    assert_eq!(world.standing(provider), []);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wish_is_withdrawn_wherever_it_is() {
    // Before and after: joining, holding, leaving the order. Then it is offered.
    for steps in 0..7 {
        let world = World::new().await;
        let desk = Desk::new(world.here.clone());
        let (provider, ben) = (world.doctor().await, world.somebody().await);
        world.join(&ben, &wish(provider)).await;
        world.book.steps.store(steps, Ordering::SeqCst);
        tokio::select! {
            () = async { rounds(&desk).await; rounds(&desk).await; } => assert_eq!(steps, 6),
            () = world.book.gone.notified() => assert!(steps < 6),
        }
        world.book.steps.store(i64::MAX, Ordering::SeqCst);
        world.remove(&ben).await.is(204);
        world.settle().await;
        rounds(&desk).await;
        assert_eq!(world.ends().await, ["ended removed"], "{steps}");
        assert_eq!((world.order(), world.standing(provider)), (0, vec![]), "{steps}");
        assert_eq!(world.diverged().await, Vec::<String>::new(), "{steps}");
    }
}

/// Somebody joins at the very moment at which they are removed, so the removal does not see their wish.
#[tokio::test]
async fn a_wish_that_nobody_saw_is_withdrawn() {
    let world = World::new().await;
    let desk = Desk::new(world.here.clone());
    let (provider, ben) = (world.doctor().await, world.somebody().await);
    world.join(&ben, &wish(provider)).await;
    let client = world.region.as_superuser().await;
    let unseen = "ALTER TABLE patients DISABLE TRIGGER patients_free_times";
    client.batch_execute(unseen).await.expect("is switched off");
    world.remove(&ben).await.is(204);
    rounds(&desk).await;
    assert_eq!(world.ends().await, ["ended removed"]);
    assert_eq!((world.order(), world.standing(provider)), (0, vec![]));
}
