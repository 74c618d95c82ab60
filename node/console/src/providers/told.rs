//! What a body says of a clinician.

use std::str::FromStr;

use node_access::body::Object;
use residency_control::{Languages, Provider, ProviderName, ProviderOrgs, Taxonomies};
use residency_policy::licensure::{Attested, EnteredBy, Licence, Licences, unfit};
use residency_policy::{FieldError, NotAnNpi, Npi, OrgId, Problem, ProblemKind, ProviderId};
use serde_json::Value;

use super::licences;

/// What was said.
pub(super) struct Told {
    pub(super) npi: Npi,
    pub(super) name: ProviderName,
    pub(super) taxonomy: Taxonomies,
    pub(super) languages: Languages,
    pub(super) orgs: Option<ProviderOrgs>,
    /// What the caller's organisation answers for.
    pub(super) licences: Licences,
    /// What it says that others entered, and where it says so.
    pub(super) of_others: Vec<(&'static str, EnteredBy, Licence)>,
    pub(super) collaborating: Option<ProviderId>,
    pub(super) active: bool,
    pub(super) synthetic: bool,
}

impl Told {
    /// The clinician with this id who works for these, as a command says it. What others entered stays, and may not be
    /// said to be otherwise; whoever lets go of a clinician takes its own word back.
    pub(super) fn of(
        self,
        id: ProviderId,
        orgs: ProviderOrgs,
        caller: OrgId,
        before: &Attested,
    ) -> Result<Provider, Problem> {
        let Self { npi, name, taxonomy, languages, collaborating, active, synthetic, .. } = self;
        let changed = |(_, by, licence): &&(_, EnteredBy, Licence)| !before.of(*by).contains(licence);
        if let Some(&(pointer, ..)) = self.of_others.iter().find(changed) {
            let detail = "whoever entered a licence changes it: leave it out, or repeat it as it is shown";
            return Err(Problem::new(ProblemKind::Forbidden).field(pointer, "not-yours", detail));
        }
        let own = if orgs.contains(caller) { self.licences } else { Licences::default() };
        let licences = before.with(EnteredBy::Organisation(caller), own);
        // A clinician has fewer organisations than there may be lists.
        let licences = licences.map_err(|_| Problem::new(ProblemKind::Internal))?;
        Ok(Provider {
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
        })
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

/// What is wrong, in the order in which it was read.
#[derive(Default)]
pub(super) struct Wrong(Vec<FieldError>);

impl Wrong {
    pub(super) fn note<T>(
        &mut self,
        pointer: &'static str,
        code: &'static str,
        detail: &'static str,
    ) -> Option<T> {
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
    pub(super) fn part<T: FromStr>(
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

/// Reads a body of an organisation's, and names everything that is wrong with it.
pub(super) fn read(body: &Object, caller: OrgId) -> Result<Told, Problem> {
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
    let (licences, of_others) = licences::read(&mut wrong, body.get("licences"), caller)?.unzip();
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
            let of_others = of_others.unwrap_or_default();
            Ok(Told {
                npi,
                name,
                taxonomy,
                languages,
                orgs,
                licences,
                of_others,
                collaborating,
                active,
                synthetic,
            })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::view::OPERATOR;
    use residency_policy::RequestId;
    use serde_json::json;

    const OURS: OrgId = OrgId::from_bytes([1; 16]);
    const THEIRS: OrgId = OrgId::from_bytes([2; 16]);

    fn told(value: Value) -> Result<Told, Vec<String>> {
        let Value::Object(map) = value else { panic!("an object") };
        read(&Object::from(map), OURS).map_err(|problem| {
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

    #[test]
    fn what_others_entered_stays_and_nobody_says_otherwise() {
        let body = |licences: Value| json!({"npi": "1234567893", "name": "Robin Sample", "taxonomy": ["207Q00000X"], "licences": licences});
        let theirs = EnteredBy::Organisation(THEIRS);
        let known = told(body(json!([licence()]))).unwrap_or_else(|wrong| panic!("{wrong:?}")).licences;
        let before = Attested::default().with(theirs, known.clone()).expect("one list");
        let orgs = |ids: &[OrgId]| ProviderOrgs::new(ids.to_vec()).expect("a list");
        let of = |licences: Value, works_for: &[OrgId]| {
            let told = told(body(licences)).unwrap_or_else(|wrong| panic!("{wrong:?}"));
            told.of(ProviderId::from_bytes([7; 16]), orgs(works_for), OURS, &before).map(|one| one.licences)
        };
        let by = |by: &str, status: &str| {
            let mut licence = licence();
            (licence["entered_by"], licence["status"]) = (json!(by), json!(status));
            licence["status_since"] = json!("2024-01-01");
            licence
        };
        let (ours, both) = (OURS.to_string(), [THEIRS, OURS]);
        for left in [json!([]), json!([by(&THEIRS.to_string(), "active")])] {
            assert_eq!(of(left, &both).expect("is right"), before);
        }
        for added in [json!([licence()]), json!([by(&ours, "active")])] {
            let licences = of(added.clone(), &both).expect("is right");
            assert_eq!(licences.of(theirs), known.as_slice(), "{added}");
            assert_eq!(licences.of(EnteredBy::Organisation(OURS)), known.as_slice(), "the same number again");
            assert_eq!(of(added, &[THEIRS]).expect("is right"), before, "whoever leaves takes it along");
        }
        for changed in [by(&THEIRS.to_string(), "suspended"), by(OPERATOR, "active")] {
            assert!(of(json!([licence(), changed.clone()]), &both).is_err(), "{changed}");
        }
        let wrong = told(body(json!([licence(), by("me", "active")]))).err();
        assert_eq!(wrong, Some(vec!["/licences/1 entered-by".to_owned()]));
    }
}
