//! What each role is shown of a patient, and the bodies that are taken.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Views};
use residency_policy::{Home, PatientId};
use serde::Serialize;
use storage::Phi;
use utoipa::ToSchema;

use crate::patients::model::{Listed, Patient, Token};
use crate::values::{Address, BirthDate, Email, Mrn, PersonName, PhoneE164, Sex};

/// A patient, as those see it who treat.
#[derive(Serialize, ToSchema)]
#[schema(as = Patient)]
#[serde(deny_unknown_fields)]
pub struct PatientView {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: PatientId,
    /// Where the record lives, as an ISO 3166-2 code.
    #[schema(value_type = String, pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    home: Home,
    /// Medical record number.
    #[schema(value_type = String, pattern = "^[A-Z0-9-]{1,32}$", example = "M-7Q2K-9XTR-04HB")]
    mrn: Mrn,
    /// Given name.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Ana")]
    given_name: PersonName,
    /// Family name.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Sample")]
    family_name: PersonName,
    /// Birth date.
    #[schema(value_type = String, format = Date, example = "1980-02-29")]
    birth_date: BirthDate,
    /// Administrative sex.
    #[schema(value_type = String, pattern = "^(male|female|other|unknown)$", example = "female")]
    sex: Sex,
    /// E-mail address.
    #[schema(required, value_type = Option<String>, max_length = 254, example = "ana.sample@example.com")]
    email: Option<Email>,
    /// Telephone number in E.164 form.
    #[schema(required, value_type = Option<String>, pattern = "^\\+(1[2-9](0[0-9]|1[02-9]|[2-8][0-9])[2-9](0[0-9]|1[02-9]|[2-9][0-9])[0-9]{4}|[2-9][0-9]{6,14})$", example = "+15125550100")]
    phone: Option<PhoneE164>,
    /// Postal address.
    #[schema(value_type = AddressBody)]
    address: Address,
    /// Whether the address is in another state than the home.
    address_outside_home: bool,
    /// Raised by every change; the `ETag` without its quotes.
    #[schema(minimum = 1, example = 1)]
    version: i32,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Only in the answer to a registration: who may be the same person, by family name and birth date, phone or
    /// e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    possible_duplicates: Option<Vec<PatientId>>,
}

/// A postal address in the United States.
#[derive(Serialize, ToSchema)]
#[schema(as = Address)]
#[serde(deny_unknown_fields)]
pub struct AddressBody {
    /// The lines above the town.
    #[schema(min_items = 1, max_items = 4, example = json!(["1 SAMPLE ST"]))]
    pub line: Vec<String>,
    /// The town.
    #[schema(min_length = 1, max_length = 100, example = "Austin")]
    pub city: String,
    /// The postal abbreviation of the state.
    #[schema(pattern = "^[A-Z]{2}$", example = "TX")]
    pub state: String,
    /// The ZIP Code.
    #[schema(pattern = "^(00[1-9]|0[1-9][0-9]|[1-9][0-9]{2})[0-9]{2}(-[0-9]{4})?$", example = "78701")]
    pub postal_code: String,
}

/// A patient, as somebody sees it who works a list and does not treat.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientListItem {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: PatientId,
    /// Where the record lives, as an ISO 3166-2 code.
    #[schema(value_type = String, pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    home: Home,
    /// Medical record number.
    #[schema(value_type = String, pattern = "^[A-Z0-9-]{1,32}$")]
    mrn: Mrn,
    /// Given name.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    given_name: PersonName,
    /// Family name.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    family_name: PersonName,
    /// Raised by every change.
    #[schema(minimum = 1)]
    version: i32,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A patient, as an auditor sees it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientToken {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: PatientId,
    /// Where the record lives, as an ISO 3166-2 code.
    #[schema(value_type = String, pattern = "^US-[A-Z]{2}$")]
    home: Home,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A patient, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyPatient {
    /// For those who treat.
    Full(Box<PatientView>),
    /// For those who work a list.
    Listed(PatientListItem),
    /// For those who check.
    Token(PatientToken),
}

/// A page of patients, newest first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientPage {
    /// The patients, as the caller's role is shown them.
    pub data: Vec<AnyPatient>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyPatient {
    const ENTITY: Entity = Entity::Patient;
}

/// Everything of a patient may be shown.
pub(super) type Full = shown::Full<AnyPatient>;

impl PatientView {
    /// Shows a patient, still under guard.
    pub fn of(patient: Patient, home: Home, _: Full) -> Phi<Self> {
        let Patient { id, demographics, address_outside_home, version, created_at, updated_at } = patient;
        demographics.map(|person| Self {
            id,
            home,
            mrn: person.mrn,
            given_name: person.given_name,
            family_name: person.family_name,
            birth_date: person.birth_date,
            sex: person.sex,
            email: person.email,
            phone: person.phone,
            address: person.address,
            address_outside_home,
            version,
            created_at,
            updated_at,
            possible_duplicates: None,
        })
    }

    /// With who may be the same person.
    #[must_use]
    pub fn beside(self, alike: &[PatientId]) -> Self {
        Self { possible_duplicates: Some(alike.to_vec()), ..self }
    }
}

impl AnyPatient {
    pub(super) fn full(patient: Patient, home: Home, full: Full) -> Phi<Self> {
        PatientView::of(patient, home, full).map(|view| Self::Full(Box::new(view)))
    }

    pub(super) fn listed(listed: Listed, home: Home, _: shown::Listed<Self>) -> Phi<Self> {
        let Listed { id, names, version, created_at, updated_at } = listed;
        names.map(|(mrn, given_name, family_name)| {
            Self::Listed(PatientListItem {
                id,
                home,
                mrn,
                given_name,
                family_name,
                version,
                created_at,
                updated_at,
            })
        })
    }

    pub(super) fn token(token: &Token, home: Home, _: shown::Token<Self>) -> Phi<Self> {
        let Token { id, created_at, updated_at } = *token;
        Phi::new(Self::Token(PatientToken { id, home, created_at, updated_at }))
    }
}

/// A patient to be registered.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPatient)]
#[serde(deny_unknown_fields)]
pub struct NewPatientBody {
    /// Medical record number. One is made if none is given.
    #[schema(pattern = "^[A-Za-z0-9-]{0,31}[A-Za-z0-9]$")]
    pub mrn: Option<String>,
    /// Given name.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000-\\u001F\\u007F]+$", example = "Ana")]
    pub given_name: String,
    /// Family name.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000-\\u001F\\u007F]+$", example = "Sample")]
    pub family_name: String,
    /// Birth date, from 1890 until today.
    #[schema(format = Date, pattern = "^(1[89]|20)[0-9]{2}-[0-9]{2}-[0-9]{2}$", example = "1980-02-29")]
    pub birth_date: String,
    /// Administrative sex (FHIR R4 `administrative-gender`).
    #[schema(pattern = "^(male|female|other|unknown)$", example = "female")]
    pub sex: String,
    /// E-mail address.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$",
        example = "ana.sample@example.com"
    )]
    pub email: Option<String>,
    /// Telephone number in E.164 form.
    #[schema(
        pattern = "^\\+(1[2-9](0[0-9]|1[02-9]|[2-8][0-9])[2-9](0[0-9]|1[02-9]|[2-9][0-9])[0-9]{4}|[2-9][0-9]{6,14})$",
        example = "+15125550100"
    )]
    pub phone: Option<String>,
    /// Postal address. It may be in another state than the home.
    pub address: AddressBody,
}

