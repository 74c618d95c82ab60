//! Many who book at once, and nodes that die while they do.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use http::Method;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residency_control::Command;
use residency_control::calendar::{CalendarChange, Confirmation, Hold, Minute};
use residency_policy::{BookingHandle, Region};
use tests::calendars::{appointment, coming, doctor, hold, now};
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::{Cluster, Wish, shared, turn};
use tests::faults::{Signal, send, wait_until};
use tests::{operate, postgres};

/// Three homes, each with the short name of its region.
const HOMES: [(&str, &str); 3] = [("US-CA", "ca"), ("US-NY", "ny"), ("US-TX", "tx")];
const STATES: [&str; 3] = ["US-CA", "US-NY", "US-TX"];

async fn a_doctor(cluster: &Cluster) -> String {
    doctor(&cluster.client("org_admin", "US-TX"), &STATES).await.expect("a clinician")
}

/// Requirement A16: through different nodes and the router, one of fifty gets the slot.
#[tokio::test]
async fn fifty_who_hold_one_slot_at_once_are_one_who_gets_it() {
    let cluster = shared();
    let provider = a_doctor(cluster).await;
    let staff = cluster.client("provider_staff", "US-TX");
    let start = coming(&staff, &provider, 2).await.expect("slots")[0].clone();
    let mut doors: Vec<Client> =
        cluster.described().regions.iter().map(|region| staff.at(&region.url)).collect();
    doors.push(staff.clone());
    let asked = (0..50).map(|n| hold(&doors[n % doors.len()], &provider, &start, "US-TX"));
    let answers: Vec<_> = join_all(asked).await.into_iter().map(|answer| answer.expect("an answer")).collect();
    let (got, not): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((got.len(), not.len()), (1, 49));
    for answer in not {
        assert_eq!(answer.problem(409).expect("a problem"), "slot-taken");
        let slot = &answer.json()["slot"];
        assert_eq!((slot["provider"].as_str(), slot["start"].as_str()), (Some(&*provider), Some(&*start)));
    }
    assert!(!coming(&staff, &provider, 2).await.expect("slots").contains(&start));
}

/// The same for patients of three homes, each booked at their own: no two of them have the slot.
#[tokio::test]
async fn fifty_of_three_homes_who_book_one_slot_are_one_who_gets_it() {
    let cluster = shared();
    let provider = a_doctor(cluster).await;
    let mut patients = Vec::new();
    for (home, region) in HOMES {
        let staff = cluster.client_at(region, "provider_staff", home);
        let patient =
            clinic::register(&staff, home, &clinic::somebody(home, 750)).await.expect("is registered");
        patients.push((staff, home, patient));
    }
    let start = coming(&patients[0].0, &provider, 2).await.expect("slots")[0].clone();
    let asked = (0..50).map(|n| {
        let (staff, home, patient) = &patients[n % patients.len()];
        let body = appointment(&provider, &start, home, "cough");
        async move { staff.post(&format!("{}/appointments", patient.path), &body).await }
    });
    let answers: Vec<_> = join_all(asked).await.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.problem(409).expect("a problem"), "slot-taken");
        assert_eq!(answer.json()["slot"]["start"], start.as_str());
    }
    let booked = rows(cluster, &provider).await.expect("rows").into_iter().filter(|row| row.status == "booked");
    assert_eq!(booked.count(), 1, "of all homes");
}

/// A row of some home.
struct Row {
    home: &'static str,
    status: String,
    handle: String,
    starts_at: String,
}

/// Every appointment with a provider, of all homes.
async fn rows(cluster: &Cluster, provider: &str) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    for (home, region) in HOMES {
        let client = postgres::inspect(cluster.region(region)).await?;
        let sql = "SELECT status, handle::text, to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
            FROM appointments WHERE provider_id::text = $1";
        all.extend(client.query(sql, &[&provider]).await?.iter().map(|row| Row {
            home,
            status: row.get(0),
            handle: row.get(1),
            starts_at: row.get(2),
        }));
    }
    Ok(all)
}

/// Where the homes and the calendar say different things, as sentences: a slot that is not free has exactly one row that
/// is booked, and a row that is booked has its slot, under its handle.
async fn diverged(cluster: &Cluster, provider: &str, all: &[String]) -> Result<Vec<String>> {
    let staff = cluster.client("provider_staff", "US-TX");
    let free = coming(&staff, provider, 4).await?;
    let mut found = Vec::new();
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    let rows = rows(cluster, provider).await?;
    for row in &rows {
        match row.status.as_str() {
            "booked" => {
                *owners.entry(&row.starts_at).or_default() += 1;
                let path = format!("/v1/providers/{provider}/holds/{}?consistency=linearizable", row.handle);
                let there = staff.ask(Method::GET, &path).without("purpose-of-use").send().await?;
                if there.json()["status"] != "booked" {
                    found.push(format!("{} of {} is booked at home only", row.starts_at, row.home));
                }
            }
            "failed" | "cancelled" => {}
            other => found.push(format!("{} of {} is {other}", row.starts_at, row.home)),
        }
    }
    for slot in all {
        let owners = owners.get(slot.as_str()).copied().unwrap_or(0);
        if usize::from(!free.contains(slot)) != owners {
            found.push(format!("{slot} has {owners} rows, free: {}", free.contains(slot)));
        }
    }
    Ok(found)
}

/// What is answered while a node may be gone: nothing, or a refusal, or that it is done.
async fn book(staff: &Client, patient: &Record, provider: &str, start: &str) -> Option<bool> {
    let body = appointment(provider, start, "US-TX", "cough");
    let answer = staff.post(&format!("{}/appointments", patient.path), &body).await.ok()?;
    Some(answer.status == 201)
}

