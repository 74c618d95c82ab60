//! What a body says of a clinician.

use std::str::FromStr;

use jiff::civil::Date;
use node_access::body::{Object, only};
use residency_control::{Languages, Provider, ProviderName, ProviderOrgs, Taxonomies};
use residency_policy::licensure::{Licence, LicenceStatus, Licences, NotLicences, unfit};
use residency_policy::{FieldError, NotAnNpi, Npi, OrgId, Problem, ProblemKind, ProviderId};
use serde_json::Value;

use super::search::day;

/// What was said.
pub(super) struct Told {
    pub(super) npi: Npi,
    pub(super) name: ProviderName,
    pub(super) taxonomy: Taxonomies,
    pub(super) languages: Languages,
    pub(super) orgs: Option<ProviderOrgs>,
    pub(super) licences: Licences,
    pub(super) collaborating: Option<ProviderId>,
    pub(super) active: bool,
    pub(super) synthetic: bool,
}

impl Told {
    /// The clinician with this id who works for these, as a command says it.
    pub(super) fn of(self, id: ProviderId, orgs: ProviderOrgs) -> Provider {
        let Self { npi, name, taxonomy, languages, licences, collaborating, active, synthetic, .. } = self;
        Provider {
            id,
            npi,
            name,
            taxonomy,
            languages,
            orgs,
            licences,
            collaborating,
            active,
            synthetic,
            version: 0,
        }
    }
}

const FIELDS: &[&str] = &[
    "npi",
    "name",
    "taxonomy",
    "languages",
    "organisations",
    "licences",
    "collaborating",
    "active",
    "synthetic",
];

const OF_A_LICENCE: &[&str] =
    &["jurisdiction", "kind", "number", "status", "status_since", "from", "until", "source", "verified"];

/// A pointer to each licence, since a pointer is a constant of the program.
macro_rules! pointers {
    ($($at:literal)+) => { [$(concat!("/licences/", $at),)+] };
}

const LICENCE: [&str; Licences::LEN_MAX] = pointers!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
);

/// What is wrong, in the order in which it was read.
#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn note<T>(&mut self, pointer: &'static str, code: &'static str, detail: &'static str) -> Option<T> {
        self.0.push(FieldError { pointer, code, detail });
        None
    }

    /// A text that must be there and mean something.
    fn text<T: FromStr>(
        &mut self,
        pointer: &'static str,
        given: Option<&Value>,
        code: &'static str,
        detail: &'static str,
    ) -> Option<T> {
        let missing = given.is_none_or(Value::is_null);
        self.part(pointer, given, if missing { "required" } else { code }, detail)
    }

    /// The same, of a part of what the pointer points to: the code says of which.
    fn part<T: FromStr>(
        &mut self,
        pointer: &'static str,
        given: Option<&Value>,
        code: &'static str,
        detail: &'static str,
    ) -> Option<T> {
        match given.and_then(Value::as_str).and_then(|text| text.parse().ok()) {
            Some(value) => Some(value),
            None => self.note(pointer, code, detail),
        }
    }

    /// A list of texts, or none.
    fn texts<T: FromStr>(
        &mut self,
        pointer: &'static str,
        given: Option<&Value>,
        detail: &'static str,
    ) -> Option<Vec<T>> {
        let list = match given {
            None | Some(Value::Null) => return Some(Vec::new()),
            Some(given) => given.as_array(),
        };
        let read = |list: &Vec<Value>| list.iter().map(|item| item.as_str()?.parse().ok()).collect();
        match list.and_then(read) {
            Some(values) => Some(values),
            None => self.note(pointer, "format", detail),
        }
    }

    fn flag(&mut self, pointer: &'static str, given: Option<&Value>, else_: bool) -> Option<bool> {
        match given {
            None | Some(Value::Null) => Some(else_),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => self.note(pointer, "type", "expected true or false"),
        }
    }
}

