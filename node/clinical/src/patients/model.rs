//! What is known of a patient. In the clear it exists only here, and only within [`Phi`].

use jiff::Timestamp;
use jiff::civil::Date;
use node_access::body::Object;
use residency_policy::{Jurisdiction, PatientId, Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::{IndexField, Phi};

use crate::merge_patch::merge;
use crate::values::{Address, BirthDate, Email, Fields, Mrn, PersonName, PhoneE164, Sex, Wrong};

/// The members of a patient's body.
pub const FIELDS: &[&str] =
    &["mrn", "given_name", "family_name", "birth_date", "sex", "email", "phone", "address"];
const ADDRESS_FIELDS: &[&str] = &["line", "city", "state", "postal_code"];

/// Who somebody is. Always within [`Phi`]. It is written as the body that callers send and get.
#[derive(Clone, Serialize, Deserialize)]
pub struct Demographics {
    /// What the organisation calls the patient.
    pub mrn: Mrn,
    /// Given name.
    pub given_name: PersonName,
    /// Family name.
    pub family_name: PersonName,
    /// Birth date.
    pub birth_date: BirthDate,
    /// Administrative sex.
    pub sex: Sex,
    /// E-mail address.
    pub email: Option<Email>,
    /// Telephone number.
    pub phone: Option<PhoneE164>,
    /// Postal address.
    pub address: Address,
}

/// A patient's record.
pub struct Patient {
    /// Random id.
    pub id: PatientId,
    /// Who it is.
    pub demographics: Phi<Demographics>,
    /// Whether the address is in another state than the home.
    pub address_outside_home: bool,
    /// Raised by every change.
    pub version: i32,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A patient's record as somebody sees it who works a list and does not treat.
pub struct Listed {
    /// Random id.
    pub id: PatientId,
    /// What the organisation calls the patient, given name, family name.
    pub names: Phi<(Mrn, PersonName, PersonName)>,
    /// Raised by every change.
    pub version: i32,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A patient's record as somebody sees it who checks and does not know whom.
pub struct Token {
    /// Random id.
    pub id: PatientId,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Why a record is removed from view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReason {
    /// The patient asked.
    PatientRequest,
    /// It is the same person as another record.
    Duplicate,
    /// It should never have been entered.
    EnteredInError,
    /// It need not be kept any longer.
    RetentionEnded,
}

impl DeleteReason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::PatientRequest, Self::Duplicate, Self::EnteredInError, Self::RetentionEnded];

    /// The code in the query and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PatientRequest => "patient-request",
            Self::Duplicate => "duplicate",
            Self::EnteredInError => "entered-in-error",
            Self::RetentionEnded => "retention-ended",
        }
    }

    /// The reason of a code.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl Demographics {
    /// Reads a body. `fresh_mrn` is used where the body has no number; without it a number must be there.
    pub fn read(object: &Object, today: Date, fresh_mrn: Option<Mrn>) -> Result<Self, Problem> {
        object.only(FIELDS)?;
        let mut fields = Fields::default();
        let given_mrn = object.get("mrn").filter(|value| !value.is_null());
        let mrn = match fresh_mrn {
            Some(fresh) if given_mrn.is_none() => Some(fresh),
            _ => fields.take("/mrn", given_mrn, Mrn::parse),
        };
        let given_name = fields.take("/given_name", object.get("given_name"), PersonName::parse);
        let family_name = fields.take("/family_name", object.get("family_name"), PersonName::parse);
        let birth_date =
            fields.take("/birth_date", object.get("birth_date"), |text| BirthDate::parse(text, today));
        let sex = fields.take("/sex", object.get("sex"), Sex::parse);
        let email = fields.take_if_given("/email", object.get("email"), Email::parse);
        let phone = fields.take_if_given("/phone", object.get("phone"), PhoneE164::parse);
        let address = address(&mut fields, object.get("address"));
        fields.finish()?;
        let whole = || {
            Some(Self {
                mrn: mrn?,
                given_name: given_name?,
                family_name: family_name?,
                birth_date: birth_date?,
                sex: sex?,
                email,
                phone,
                address: address?,
            })
        };
        // What is missing was noted, so this is never reached without everything.
        whole().ok_or_else(|| Problem::new(ProblemKind::Invalid))
    }

    /// The same person after a merge patch (RFC 7396). The whole result is read again, so a patch cannot make what
    /// a registration could not.
    pub fn patched(self, patch: Object, today: Date) -> Result<Self, Problem> {
        patch.only(FIELDS)?;
        let current = serde_json::to_value(&self).map_err(|_| Problem::new(ProblemKind::Internal))?;
        match merge(current, Value::Object(patch.into_map())) {
            Value::Object(merged) => Self::read(&Object::from(merged), today, None),
            _ => Err(Problem::new(ProblemKind::Internal)),
        }
    }

    /// What is indexed of a person under a field, normalised. `None` where there is nothing.
    pub fn term(&self, field: IndexField) -> Option<String> {
        match field {
            IndexField::FamilyName => Some(self.family_name.normalised()),
            IndexField::FullName => Some(full_name(&self.given_name, &self.family_name)),
            IndexField::FamilyNameBirthDate => Some(family_and_birth(&self.family_name, self.birth_date)),
            IndexField::BirthDate => Some(self.birth_date.normalised()),
            IndexField::Phone => self.phone.as_ref().map(PhoneE164::normalised),
            IndexField::Email => self.email.as_ref().map(Email::normalised),
            IndexField::Mrn => Some(self.mrn.normalised()),
        }
    }
}

