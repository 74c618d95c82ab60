//! Wishes in Postgres.

use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_control::calendar::{Minute, Wanted};
use residency_policy::{BookingHandle, KeyId, PatientId, ProviderId, Purpose, WaitlistId};
use storage::{Error, Event, EventName, Reading, RegionTx, Row};
use uuid::Uuid;

use super::model::{Asked, Offer, Outcome, State, Wish};
use crate::appointments::{self, model::Place};

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("waitlist.insert", INSERT),
    ("waitlist.lock", LOCK),
    ("waitlist.live", LIVE),
    ("waitlist.list", LIST),
    ("waitlist.update", UPDATE),
    ("waitlist.fulfil", FULFIL),
    ("waitlist.wake", WAKE),
];

/// Makes a wish.
pub const INSERT: &str = "\
INSERT INTO waitlist (id, patient_id, org_id, status, handle, provider_id, specialty, service_jurisdiction,
    wanted_from, wanted_to, request_mac, made_by, created_at, updated_at, version, purpose)
VALUES ($1, $2, $3, 'joining', $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 1, $13)";

/// One wish, and nobody else changes it until the transaction ends.
pub const LOCK: &str = "\
SELECT w.id, w.patient_id, w.status, w.handle, w.provider_id, w.specialty, w.service_jurisdiction, w.wanted_from,
    w.wanted_to, w.offer_provider_id, w.offer_handle, w.offer_starts_at, w.offer_ends_at, w.offer_until, w.outcome,
    w.request_mac, w.made_by, w.created_at, w.updated_at, w.version, w.purpose
FROM waitlist w
WHERE w.org_id = $1 AND w.patient_id = $2 AND w.id = $3
FOR UPDATE OF w";

/// How many wishes of a patient have not ended.
pub const LIVE: &str = "\
SELECT count(*) AS live
FROM waitlist
WHERE org_id = $1 AND patient_id = $2 AND status NOT IN ('leaving', 'ended')";

/// A page of wishes. Those that ended are left out unless they are asked for.
pub const LIST: &str = "\
SELECT w.id, w.patient_id, w.status, w.handle, w.provider_id, w.specialty, w.service_jurisdiction, w.wanted_from,
    w.wanted_to, w.offer_provider_id, w.offer_handle, w.offer_starts_at, w.offer_ends_at, w.offer_until, w.outcome,
    w.request_mac, w.made_by, w.created_at, w.updated_at, w.version, w.purpose
FROM waitlist w
WHERE w.org_id = $1 AND w.patient_id = $2 AND (w.created_at, w.id) < ($3, $4)
    AND ($5 OR w.status NOT IN ('leaving', 'ended'))
ORDER BY w.created_at DESC, w.id DESC
LIMIT $6";

/// Changes a wish.
pub const UPDATE: &str = "\
UPDATE waitlist
SET status = $4, handle = $5, offer_provider_id = $6, offer_handle = $7, offer_starts_at = $8, offer_ends_at = $9,
    offer_until = $10, outcome = $11, updated_at = $12, version = version + 1
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND version = $13";

/// Ends the wish that was offered the time which an appointment has now.
pub const FULFIL: &str = "\
UPDATE waitlist
SET status = 'leaving', outcome = 'booked', offer_provider_id = NULL, offer_handle = NULL, offer_starts_at = NULL,
    offer_ends_at = NULL, offer_until = NULL, updated_at = $4, version = version + 1
WHERE org_id = $1 AND patient_id = $2 AND status = 'offered' AND offer_handle IN (
    SELECT coalesce(a.to_handle, a.handle) FROM appointments a WHERE a.org_id = $1 AND a.patient_id = $2 AND a.id = $3)
RETURNING id";

/// Leaves its work to whoever comes next, at once.
pub const WAKE: &str = "\
UPDATE booking_work
SET due_at = now(), resting = false
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND resting";

/// Makes a wish.
pub async fn insert(tx: &RegionTx, wish: &Wish) -> Result<(), Error> {
    let (provider, specialty) = match wish.asked.wanted {
        Wanted::Provider(provider) => (Some(provider.uuid()), None),
        Wanted::Specialty(code) => (None, Some(code.as_str().to_owned())),
    };
    tx.execute(
        INSERT,
        &[
            &wish.id.uuid(),
            &wish.patient.uuid(),
            &tx.scope().org.uuid(),
            &wish.handle.uuid(),
            &provider,
            &specialty,
            &wish.asked.service.code(),
            &wish.asked.from.timestamp(),
            &wish.asked.to.timestamp(),
            &wish.request.as_slice(),
            &wish.made_by.uuid(),
            &wish.created_at,
            &wish.purpose.map(Purpose::as_str),
        ],
    )
    .await?;
    Ok(())
}

