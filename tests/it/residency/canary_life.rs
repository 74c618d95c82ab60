//! What happens to a canary: every journey, and every error with its words in it.

use anyhow::{Context, Result};
use http::Method;
use residency_policy::Role;
use serde_json::json;
use tests::calendars;
use tests::canaries::Canary;
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::Cluster;
use tests::operate;

/// Everything that a clinic does with a patient, through the router.
pub(super) async fn live(cluster: &Cluster, canary: &Canary) -> Result<Record> {
    let home = canary.home.as_str();
    let doctor = cluster.client("provider", home);
    let patient = clinic::register(&doctor, home, &canary.person).await.context("register")?;
    clinic::read(&doctor, &patient.path).await.context("read")?;
    doctor.http2().get(&patient.path).await?.expect(200)?;
    doctor.get(&format!("/v1/patients?home={home}")).await?.expect(200)?;
    let person = &canary.person;
    for query in [
        json!({ "family_name": person.family_name }),
        json!({ "given_name": person.given_name, "family_name": person.family_name }),
        json!({ "family_name": person.family_name, "birth_date": person.birth_date }),
        json!({ "birth_date": person.birth_date }),
        json!({ "phone": person.phone }),
        json!({ "email": person.email }),
        json!({ "mrn": patient.body["mrn"] }),
    ] {
        let found = doctor.post(&format!("/v1/patients/search?home={home}"), &query).await?.expect(200)?;
        anyhow::ensure!(found.text().contains(&patient.id), "{query} does not find the canary");
    }
    let updated =
        doctor.patch(&patient.path, &patient.etag, &canary.updated).await?.expect(200).context("update")?;
    let patient = Record::of(&patient.path, &updated)?;
    let text = &canary.encounter;
    // What lies beneath a patient may be of a category that the router sends on to the home: this goes there itself.
    let region = cluster.described().regions.iter().find(|r| r.jurisdiction == home).context("a region")?;
    let doctor = doctor.at(&region.url);
    let opened =
        clinic::open_encounter(&doctor, &patient, home, &text.reason, "to be written").await.context("open")?;
    let amended = doctor.patch(&opened.path, &opened.etag, &json!({ "note": text.note })).await?.expect(200)?;
    let signed = clinic::sign(&doctor, &Record::of(&opened.path, &amended)?).await.context("sign")?;
    clinic::add_addendum(&doctor, &signed, &canary.addendum.note).await?.expect(201).context("addendum")?;
    doctor.get(&opened.path).await?.expect(200)?;
    doctor.get(&format!("{}/encounters", patient.path)).await?.expect(200)?;
    schedule(cluster, canary, &patient, &doctor).await.context("schedule")?;
    let clinic = &cluster.credential("provider", home).org;
    let (auditor, _) = operate::mint(cluster, clinic, Role::Auditor).await.context("an auditor")?;
    doctor.key(&auditor).purpose("HOPERAT").get(&patient.path).await?.expect(200)?;
    Ok(patient)
}

/// Books, moves and cancels, and waits: why is the canary's, and every calendar is everywhere.
async fn schedule(cluster: &Cluster, canary: &Canary, patient: &Record, doctor: &Client) -> Result<()> {
    let home = canary.home.as_str();
    let provider = calendars::doctor(&cluster.client("org_admin", home), &[home]).await?;
    let free = calendars::coming(doctor, &provider, 3).await?;
    let text = &canary.encounter;
    let path = format!("{}/appointments", patient.path);
    let body = calendars::appointment(&provider, &free[0], home, &text.reason);
    let booked = doctor.post(&path, &body).await?.expect(201)?.header("location").to_owned();
    doctor.post(&format!("{booked}/reschedule"), &json!({ "start": free[1] })).await?.expect(200)?;
    doctor.get(&booked).await?.expect(200)?;
    doctor.get(&path).await?.expect(200)?;
    let wish = json!({ "provider": provider, "service_jurisdiction": home, "from": free[1], "to": free[2] });
    doctor.post(&format!("{}/waitlist", patient.path), &wish).await?.expect(201)?;
    doctor.get(&format!("{}/waitlist", patient.path)).await?.expect(200)?;
    let cancel = json!({ "code": "patient-request", "note": canary.addendum.reason });
    doctor.post(&format!("{booked}/cancel"), &cancel).await?.expect(200)?;
    Ok(())
}