/// Reads a body, and names everything that is wrong with it.
pub(super) fn read(body: &Object) -> Result<Told, Problem> {
    body.only(FIELDS)?;
    let mut wrong = Wrong::default();
    let npi = npi(&mut wrong, body.get("npi"));
    let expected = "expected 1 to 80 letters, spaces and ' . , -, with a letter";
    let name = wrong.text("/name", body.get("name"), "format", expected);
    let expected = "expected 1 to 15 different taxonomy codes such as 207Q00000X";
    let taxonomy = wrong.texts("/taxonomy", body.get("taxonomy"), expected).and_then(|codes| {
        Taxonomies::new(codes).map_or_else(|_| wrong.note("/taxonomy", "format", expected), Some)
    });
    let expected = "expected at most 16 different BCP 47 tags such as es or es-MX";
    let languages = wrong.texts("/languages", body.get("languages"), expected).and_then(|tags| {
        Languages::new(tags).map_or_else(|_| wrong.note("/languages", "format", expected), Some)
    });
    let orgs = organisations(&mut wrong, body.get("organisations"));
    let licences = licences(&mut wrong, body.get("licences"))?;
    let collaborating = body.get("collaborating").filter(|given| !given.is_null()).and_then(|given| {
        wrong.text("/collaborating", Some(given), "format", "expected the id of a physician")
    });
    let active = wrong.flag("/active", body.get("active"), true);
    let synthetic = wrong.flag("/synthetic", body.get("synthetic"), false);
    if let (Some(taxonomy), Some(licences)) = (&taxonomy, &licences)
        && unfit(Taxonomies::as_slice(taxonomy), licences).is_some()
    {
        let detail = "what a compact gives must fit every taxonomy code of the clinician";
        wrong.note::<()>("/licences", "other-profession", detail);
    }
    match (npi, name, taxonomy, languages, licences, active.zip(synthetic)) {
        (Some(npi), Some(name), Some(taxonomy), Some(languages), Some(licences), Some((active, synthetic)))
            if wrong.0.is_empty() =>
        {
            Ok(Told { npi, name, taxonomy, languages, orgs, licences, collaborating, active, synthetic })
        }
        _ => Err(Problem::new(ProblemKind::Invalid).fields(wrong.0)),
    }
}

fn npi(wrong: &mut Wrong, given: Option<&Value>) -> Option<Npi> {
    const FORMAT: &str = "expected ten digits, the first of them 1 or 2";
    match given {
        None | Some(Value::Null) => wrong.note("/npi", "required", FORMAT),
        Some(given) => match given.as_str().map(str::parse) {
            Some(Ok(npi)) => Some(npi),
            Some(Err(NotAnNpi::CheckDigit)) => {
                wrong.note("/npi", "check-digit", "the last digit does not fit the others")
            }
            Some(Err(NotAnNpi::Format)) | None => wrong.note("/npi", "format", FORMAT),
        },
    }
}

/// The organisations, if any is named.
fn organisations(wrong: &mut Wrong, given: Option<&Value>) -> Option<ProviderOrgs> {
    const EXPECTED: &str = "expected 1 to 16 different ids of organisations";
    let given = given.filter(|given| !given.is_null());
    let ids: Vec<OrgId> = wrong.texts("/organisations", Some(given?), EXPECTED)?;
    ProviderOrgs::new(ids).map_or_else(|_| wrong.note("/organisations", "format", EXPECTED), Some)
}

fn licences(wrong: &mut Wrong, given: Option<&Value>) -> Result<Option<Licences>, Problem> {
    let list: &[Value] = match given {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) if list.len() <= Licences::LEN_MAX => list,
        Some(_) => return Ok(wrong.note("/licences", "format", "expected a list of at most 64 licences")),
    };
    let mut all = Vec::new();
    for (given, pointer) in list.iter().zip(LICENCE) {
        let Value::Object(map) = given else {
            wrong.note::<()>(pointer, "type", "expected an object");
            continue;
        };
        only(map, OF_A_LICENCE, pointer)?;
        all.extend(licence(wrong, pointer, |name| map.get(name)));
    }
    if all.len() < list.len() {
        return Ok(None);
    }
    Ok(match Licences::new(all) {
        Ok(licences) => Some(licences),
        Err(NotLicences::TooMany) => {
            wrong.note("/licences", "format", "expected a list of at most 64 licences")
        }
        Err(NotLicences::EndsBeforeItBegins(at)) => {
            wrong.note(LICENCE[at], "ends-before-it-begins", "its last day is before its first")
        }
        Err(NotLicences::SameNumber(at)) => {
            let detail = "another licence of the same jurisdiction has this number";
            wrong.note(LICENCE[at], "same-number", detail)
        }
    })
}

