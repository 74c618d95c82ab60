//! The sealed cells of a patient's row: how one is made, and how a row becomes a patient again.

use residency_policy::PatientId;
use serde::de::DeserializeOwned;
use storage::{Cell, Error, Phi, Reading, RegionTx, Row, Sealed};
use uuid::Uuid;

use super::model::{Demographics, Listed, Patient, Token};
use crate::values::{Address, BirthDate, Email, Mrn, PersonName, PhoneE164, Sex};

const TABLE: &str = "patients";

/// The sealed cells of one row.
pub(super) struct Cells {
    pub(super) mrn: Sealed,
    pub(super) given_name: Sealed,
    pub(super) family_name: Sealed,
    pub(super) birth_date: Sealed,
    pub(super) sex: Sealed,
    pub(super) email: Option<Sealed>,
    pub(super) phone: Option<Sealed>,
    pub(super) address: Sealed,
}

impl Cells {
    pub(super) async fn seal(tx: &RegionTx, id: PatientId, person: &Phi<Demographics>) -> Result<Self, Error> {
        let cell = |column| Cell::general(TABLE, id.uuid(), column);
        let email = person.as_ref().map(|p| p.email.as_ref()).transpose();
        let phone = person.as_ref().map(|p| p.phone.as_ref()).transpose();
        Ok(Self {
            mrn: tx.seal(cell("mrn_sealed"), &person.as_ref().map(|p| &p.mrn)).await?,
            given_name: tx.seal(cell("given_name_sealed"), &person.as_ref().map(|p| &p.given_name)).await?,
            family_name: tx.seal(cell("family_name_sealed"), &person.as_ref().map(|p| &p.family_name)).await?,
            birth_date: tx.seal(cell("birth_date_sealed"), &person.as_ref().map(|p| p.birth_date)).await?,
            sex: tx.seal(cell("sex_sealed"), &person.as_ref().map(|p| p.sex)).await?,
            email: match &email {
                Some(email) => Some(tx.seal(cell("email_sealed"), email).await?),
                None => None,
            },
            phone: match &phone {
                Some(phone) => Some(tx.seal(cell("phone_sealed"), phone).await?),
                None => None,
            },
            address: tx.seal(cell("address_sealed"), &person.as_ref().map(|p| &p.address)).await?,
        })
    }
}

async fn unseal<T: DeserializeOwned + Send>(
    tx: &impl Reading,
    row: &Row,
    id: PatientId,
    column: &'static str,
) -> Result<Phi<T>, Error> {
    tx.unseal(Cell::general(TABLE, id.uuid(), column), id, &row.get::<Sealed>(column)?).await
}

async fn unseal_opt<T: DeserializeOwned + Send>(
    tx: &impl Reading,
    row: &Row,
    id: PatientId,
    column: &'static str,
) -> Result<Phi<Option<T>>, Error> {
    match row.get::<Option<Sealed>>(column)? {
        Some(sealed) => {
            let value: Phi<T> = tx.unseal(Cell::general(TABLE, id.uuid(), column), id, &sealed).await?;
            Ok(value.map(Some))
        }
        None => Ok(Phi::new(None)),
    }
}

/// A whole row.
pub(super) async fn patient(tx: &impl Reading, row: &Row) -> Result<Patient, Error> {
    let id = PatientId::from(row.get::<Uuid>("id")?);
    // One after another: the first gets the patient's data key, and the others find it.
    let mrn = unseal::<Mrn>(tx, row, id, "mrn_sealed").await?;
    let given_name = unseal::<PersonName>(tx, row, id, "given_name_sealed").await?;
    let family_name = unseal::<PersonName>(tx, row, id, "family_name_sealed").await?;
    let birth_date = unseal::<BirthDate>(tx, row, id, "birth_date_sealed").await?;
    let sex = unseal::<Sex>(tx, row, id, "sex_sealed").await?;
    let email = unseal_opt::<Email>(tx, row, id, "email_sealed").await?;
    let phone = unseal_opt::<PhoneE164>(tx, row, id, "phone_sealed").await?;
    let address = unseal::<Address>(tx, row, id, "address_sealed").await?;
    let names = mrn.zip(given_name).zip(family_name);
    let rest = birth_date.zip(sex).zip(email).zip(phone).zip(address);
    let demographics = names.zip(rest).map(|(names, rest)| {
        let ((mrn, given_name), family_name) = names;
        let ((((birth_date, sex), email), phone), address) = rest;
        Demographics { mrn, given_name, family_name, birth_date, sex, email, phone, address }
    });
    Ok(Patient {
        id,
        demographics,
        address_outside_home: row.get("address_jurisdiction_differs")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// A row for work on a list.
pub(super) async fn listed(tx: &impl Reading, row: &Row) -> Result<Listed, Error> {
    let id = PatientId::from(row.get::<Uuid>("id")?);
    let mrn = unseal::<Mrn>(tx, row, id, "mrn_sealed").await?;
    let given_name = unseal::<PersonName>(tx, row, id, "given_name_sealed").await?;
    let family_name = unseal::<PersonName>(tx, row, id, "family_name_sealed").await?;
    Ok(Listed {
        id,
        names: mrn.zip(given_name).zip(family_name).map(|((mrn, given), family)| (mrn, given, family)),
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// A row without PHI.
pub(super) fn token(row: &Row) -> Result<Token, Error> {
    Ok(Token {
        id: PatientId::from(row.get::<Uuid>("id")?),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
