//! Every list has pages, and their cursors cannot be made up or carried elsewhere.

use std::collections::BTreeSet;

use tests::clinic;
use tests::cluster::shared;

use super::{HOME, doors};

#[tokio::test]
async fn walking_a_list_shows_everything_once_whatever_happens_meanwhile() {
    for (seed, (door, doctor)) in (500..).step_by(20).zip(doors("provider")) {
        let mut registered = BTreeSet::new();
        for number in 0..7 {
            let person = clinic::somebody(HOME, seed + number);
            registered.insert(clinic::register(&doctor, HOME, &person).await.expect(door).id);
        }
        let path = format!("/v1/patients?home={HOME}");
        let first =
            doctor.get(&format!("{path}&limit=3")).await.expect("an answer").expect(200).expect(door).json();
        // Somebody new comes while the list is walked: it is not shown twice over.
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, seed + 10)).await.expect(door);
        let cursor = first["page"]["next_cursor"].as_str().expect("a second page");
        let second = doctor.get(&format!("{path}&limit=3&cursor={cursor}")).await.expect("an answer").json();
        let ids = |page: &serde_json::Value| -> Vec<String> {
            page["data"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|p| Some(p["id"].as_str()?.to_owned()))
                .collect()
        };
        assert!(ids(&first).iter().all(|id| !ids(&second).contains(id)), "{first} {second}");

        let all = clinic::walk(&doctor, &path, 5).await.expect(door);
        let shown: Vec<&str> = all.iter().filter_map(|p| p["id"].as_str()).collect();
        let once: BTreeSet<&str> = shown.iter().copied().collect();
        assert_eq!(shown.len(), once.len(), "nobody is shown twice");
        assert!(registered.iter().all(|id| once.contains(id.as_str())), "{door}");
    }
}

#[tokio::test]
async fn a_page_has_a_limit() {
    let anyone = shared().client("provider", HOME);
    for path in [format!("/v1/patients?home={HOME}"), "/v1/orgs?x".into(), "/v1/regions?x".into()] {
        let path = path.trim_end_matches('x').to_owned();
        let separator = if path.ends_with('?') { "" } else { "&" };
        for limit in ["0", "201", "-1", "ten", "", "1e2", "99999999999999999999"] {
            let answer = anyone.get(&format!("{path}{separator}limit={limit}")).await.expect("an answer");
            assert_eq!(answer.problem(400).expect(&path), "bad-parameter", "{limit:?}");
        }
        let answer = anyone.get(&format!("{path}{separator}limit=200")).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_and_organisation_only() {
    let doctor = shared().client("provider", HOME);
    for number in 0..3 {
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 560 + number)).await.expect("it is registered");
    }
    let path = format!("/v1/patients?home={HOME}&limit=1");
    let page = doctor.get(&path).await.expect("an answer").expect(200).expect("a page").json();
    let cursor = page["page"]["next_cursor"].as_str().expect("a second page").to_owned();
    doctor.get(&format!("{path}&cursor={cursor}")).await.expect("an answer").expect(200).expect("the control");

    let own = &shared().credential("provider", HOME).org;
    let other = shared().described().credentials.iter().find(|c| c.role == "provider" && c.org != *own);
    let stranger = shared().nobody().key(&other.expect("a second clinic").api_key);
    let mut flipped = cursor.clone().into_bytes();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("text");
    for (what, client, path) in [
        ("another organisation", &stranger, format!("{path}&cursor={cursor}")),
        ("another list", &doctor, format!("/v1/orgs?limit=1&cursor={cursor}")),
        ("another home", &doctor, format!("/v1/patients?home=US-TX&limit=1&cursor={cursor}")),
        ("a changed byte", &doctor, format!("{path}&cursor={flipped}")),
        ("nothing", &doctor, format!("{path}&cursor=")),
    ] {
        let answer = client.get(&path).await.expect("an answer");
        assert_eq!(answer.problem(400).expect(what), "bad-parameter", "{what}");
    }
}