/// One wish, which nobody else changes until the transaction ends.
pub async fn lock(tx: &RegionTx, patient: PatientId, id: WaitlistId) -> Result<Option<Wish>, Error> {
    let row = tx.query_opt(LOCK, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await?;
    row.map(|row| wish(&row)).transpose()
}

/// How many wishes of a patient have not ended.
pub async fn live(tx: &RegionTx, patient: PatientId) -> Result<i64, Error> {
    let row = tx.query_one(LIVE, &[&tx.scope().org.uuid(), &patient.uuid()]).await?;
    row.get("live")
}

/// A page of wishes, the newest first. Ask first whether there is such a patient.
pub async fn list(
    tx: &impl Reading,
    patient: PatientId,
    all: bool,
    page: &PageRequest,
) -> Result<Vec<Wish>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let org = tx.scope().org.uuid();
    let rows = tx.query(LIST, &[&org, &patient.uuid(), &at, &id, &all, &page.fetch()]).await?;
    rows.iter().map(wish).collect()
}

/// Writes a wish that was locked; `wish.version` is the version that was read.
pub async fn update(tx: &RegionTx, wish: &Wish) -> Result<(), Error> {
    let offer = wish.state.offer();
    let changed = tx
        .execute(
            UPDATE,
            &[
                &tx.scope().org.uuid(),
                &wish.patient.uuid(),
                &wish.id.uuid(),
                &wish.state.as_str(),
                &wish.handle.uuid(),
                &offer.map(|offer| offer.place.provider.uuid()),
                &offer.map(|offer| offer.place.handle.uuid()),
                &offer.map(|offer| offer.place.start.timestamp()),
                &offer.map(|offer| offer.place.end.timestamp()),
                &offer.map(|offer| offer.until),
                &wish.state.outcome().map(Outcome::as_str),
                &tx.now(),
                &wish.version,
            ],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(Error::NotOneRow) }
}

/// Tells whoever looks after a wish that ended with [`FULFIL`].
pub async fn was_fulfilled(tx: &RegionTx, patient: PatientId, ended: &Row) -> Result<(), Error> {
    let id: Uuid = ended.get("id")?;
    tx.put(WAKE, &[&tx.scope().org.uuid(), &patient.uuid(), &id]).await?;
    tx.emit(&Event::new(EventName::WaitlistEnded, id)).await
}

fn wish(row: &Row) -> Result<Wish, Error> {
    let minute = |column| Minute::at(row.get(column)?).ok_or(Error::Row { column });
    let offer = || -> Result<Offer, Error> {
        Ok(Offer {
            place: Place {
                provider: ProviderId::from(row.get::<Uuid>("offer_provider_id")?),
                handle: BookingHandle::from(row.get::<Uuid>("offer_handle")?),
                start: minute("offer_starts_at")?,
                end: minute("offer_ends_at")?,
            },
            until: row.get("offer_until")?,
        })
    };
    let outcome =
        || row.get::<Option<&str>>("outcome")?.and_then(Outcome::read).ok_or(Error::Row { column: "outcome" });
    let state = match row.get::<&str>("status")? {
        "joining" => State::Joining,
        "waiting" => State::Waiting,
        "offering" => State::Offering(offer()?),
        "offered" => State::Offered(offer()?),
        "leaving" => State::Leaving(outcome()?),
        "ended" => State::Ended(outcome()?),
        _ => return Err(Error::Row { column: "status" }),
    };
    let wanted = if let Some(provider) = row.get::<Option<Uuid>>("provider_id")? {
        Wanted::Provider(ProviderId::from(provider))
    } else {
        let code = row.get::<Option<&str>>("specialty")?.and_then(|code| code.parse().ok());
        Wanted::Specialty(code.ok_or(Error::Row { column: "specialty" })?)
    };
    Ok(Wish {
        id: WaitlistId::from(row.get::<Uuid>("id")?),
        patient: PatientId::from(row.get::<Uuid>("patient_id")?),
        state,
        handle: BookingHandle::from(row.get::<Uuid>("handle")?),
        asked: Asked {
            wanted,
            service: row
                .get::<&str>("service_jurisdiction")?
                .parse()
                .map_err(|_| Error::Row { column: "service_jurisdiction" })?,
            from: minute("wanted_from")?,
            to: minute("wanted_to")?,
        },
        made_by: KeyId::from(row.get::<Uuid>("made_by")?),
        request: row
            .get::<&[u8]>("request_mac")?
            .try_into()
            .map_err(|_| Error::Row { column: "request_mac" })?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        version: row.get("version")?,
        purpose: appointments::store::purpose(row)?,
    })
}