fn full_name(given: &PersonName, family: &PersonName) -> String {
    // Without a blank between them, so that a name searched for as one text is the same.
    format!("{}{}", given.normalised(), family.normalised())
}

fn family_and_birth(family: &PersonName, born: BirthDate) -> String {
    format!("{}{}", family.normalised(), born.normalised())
}

/// Whether a person's address is in another state than the home. This one bit leaves the guard: the column that
/// keeps it is in the clear, and it names neither state.
pub fn address_outside_home(demographics: &Phi<Demographics>, home: Jurisdiction) -> bool {
    let outside = demographics.as_ref().map(|person| person.address.differs_from(home).then_some(()));
    outside.transpose().is_some()
}

fn address(fields: &mut Fields, value: Option<&Value>) -> Option<Address> {
    const NOT_AN_OBJECT: Wrong =
        Wrong { code: "type", detail: "expected an object with line, city, state and postal_code" };
    const NOT_A_LIST: Wrong = Wrong { code: "type", detail: "expected a list of one to four strings" };
    const UNKNOWN: Wrong =
        Wrong { code: "unknown-field", detail: "there is a field here that this route does not take" };
    let parts = match value {
        None | Some(Value::Null) => return fields.keep("/address", Err(Wrong::REQUIRED)),
        Some(Value::Object(parts)) => parts,
        Some(_) => return fields.keep("/address", Err(NOT_AN_OBJECT)),
    };
    if !parts.keys().all(|name| ADDRESS_FIELDS.contains(&name.as_str())) {
        fields.note("/address", UNKNOWN);
    }
    let line: &[Value] = match parts.get("line") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(line)) => line,
        Some(_) => return fields.keep("/address/line", Err(NOT_A_LIST)),
    };
    Address::take(fields, line, parts.get("city"), parts.get("state"), parts.get("postal_code"))
}

/// What somebody is searched for by. Always within [`Phi`]. Everything given must fit.
pub struct Criteria {
    name: Option<PersonName>,
    family_name: Option<PersonName>,
    given_name: Option<PersonName>,
    birth_date: Option<BirthDate>,
    phone: Option<PhoneE164>,
    email: Option<Email>,
    mrn: Option<Mrn>,
}