/// Everything that goes wrong, with the canary's words in every place where a word fits.
pub(super) async fn err(cluster: &Cluster, canary: &Canary, patient: &Record) -> Result<()> {
    let home = canary.home.as_str();
    let word = &canary.person.family_name;
    let mail = &canary.person.email;
    let mut doors = vec![cluster.client("provider", home)];
    doors.extend(cluster.described().regions.iter().map(|r| cluster.client_at(&r.name, "provider", home)));
    for door in &doors {
        let path = format!("/v1/patients?home={home}");
        let body = serde_json::to_value(&canary.person)?;
        let mut asked = Vec::new();
        let post = || door.ask(Method::POST, &path);
        for (field, wrong) in
            [("phone", word), ("birth_date", word), ("email", word), ("sex", word), (word.as_str(), mail)]
        {
            let mut broken = body.clone();
            broken[field] = json!(wrong);
            asked.push(post().json(&broken));
        }
        let text = serde_json::to_string(&body)?;
        asked.push(post().header("content-type", "application/json").bytes(text[..text.len() - 2].to_owned()));
        asked.push(post().header("content-type", "text/plain").bytes(text.clone()));
        asked.push(post().json(&body).without("idempotency-key"));
        asked.push(post().json(&body).header("idempotency-key", &format!("\"{word}")));
        asked.push(post().json(&body).header("purpose-of-use", word));
        asked.push(post().json(&body).header("purpose-of-use", "HMARKT"));
        asked.push(post().json(&body).header("authorization", &format!("Bearer {word}")));
        asked.push(door.ask(Method::POST, &format!("/v1/patients?home={word}")).json(&body));
        asked.push(door.ask(Method::POST, &format!("{path}&name={word}")).json(&body));
        asked.push(door.ask(Method::POST, &format!("/v1/{word}?{word}={mail}")).json(&body));
        asked.push(door.ask(Method::GET, &format!("/v1/patients/{word}")));
        asked.push(door.ask(Method::GET, &format!("{path}&cursor={word}")));
        asked.push(door.ask(Method::GET, &path).header("x-request-id", word).header("user-agent", mail));
        asked.push(door.ask(Method::GET, &format!("/problems/{word}")));
        asked.push(
            door.ask(Method::GET, &patient.path).header("domicile-ingress", word).header("referer", mail),
        );
        asked.push(
            door.ask(Method::PATCH, &patient.path).header("if-match", &format!("\"{word}\"")).json(&body),
        );
        asked.push(door.ask(Method::PATCH, &patient.path).header("if-match", "\"999\"").json(&body));
        asked
            .push(door.ask(Method::DELETE, &format!("{}?reason={word}", patient.path)).header("if-match", "*"));
        asked.push(
            door.ask(Method::POST, &format!("/v1/patients/search?home={home}")).json(&json!({ "name": word })),
        );
        asked.push(
            door.ask(Method::POST, &format!("/v1/patients/search?home={home}")).json(&json!({ "email": word })),
        );
        asked.push(
            door.ask(Method::POST, &format!("{}/encounters", patient.path))
                .json(&json!({ "reason": word, "x": mail })),
        );
        let wrong = json!({ "provider": word, "start": mail, "kind": word, "reason": word, "note": mail });
        for below in ["appointments", "waitlist"] {
            asked.push(door.ask(Method::POST, &format!("{}/{below}", patient.path)).json(&wrong));
        }
        let held = format!("/v1/providers/{}/holds", patient.id);
        asked.push(door.ask(Method::POST, &held).without("purpose-of-use").json(&wrong));
        asked.push(door.ask(Method::GET, &format!("{held}/{word}")).without("purpose-of-use"));
        for asking in asked {
            let answer = asking.send().await?;
            anyhow::ensure!(answer.status.as_u16() < 500, "{}: {}", answer.status, answer.text());
            // A refusal does not repeat what was sent.
            if answer.status.is_client_error() {
                anyhow::ensure!(
                    !answer.text().contains(word) && !answer.text().contains(mail),
                    "{}",
                    answer.text()
                );
            }
        }
        let huge = format!("{{\"given_name\":\"{}\"}}", word.repeat(100_000));
        // The connection may be closed before all of it was sent.
        let _ = post().header("content-type", "application/json").bytes(huge).send().await;
        for role in ["marketer", "pharmacist", "lab_tech"] {
            let other = cluster.client(role, home).at(door.url());
            other.post(&path, &body).await?.expect(403)?;
        }
    }
    // Nobody may put a person's name where the control plane would replicate it, in any form that is refused.
    let admin = cluster.client("org_admin", home);
    let org = json!({ "name": format!("{mail}; {word}"), "type": "provider", "serves": [home] });
    admin.post("/v1/orgs", &org).await?.expect(422)?;
    Ok(())
}
