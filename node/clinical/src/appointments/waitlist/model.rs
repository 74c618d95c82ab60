//! A wish for an appointment.

use jiff::Timestamp;
use node_access::body::Object;
use node_console::calendars::when;
use residency_control::calendar::{Minute, Waiting, Wanted};
use residency_policy::{
    BookingHandle, Jurisdiction, KeyId, OrgId, PatientId, Problem, ProblemKind, Purpose, Region, WaitlistId,
};
use serde_json::Value;

use crate::appointments::model::Place;
use crate::appointments::reading::NOT_A_PLACE;
use crate::values::{Fields, Wrong};

/// How a wish ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With an appointment.
    Booked,
    /// It was taken back.
    Removed,
    /// Its time was over.
    Expired,
}

impl Outcome {
    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Removed => "removed",
            Self::Expired => "expired",
        }
    }

    /// What a word means.
    pub fn read(text: &str) -> Option<Self> {
        [Self::Booked, Self::Removed, Self::Expired].into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// A slot that is held for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Which, and under which handle.
    pub place: Place,
    /// Until when.
    pub until: Timestamp,
}

/// Where a wish is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is on its way into the order.
    Joining,
    /// It stands in the order.
    Waiting,
    /// A slot is being held for it.
    Offering(Offer),
    /// A slot is held for it.
    Offered(Offer),
    /// It is on its way out of the order.
    Leaving(Outcome),
    /// It rests.
    Ended(Outcome),
}

impl State {
    /// The word in the database and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Waiting => "waiting",
            Self::Offering(_) => "offering",
            Self::Offered(_) => "offered",
            Self::Leaving(_) => "leaving",
            Self::Ended(_) => "ended",
        }
    }

    /// What is offered.
    pub const fn offer(&self) -> Option<&Offer> {
        match self {
            Self::Offering(offer) | Self::Offered(offer) => Some(offer),
            Self::Joining | Self::Waiting | Self::Leaving(_) | Self::Ended(_) => None,
        }
    }

    /// How it ended, or is about to.
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Leaving(outcome) | Self::Ended(outcome) => Some(*outcome),
            Self::Joining | Self::Waiting | Self::Offering(_) | Self::Offered(_) => None,
        }
    }
}

/// A wish.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Keyed hash of the request that made it.
    pub id: WaitlistId,
    /// Who waits.
    pub patient: PatientId,
    /// Where it is in its life.
    pub state: State,
    /// What the control plane knows it by.
    pub handle: BookingHandle,
    /// What is wished for.
    pub asked: Asked,
    /// The credential that made it.
    pub made_by: KeyId,
    /// Keyed hash of the request that made it.
    pub request: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Raised by every change.
    pub version: i32,
    /// For what it was asked for: the consent to that counts. `None` of one that is older than this is kept.
    pub purpose: Option<Purpose>,
}

impl Wish {
    /// What the control plane is told of it.
    pub const fn waiting(&self, org: OrgId, region: Region) -> Waiting {
        let Asked { wanted, from, to, .. } = self.asked;
        Waiting { handle: self.handle, wanted, from, to, org, region }
    }
}

/// What is wished for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// For whom.
    pub wanted: Wanted,
    /// Where the patient will be.
    pub service: Jurisdiction,
    /// The earliest beginning.
    pub from: Minute,
    /// No slot that begins then or later is offered.
    pub to: Minute,
}

impl Asked {
    /// The longest wish, in minutes: as far as calendars reach.
    const MINUTES_MAX: u32 = 400 * 1_440;

    /// Reads a body.
    pub fn read(body: &Object, now: Timestamp) -> Result<Self, Problem> {
        body.only(&["provider", "specialty", "service_jurisdiction", "from", "to"])?;
        let mut fields = Fields::default();
        let wanted = wanted(&mut fields, body);
        let service = fields.take("/service_jurisdiction", body.get("service_jurisdiction"), |text| {
            text.parse().map_err(|_| NOT_A_PLACE)
        });
        let from = time(&mut fields, body, "from", "/from")?;
        let to = time(&mut fields, body, "to", "/to")?;
        if let (Some(from), Some(to)) = (from, to) {
            let longest = from.plus(Self::MINUTES_MAX);
            if to <= from || to > longest {
                let detail = "expected a time after from, at most 400 days later";
                fields.note("/to", Wrong { code: "order", detail });
            } else if to.timestamp() <= now {
                fields.note("/to", Wrong { code: "in-the-past", detail: "expected a time to come" });
            }
        }
        fields.finish()?;
        match (wanted, service, from, to) {
            (Some(wanted), Some(service), Some(from), Some(to)) => Ok(Self { wanted, service, from, to }),
            // What is missing was noted, so this is never reached.
            _ => Err(Problem::new(ProblemKind::Invalid)),
        }
    }
}