/// What is to change (RFC 7396): members that are not named stay, `null` takes away what may be missing.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientPatch {
    /// Medical record number.
    #[schema(pattern = "^[A-Za-z0-9-]{0,31}[A-Za-z0-9]$", nullable = false)]
    pub mrn: Option<String>,
    /// Given name.
    #[schema(min_length = 1, max_length = 100, nullable = false, pattern = "^[^\\u0000-\\u001F\\u007F]+$")]
    pub given_name: Option<String>,
    /// Family name.
    #[schema(
        min_length = 1,
        max_length = 100,
        nullable = false,
        example = "Example",
        pattern = "^[^\\u0000-\\u001F\\u007F]+$"
    )]
    pub family_name: Option<String>,
    /// Birth date, from 1890 until today.
    #[schema(format = Date, pattern = "^(1[89]|20)[0-9]{2}-[0-9]{2}-[0-9]{2}$", nullable = false)]
    pub birth_date: Option<String>,
    /// Administrative sex.
    #[schema(pattern = "^(male|female|other|unknown)$", nullable = false)]
    pub sex: Option<String>,
    /// E-mail address.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$"
    )]
    pub email: Option<String>,
    /// Telephone number in E.164 form.
    #[schema(
        pattern = "^\\+(1[2-9](0[0-9]|1[02-9]|[2-8][0-9])[2-9](0[0-9]|1[02-9]|[2-9][0-9])[0-9]{4}|[2-9][0-9]{6,14})$"
    )]
    pub phone: Option<String>,
    /// Postal address, or parts of it.
    #[schema(nullable = false)]
    pub address: Option<AddressPatch>,
}

/// What is to change in an address.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressPatch {
    /// The lines above the town.
    #[schema(min_items = 1, max_items = 4, nullable = false)]
    pub line: Option<Vec<String>>,
    /// The town.
    #[schema(min_length = 1, max_length = 100, nullable = false)]
    pub city: Option<String>,
    /// The postal abbreviation of the state.
    #[schema(pattern = "^[A-Z]{2}$", nullable = false)]
    pub state: Option<String>,
    /// The ZIP Code.
    #[schema(pattern = "^(00[1-9]|0[1-9][0-9]|[1-9][0-9]{2})[0-9]{2}(-[0-9]{4})?$", nullable = false)]
    pub postal_code: Option<String>,
}

/// What to search by. Everything that is given must fit exactly, but for case, accents and punctuation in names.
/// There is no search for a part of a name, by design: the index cannot do it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct PatientSearch {
    /// Given and family name, in this order. Not together with either of them.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000-\\u001F\\u007F]+$")]
    pub name: Option<String>,
    /// Family name.
    #[schema(min_length = 1, max_length = 100, example = "Sample", pattern = "^[^\\u0000-\\u001F\\u007F]+$")]
    pub family_name: Option<String>,
    /// Given name. Only with a family name.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000-\\u001F\\u007F]+$")]
    pub given_name: Option<String>,
    /// Birth date.
    #[schema(format = Date, pattern = "^(1[89]|20)[0-9]{2}-[0-9]{2}-[0-9]{2}$", example = "1980-02-29")]
    pub birth_date: Option<String>,
    /// Telephone number in E.164 form.
    #[schema(
        pattern = "^\\+(1[2-9](0[0-9]|1[02-9]|[2-8][0-9])[2-9](0[0-9]|1[02-9]|[2-9][0-9])[0-9]{4}|[2-9][0-9]{6,14})$"
    )]
    pub phone: Option<String>,
    /// E-mail address.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$"
    )]
    pub email: Option<String>,
    /// Medical record number.
    #[schema(pattern = "^[A-Za-z0-9-]{1,32}$")]
    pub mrn: Option<String>,
}
