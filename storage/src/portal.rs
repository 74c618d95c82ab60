//! Patients who sign in: what is asked before anybody knows who they are.
//!
//! Each of these is one statement of no organisation, through a function of `V2026112340__portal.sql`: what somebody shows is
//! looked for whoever they are, and what is found is ids, times and what a password is compared with. The records
//! themselves are opened afterwards, in a transaction of the patient. Instants are the caller's clock.

use jiff::Timestamp;
use residency_policy::{OrgId, PatientId, SessionId, UserId};
use uuid::Uuid;

use crate::{BlindIndex, Error, IndexField, Phi, RegionPool, Row};

const SESSION: &str = "SELECT session, login, patient, org FROM portal_session($1, $2)";
const LOGIN: &str = "\
SELECT login, patient, org, memory_kib, passes, lanes, salt, hash, not_before
FROM portal_login($1, $2, $3)";
const FAILED: &str = "SELECT portal_failed($1, $2)";
const INVITED: &str = "SELECT patient, org FROM portal_invited($1, $2)";
const SIGNED_OUT: &str = "SELECT portal_signed_out($1)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[
    ("portal.session", SESSION),
    ("portal.login", LOGIN),
    ("portal.failed", FAILED),
    ("portal.invited", INVITED),
    ("portal.signed_out", SIGNED_OUT),
];

/// The patient of a session that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// What they signed in with. Access records name it as the user.
    pub login: UserId,
    /// Who they are.
    pub patient: PatientId,
    /// The organisation that the record belongs to.
    pub org: OrgId,
}

/// What a patient signs in with.
#[derive(Clone)]
pub struct Login {
    /// Its id.
    pub login: UserId,
    /// Whose it is.
    pub patient: PatientId,
    /// The organisation that the record belongs to.
    pub org: OrgId,
    /// Argon2id: memory in KiB.
    pub memory_kib: u32,
    /// Argon2id: passes.
    pub passes: u32,
    /// Argon2id: lanes.
    pub lanes: u32,
    /// Argon2id: salt.
    pub salt: [u8; 16],
    /// Argon2id: hash of the password.
    pub hash: [u8; 32],
    /// Until then nothing that is shown is looked at.
    pub not_before: Option<Timestamp>,
}

impl RegionPool {
    /// Who shows a session that goes on, by the SHA-256 of what they show.
    pub async fn portal_session(&self, shown: &[u8; 32], at: Timestamp) -> Result<Option<SignedIn>, Error> {
        let asked = self.ask("portal.session", SESSION, &[&shown.as_slice(), &at]).await?;
        let row = asked.rows.first().ok_or(Error::NotOneRow)?;
        let Some(session) = row.get::<Option<Uuid>>("session")? else { return Ok(None) };
        let (patient, org) = whose(row)?;
        let login = UserId::from(row.get::<Uuid>("login")?);
        Ok(Some(SignedIn { session: SessionId::from(session), login, patient, org }))
    }

    /// The index of an address that patients of an organisation sign in with; `None` when nothing is left of it after
    /// normalisation. The organisation has no second login with it, and one of another is not seen as equal.
    pub fn portal_address(&self, org: OrgId, address: &Phi<String>) -> Option<BlindIndex> {
        let normalised = IndexField::Email.normalise(address.inside());
        let mac = self.mac("portal-address", &[&org.to_bytes(), normalised.as_bytes()]);
        let mut index = [0; 16];
        index.copy_from_slice(&mac[..16]);
        (!normalised.is_empty()).then_some(BlindIndex(index))
    }

    /// What signs in whoever gives an address at an organisation.
    pub async fn portal_login(&self, org: OrgId, address: &BlindIndex) -> Result<Option<Login>, Error> {
        self.login(Some(org.uuid()), Some(address), None).await
    }

    /// The same of whoever signed in with it before.
    pub async fn portal_login_of(&self, login: UserId) -> Result<Option<Login>, Error> {
        self.login(None, None, Some(login.uuid())).await
    }

    async fn login(
        &self,
        org: Option<Uuid>,
        address: Option<&BlindIndex>,
        known: Option<Uuid>,
    ) -> Result<Option<Login>, Error> {
        let asked = self.ask("portal.login", LOGIN, &[&org, &address, &known]).await?;
        let row = asked.rows.first().ok_or(Error::NotOneRow)?;
        let Some(login) = row.get::<Option<Uuid>>("login")? else { return Ok(None) };
        let (patient, org) = whose(row)?;
        let count = |column: &'static str| {
            row.get::<i32>(column).and_then(|many| u32::try_from(many).map_err(|_| Error::Row { column }))
        };
        Ok(Some(Login {
            login: UserId::from(login),
            patient,
            org,
            memory_kib: count("memory_kib")?,
            passes: count("passes")?,
            lanes: count("lanes")?,
            salt: bytes(row, "salt")?,
            hash: bytes(row, "hash")?,
            not_before: row.get("not_before")?,
        }))
    }

    /// Counts that somebody showed the wrong thing. From the fifth in a row on, nothing is looked at for a while.
    pub async fn portal_failed(&self, login: UserId, at: Timestamp) -> Result<(), Error> {
        self.ask("portal.failed", FAILED, &[&login.uuid(), &at]).await.map(drop)
    }

    /// Who is invited with a code, by its SHA-256. It may be shown once less from now on.
    pub async fn portal_invited(
        &self,
        code: &[u8; 32],
        at: Timestamp,
    ) -> Result<Option<(PatientId, OrgId)>, Error> {
        let asked = self.ask("portal.invited", INVITED, &[&code.as_slice(), &at]).await?;
        let row = asked.rows.first().ok_or(Error::NotOneRow)?;
        match row.get::<Option<Uuid>>("patient")? {
            Some(_) => whose(row).map(Some),
            None => Ok(None),
        }
    }

    /// Ends a session, by the SHA-256 of what is shown. One that there is not has ended.
    pub async fn portal_signed_out(&self, shown: &[u8; 32]) -> Result<(), Error> {
        self.ask("portal.signed_out", SIGNED_OUT, &[&shown.as_slice()]).await.map(drop)
    }
}

fn whose(row: &Row) -> Result<(PatientId, OrgId), Error> {
    Ok((PatientId::from(row.get::<Uuid>("patient")?), OrgId::from(row.get::<Uuid>("org")?)))
}

fn bytes<const N: usize>(row: &Row, column: &'static str) -> Result<[u8; N], Error> {
    row.get::<&[u8]>(column)?.try_into().map_err(|_| Error::Row { column })
}