#[tokio::test]
async fn whatever_dies_while_it_books_no_slot_is_half_booked() {
    let _turn = turn().await;
    let wish = Wish { name: "booking", people: 6, more: Vec::new() };
    let cluster = Cluster::start(&wish).expect("it starts");
    let provider = a_doctor(&cluster).await;
    let staff = cluster.client_at("tx", "provider_staff", "US-TX");
    let patient =
        clinic::register(&staff, "US-TX", &clinic::somebody("US-TX", 760)).await.expect("is registered");
    let all = coming(&staff, &provider, 4).await.expect("slots");
    assert!(all.len() >= 48, "{}", all.len());
    let mut chance = ChaCha8Rng::seed_from_u64(20_261_122);
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        // Some book here, some through the router, and the home's node is gone in the middle of it.
        let slots: Vec<&String> = all.iter().skip(round * 8).take(8).collect();
        let through = [staff.clone(), cluster.client("provider_staff", "US-TX")];
        let asked = slots.iter().enumerate().map(|(n, slot)| book(&through[n % 2], &patient, &provider, slot));
        let pid = cluster
            .now()
            .expect("it is described")
            .regions
            .iter()
            .find(|r| r.name == "tx")
            .map_or(0, |r| r.pid);
        let after = Duration::from_micros(chance.random_range(0..60_000));
        let (answers, ()) = tokio::join!(join_all(asked), async {
            // At a random moment: that is the fault itself.
            let _ = tokio::time::timeout(after, std::future::pending::<()>()).await;
            send(Signal::Kill, pid).expect("a signal");
        });
        acknowledged.extend(
            slots
                .iter()
                .zip(&answers)
                .filter(|(_, done)| **done == Some(true))
                .map(|(slot, _)| (*slot).clone()),
        );
        wait_until("the node to be back", async || {
            staff.get(&patient.path).await.ok().filter(|answer| answer.status == 200).map(|_| ())
        })
        .await
        .expect("it is back");
    }
    wait_until("homes and calendar to say the same", async || {
        diverged(&cluster, &provider, &all).await.ok().filter(Vec::is_empty).map(|_| ())
    })
    .await
    .expect("they converge");
    let rows = rows(&cluster, &provider).await.expect("rows");
    for slot in &acknowledged {
        let kept = rows.iter().any(|row| row.status == "booked" && row.starts_at == *slot);
        assert!(kept, "{slot} was acknowledged and is not booked");
    }

    without_a_quorum(&cluster, &provider, &patient, &all).await;
    planted(&cluster, &provider, &all).await;
}

/// Registration, reads and writes at home go on; a booking is refused and leaves nothing.
async fn without_a_quorum(cluster: &Cluster, provider: &str, patient: &Record, all: &[String]) {
    let staff = cluster.client_at("tx", "provider_staff", "US-TX");
    let free = coming(&staff, provider, 4).await.expect("slots");
    let described = cluster.now().expect("it is described");
    let others: Vec<u32> = described.regions.iter().filter(|r| r.name != "tx").map(|r| r.pid).collect();
    for pid in &others {
        send(Signal::Stop, *pid).expect("a signal");
    }
    let body = appointment(provider, &free[0], "US-TX", "cough");
    let path = format!("{}/appointments", patient.path);
    let refused = staff.post(&path, &body).await.expect("an answer");
    assert_eq!(refused.problem(503).expect("a problem"), "control-unavailable");
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    clinic::register(&staff, "US-TX", &clinic::somebody("US-TX", 761)).await.expect("registration goes on");
    clinic::read(&staff, &patient.path).await.expect("reads go on");
    staff.get(&path).await.expect("an answer").expect(200).expect("appointments are listed");
    for pid in &others {
        send(Signal::Continue, *pid).expect("a signal");
    }
    wait_until("homes and calendar to say the same", async || {
        diverged(cluster, provider, all).await.ok().filter(Vec::is_empty).map(|_| ())
    })
    .await
    .expect("nothing is half booked");
    wait_until("bookings to be taken again", async || {
        staff.post(&path, &body).await.ok().filter(|answer| answer.status == 201).map(|_| ())
    })
    .await
    .expect("they are");
}

/// The control of the checker: a slot that is booked without a row of any home is seen.
async fn planted(cluster: &Cluster, provider: &str, all: &[String]) {
    let staff = cluster.client_at("tx", "provider_staff", "US-TX");
    let free = coming(&staff, provider, 4).await.expect("slots");
    let start = Minute::at(free[0].parse().expect("an instant")).expect("a minute");
    let (at, region) = (now().as_second(), Region("US-TX".parse().expect("a jurisdiction")));
    let id = provider.parse().expect("an id");
    let org = cluster.credential("provider_staff", "US-TX").org.parse().expect("an id");
    let handle = BookingHandle::from(clinic::fresh());
    let held = Hold {
        provider: id,
        handle,
        start,
        end: start.plus(30),
        at,
        until: at + 600,
        calendar_version: 1,
        provider_version: 1,
        org,
        region,
        over_capacity: None,
    };
    let sure = Confirmation { provider: id, handle, until: at + 600, at, provider_version: 1, org, region };
    let changes = [CalendarChange::Hold(held), CalendarChange::Confirm(sure)].map(Command::Calendar);
    operate::commands(cluster, "tx", &changes).await.expect("it is planted");
    let found = diverged(cluster, provider, all).await.expect("a look");
    assert_eq!(found, [format!("{} has 0 rows, free: false", free[0])]);
}