/// `provider` or `specialty`, and not both.
fn wanted(fields: &mut Fields, body: &Object) -> Option<Wanted> {
    let given = |name| body.get(name).filter(|value| !value.is_null());
    match (given("provider"), given("specialty")) {
        (provider @ Some(_), None) => {
            let wrong = Wrong { code: "format", detail: "expected an id" };
            fields.take("/provider", provider, |text| text.parse().map_err(|_| wrong)).map(Wanted::Provider)
        }
        (None, specialty @ Some(_)) => {
            let wrong = Wrong { code: "format", detail: "expected a NUCC code such as 207Q00000X" };
            fields.take("/specialty", specialty, |text| text.parse().map_err(|_| wrong)).map(Wanted::Specialty)
        }
        (None, None) => {
            fields.note("/provider", Wrong { code: "required", detail: "expected a provider or a specialty" });
            None
        }
        (Some(_), Some(_)) => {
            let detail = "expected a provider or a specialty, and not both";
            fields.note("/specialty", Wrong { code: "contradiction", detail });
            None
        }
    }
}

fn time(
    fields: &mut Fields,
    body: &Object,
    name: &str,
    pointer: &'static str,
) -> Result<Option<Minute>, Problem> {
    match body.get(name) {
        Some(Value::String(text)) => when::minute(text).map(Some).map_err(|wrong| wrong.of_field(pointer)),
        None | Some(Value::Null) => {
            fields.note(pointer, Wrong::REQUIRED);
            Ok(None)
        }
        Some(_) => {
            fields.note(pointer, Wrong::NOT_TEXT);
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::RequestId;
    use serde_json::json;

    fn read(value: Value) -> Result<Asked, Problem> {
        let Value::Object(map) = value else { panic!("an object") };
        Asked::read(&Object::from(map), "2026-12-01T00:00:00Z".parse().expect("an instant"))
    }

    fn shown(value: Value) -> Vec<String> {
        let problem = read(value).expect_err("is refused");
        let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
        let errors = shown["errors"].as_array().expect("a list").iter();
        errors
            .map(|e| format!("{} {}", e["pointer"].as_str().unwrap_or(""), e["code"].as_str().unwrap_or("")))
            .collect()
    }

    #[test]
    fn a_wish_is_for_a_provider_or_a_specialty_and_for_a_time_to_come() {
        let right = json!({"specialty": "207Q00000X", "service_jurisdiction": "US-TX",
                           "from": "2026-12-01T00:00:00Z", "to": "2026-12-24T00:00:00Z"});
        assert!(matches!(read(right.clone()).expect("reads").wanted, Wanted::Specialty(_)));
        let with = |name: &str, value: Value| {
            let mut body = right.clone();
            body[name] = value;
            shown(body)
        };
        assert_eq!(
            with("provider", json!("00000000-0000-4000-8000-000000000000")),
            ["/specialty contradiction"]
        );
        assert_eq!(with("specialty", json!("doctor")), ["/specialty format"]);
        assert_eq!(with("specialty", Value::Null), ["/provider required"]);
        assert_eq!(with("to", json!("2026-11-30T00:00:00Z")), ["/to order"]);
        assert_eq!(with("to", json!("2028-12-24T00:00:00Z")), ["/to order"]);
        assert_eq!(with("from", json!("2026-13-01")), ["/from format"]);
        let past = json!({"specialty": "207Q00000X", "service_jurisdiction": "US-TX",
                          "from": "2026-11-01T00:00:00Z", "to": "2026-11-24T00:00:00Z"});
        assert_eq!(shown(past), ["/to in-the-past"]);
        let expected =
            ["/provider required", "/service_jurisdiction required", "/from required", "/to required"];
        assert_eq!(shown(json!({})), expected);
    }
}