impl Criteria {
    /// The members of a search's body.
    pub const FIELDS: &'static [&'static str] =
        &["name", "family_name", "given_name", "birth_date", "phone", "email", "mrn"];

    /// Reads a body. At least one member must be there, and a given name is searched only with a family name.
    pub fn read(object: &Object, today: Date) -> Result<Self, Problem> {
        const NOTHING: Wrong = Wrong { code: "required", detail: "name at least one thing to search by" };
        const ALONE: Wrong = Wrong { code: "required", detail: "a given name is searched with a family name" };
        const TWICE: Wrong =
            Wrong { code: "conflict", detail: "send either name, or family_name with or without given_name" };
        object.only(Self::FIELDS)?;
        let mut fields = Fields::default();
        let criteria = Self {
            name: fields.take_if_given("/name", object.get("name"), PersonName::parse),
            family_name: fields.take_if_given("/family_name", object.get("family_name"), PersonName::parse),
            given_name: fields.take_if_given("/given_name", object.get("given_name"), PersonName::parse),
            birth_date: fields
                .take_if_given("/birth_date", object.get("birth_date"), |text| BirthDate::parse(text, today)),
            phone: fields.take_if_given("/phone", object.get("phone"), PhoneE164::parse),
            email: fields.take_if_given("/email", object.get("email"), Email::parse),
            mrn: fields.take_if_given("/mrn", object.get("mrn"), Mrn::parse),
        };
        if fields.errors().is_empty() {
            let given = |name: &&str| object.get(name).is_some_and(|value| !value.is_null());
            if !Self::FIELDS.iter().any(given) {
                fields.note("", NOTHING);
            } else if criteria.name.is_some() && ["family_name", "given_name"].iter().any(given) {
                fields.note("/name", TWICE);
            } else if criteria.given_name.is_some() && criteria.family_name.is_none() {
                fields.note("/family_name", ALONE);
            }
        }
        fields.finish().map(|()| criteria)
    }

    /// What is searched for under a field.
    pub fn term(&self, field: IndexField) -> Option<String> {
        match field {
            IndexField::FamilyName => self.family_name.as_ref().map(PersonName::normalised),
            IndexField::FullName => match (&self.name, &self.given_name, &self.family_name) {
                (Some(name), ..) => Some(name.normalised()),
                (None, Some(given), Some(family)) => Some(full_name(given, family)),
                _ => None,
            },
            IndexField::FamilyNameBirthDate => self
                .family_name
                .as_ref()
                .zip(self.birth_date)
                .map(|(family, born)| family_and_birth(family, born)),
            IndexField::BirthDate => self.birth_date.map(|born| born.normalised()),
            IndexField::Phone => self.phone.as_ref().map(PhoneE164::normalised),
            IndexField::Email => self.email.as_ref().map(Email::normalised),
            IndexField::Mrn => self.mrn.as_ref().map(Mrn::normalised),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use residency_policy::{Entropy, RequestId};
    use serde_json::json;

    const TODAY: Date = date(2026, 11, 22);

    struct Still;
    impl Entropy for Still {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill(5);
        }
    }

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object") };
        Object::from(map)
    }

    fn body() -> Value {
        json!({
            "given_name": "Ana", "family_name": "O'Brien-Núñez", "birth_date": "1980-02-29", "sex": "female",
            "email": "ana@example.com", "phone": "+15125550100",
            "address": {"line": ["1 SAMPLE ST"], "city": "Austin", "state": "TX", "postal_code": "78701"}
        })
    }

    fn read(value: Value) -> Result<Demographics, Problem> {
        Demographics::read(&object(value), TODAY, Some(Mrn::random(&Still)))
    }

    fn wrong(result: Result<Demographics, Problem>) -> Vec<(String, String)> {
        let problem = result.err().expect("is refused");
        let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let errors = shown["errors"].as_array().expect("a list").iter();
        errors.map(|error| (text(&error["pointer"]), text(&error["code"]))).collect()
    }

    #[test]
    fn a_right_body_is_read_and_gets_a_number() {
        let person = read(body()).expect("reads");
        assert_eq!(person.mrn.as_str(), "M-5555-5555-5555");
        assert_eq!(person.term(IndexField::FamilyName).as_deref(), Some("OBRIENNUNEZ"));
        assert_eq!(person.term(IndexField::FullName).as_deref(), Some("ANAOBRIENNUNEZ"));
        let mut with = body();
        with["mrn"] = json!("tx-7");
        assert_eq!(read(with).expect("reads").mrn.as_str(), "TX-7");
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let all = wrong(read(json!({"email": "x", "sex": 1, "mrn": "?", "address": {"line": "x", "zip": 1}})));
        let named: Vec<_> = all.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect();
        assert_eq!(
            named,
            [
                ("/mrn", "format"),
                ("/given_name", "required"),
                ("/family_name", "required"),
                ("/birth_date", "required"),
                ("/sex", "type"),
                ("/email", "format"),
                ("/address", "unknown-field"),
                ("/address/line", "type"),
            ]
        );
        let mut unknown = body();
        unknown["ssn"] = json!("000-00-0000");
        assert_eq!(wrong(read(unknown)), [(String::new(), "unknown-field".to_owned())]);
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let before = read(body()).expect("reads");
        let patch = json!({"family_name": "Garcia", "email": null, "address": {"city": "Dallas"}});
        let after = before.clone().patched(object(patch), TODAY).expect("patches");
        assert_eq!(after.family_name.as_str(), "Garcia");
        assert!(after.email.is_none());
        assert!(after.phone == before.phone && after.mrn == before.mrn);
        assert_eq!(after.address.city().as_str(), "Dallas");
        assert_eq!(after.address.postal_code().as_str(), "78701");
        for (patch, pointer) in [
            (json!({"family_name": null}), "/family_name"),
            (json!({"mrn": null}), "/mrn"),
            (json!({"birth_date": "2999-01-01"}), "/birth_date"),
            (json!({"address": {"line": []}}), "/address/line"),
            (json!({"home": "US-CA"}), ""),
        ] {
            let named = wrong(before.clone().patched(object(patch), TODAY));
            assert_eq!(named[0].0, pointer);
        }
    }

    #[test]
    fn a_search_needs_something_to_go_by() {
        let read = |value| Criteria::read(&object(value), TODAY);
        let wrong =
            [json!({}), json!({"family_name": null}), json!({"given_name": "A"}), json!({"first": "A"})];
        assert!(wrong.into_iter().all(|wrong| read(wrong).is_err()));
        let by = read(json!({"family_name": "obrien nunez", "birth_date": "1980-02-29"})).expect("reads");
        let person = super::tests::read(body()).expect("reads");
        for field in [IndexField::FamilyName, IndexField::FamilyNameBirthDate, IndexField::BirthDate] {
            assert_eq!(by.term(field), person.term(field), "{field:?}");
        }
        assert_eq!(by.term(IndexField::FullName), None);
        let whole = read(json!({"name": "ana o'brien nuñez"})).expect("reads");
        assert_eq!(whole.term(IndexField::FullName), person.term(IndexField::FullName));
    }

    #[test]
    fn an_address_elsewhere_is_seen_and_no_more() {
        let person = Phi::new(read(body()).expect("reads"));
        let home = |code: &str| code.parse().expect("a jurisdiction");
        assert!(!address_outside_home(&person, home("US-TX")));
        assert!(address_outside_home(&person, home("US-CA")));
    }
}
