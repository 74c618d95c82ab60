//! What identifies a laboratory or a pharmacy, in a request.

use std::str::FromStr;

use node_access::body::Object;
use residency_policy::facility::{Given, Unfit};
use residency_policy::{Facility, FieldError, OrgType};

pub(super) const FIELDS: [&str; 3] = ["clia", "ncpdp", "npi"];

/// Reads the numbers of an organisation of this kind; where the kind itself is wrong, only looks at how they are written.
pub(super) fn read(object: &Object, kind: Option<OrgType>) -> Result<Option<Facility>, Vec<FieldError>> {
    let mut wrong = Vec::new();
    let given = Given {
        clia: member(object, "clia", &mut wrong),
        ncpdp: member(object, "ncpdp", &mut wrong),
        npi: member(object, "npi", &mut wrong),
    };
    let Some(kind) = kind.filter(|_| wrong.is_empty()) else {
        return if wrong.is_empty() { Ok(None) } else { Err(wrong) };
    };
    Facility::of(kind, given).map_err(|unfit| {
        let error = |(name, unfit): (&str, Unfit)| match unfit {
            Unfit::Missing => FieldError { pointer: at(name), code: "required", detail: expected(name) },
            Unfit::NotForKind => {
                let detail = "an organisation of this kind has none";
                FieldError { pointer: at(name), code: "not-for-type", detail }
            }
        };
        unfit.into_iter().map(error).collect()
    })
}

fn member<T: FromStr>(object: &Object, name: &str, wrong: &mut Vec<FieldError>) -> Option<T> {
    let text = object.get(name)?;
    let read = text.as_str().and_then(|text| text.parse().ok());
    if read.is_none() {
        wrong.push(FieldError { pointer: at(name), code: "format", detail: expected(name) });
    }
    read
}

fn at(name: &str) -> &'static str {
    match name {
        "clia" => "/clia",
        "ncpdp" => "/ncpdp",
        _ => "/npi",
    }
}

fn expected(name: &str) -> &'static str {
    match name {
        "clia" => "expected the laboratory's CLIA number, such as 45D0000001",
        "ncpdp" => "expected the pharmacy's NCPDP Provider ID, of seven digits",
        _ => "expected the pharmacy's own NPI: ten digits, the last of which checks the others",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reading(kind: &str, body: Value) -> Result<Option<Facility>, Vec<(&'static str, &'static str)>> {
        let Value::Object(map) = body else { panic!("an object") };
        let read = read(&Object::from(map), kind.parse().ok());
        read.map_err(|wrong| wrong.into_iter().map(|error| (error.pointer, error.code)).collect())
    }

    #[test]
    fn each_kind_has_its_numbers_and_what_is_wrong_is_named() {
        let lab = reading("lab", json!({ "clia": "45D0000001" })).expect("it is right");
        assert_eq!(lab.map(|facility| facility.kind()), Some(OrgType::Lab));
        let pharmacy = reading("pharmacy", json!({ "ncpdp": "4500001", "npi": "1234567893" }));
        assert_eq!(pharmacy.map(|one| one.map(|facility| facility.kind())), Ok(Some(OrgType::Pharmacy)));
        assert_eq!(reading("provider", json!({})), Ok(None));
        for (kind, body, wrong) in [
            ("lab", json!({}), vec![("/clia", "required")]),
            ("lab", json!({ "clia": "45D000001" }), vec![("/clia", "format")]),
            ("lab", json!({ "clia": null }), vec![("/clia", "format")]),
            ("lab", json!({ "clia": 4_500_000_001_u64 }), vec![("/clia", "format")]),
            ("lab", json!({ "clia": "45D0000001", "npi": "1234567893" }), vec![("/npi", "not-for-type")]),
            ("pharmacy", json!({}), vec![("/ncpdp", "required"), ("/npi", "required")]),
            ("pharmacy", json!({ "ncpdp": "4500001", "npi": "1234567890" }), vec![("/npi", "format")]),
            (
                "pharmacy",
                json!({ "ncpdp": "450001", "npi": "1" }),
                vec![("/ncpdp", "format"), ("/npi", "format")],
            ),
            ("provider", json!({ "npi": "1234567893" }), vec![("/npi", "not-for-type")]),
            ("marketing", json!({ "clia": "45D0000001" }), vec![("/clia", "not-for-type")]),
            ("nonsense", json!({ "clia": "x" }), vec![("/clia", "format")]),
        ] {
            assert_eq!(reading(kind, body.clone()), Err(wrong), "{kind} {body}");
        }
        assert_eq!(
            reading("nonsense", json!({ "clia": "45D0000001" })),
            Ok(None),
            "its kind is named elsewhere"
        );
    }
}