fn licence<'v>(wrong: &mut Wrong, at: &'static str, of: impl Fn(&str) -> Option<&'v Value>) -> Option<Licence> {
    let expected = "its jurisdiction is an ISO 3166-2 code such as US-TX";
    let jurisdiction = wrong.part(at, of("jurisdiction"), "unknown-jurisdiction", expected);
    let expected = "its kind is full, telehealth, or what a compact gives, such as nlc";
    let kind = wrong.part(at, of("kind"), "unknown-kind", expected);
    let expected = "its number is 1 to 24 letters, digits and . / -, with a digit";
    let number = wrong.part(at, of("number"), "number", expected);
    let expected = "its status is active, expired, suspended, revoked, surrendered or pending";
    let status: Option<LicenceStatus> = wrong.part(at, of("status"), "unknown-status", expected);
    let expected = "its source is state-board, nursys, fsmb or compact-commission";
    let source = wrong.part(at, of("source"), "unknown-source", expected);
    let expected = "its first day is a day such as 2026-01-31";
    let from = wrong.part(at, of("from"), "from", expected).map(|Day(day)| day);
    let expected = "the day of its verification is a day such as 2026-01-31";
    let verified = wrong.part(at, of("verified"), "verified", expected).map(|Day(day)| day);
    let until = match of("until") {
        None | Some(Value::Null) => Some(None),
        given => {
            wrong.part(at, given, "until", "its last day is a day such as 2026-01-31").map(|Day(day)| Some(day))
        }
    };
    // Where nothing was taken away there is nothing to date.
    let undated = matches!(status, Some(LicenceStatus::Active | LicenceStatus::Pending) | None);
    let status_since = match of("status_since") {
        None | Some(Value::Null) if undated => from,
        given => {
            let expected = "say since which day its status holds, such as 2026-01-31";
            wrong.part(at, given, "status-since", expected).map(|Day(day)| day)
        }
    };
    Some(Licence {
        jurisdiction: jurisdiction?,
        kind: kind?,
        number: number?,
        status: status?,
        status_since: status_since?,
        from: from?,
        until: until?,
        source: source?,
        verified: verified?,
    })
}

/// A day in its one spelling.
struct Day(Date);

impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        day(text).map(Self).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::RequestId;
    use serde_json::json;

    fn told(value: Value) -> Result<Told, Vec<String>> {
        let Value::Object(map) = value else { panic!("an object") };
        read(&Object::from(map)).map_err(|problem| {
            let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
            let errors = shown["errors"].as_array().expect("a list").iter();
            errors.map(|e| format!("{} {}", e["pointer"], e["code"]).replace('"', "")).collect()
        })
    }

    fn licence() -> Value {
        json!({
            "jurisdiction": "US-TX", "kind": "full", "number": "T-1", "status": "active",
            "from": "2024-01-01", "source": "state-board", "verified": "2026-11-01",
        })
    }

    #[test]
    fn what_may_be_left_out_has_a_meaning() {
        let body = json!({"npi": "1234567893", "name": "Robin Sample", "taxonomy": ["207Q00000X"], "licences": [licence()]});
        let told = told(body).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert!(told.active && !told.synthetic && told.orgs.is_none() && told.collaborating.is_none());
        assert_eq!((told.licences[0].status_since, told.licences[0].until), (told.licences[0].from, None));
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        assert_eq!(
            told(json!({})).err(),
            Some(["/npi required", "/name required", "/taxonomy format"].map(Into::into).into())
        );
        let mut backwards = licence();
        backwards["until"] = json!("2023-12-31");
        let many = json!({
            "npi": "1234567890", "name": 7, "taxonomy": ["207Q00000X", "207Q00000X"], "languages": "en",
            "organisations": [], "licences": [licence(), backwards], "collaborating": "x", "active": 1,
        });
        let wrong = [
            "/npi check-digit",
            "/name format",
            "/taxonomy format",
            "/languages format",
            "/organisations format",
            "/licences/1 ends-before-it-begins",
            "/collaborating format",
            "/active type",
        ];
        assert_eq!(told(many).err(), Some(wrong.map(Into::into).into()));
    }
}
