//! Collects what is wrong, so that one answer names every wrong field.

use residency_policy::{FieldError, Problem, ProblemKind};
use serde_json::Value;

use super::Wrong;

/// What a body has in a field.
#[derive(Clone, Copy)]
pub enum Raw<'a> {
    /// Nothing, or `null`.
    Missing,
    /// A string.
    Text(&'a str),
    /// Something that is not a string.
    NotText,
}

/// Whatever a body's field may be held in before it is read: text, text that may be missing, or any JSON.
pub trait Given {
    /// What is there.
    fn given(&self) -> Raw<'_>;
}

impl Given for str {
    fn given(&self) -> Raw<'_> {
        Raw::Text(self)
    }
}

impl Given for String {
    fn given(&self) -> Raw<'_> {
        Raw::Text(self)
    }
}

impl Given for Value {
    fn given(&self) -> Raw<'_> {
        match self {
            Value::Null => Raw::Missing,
            Value::String(text) => Raw::Text(text),
            _ => Raw::NotText,
        }
    }
}

impl<G: Given> Given for Option<G> {
    fn given(&self) -> Raw<'_> {
        self.as_ref().map_or(Raw::Missing, Given::given)
    }
}

impl<G: Given + ?Sized> Given for &G {
    fn given(&self) -> Raw<'_> {
        (**self).given()
    }
}

/// The wrong fields of one body, in the order in which they were read.
#[derive(Debug, Default)]
#[must_use = "what was found wrong must be answered"]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// Reads a field that must be there. `None` means that it was noted as wrong.
    pub fn take<T>(
        &mut self,
        pointer: &'static str,
        raw: impl Given,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        match raw.given() {
            Raw::Missing => self.keep(pointer, Err(Wrong::REQUIRED)),
            Raw::NotText => self.keep(pointer, Err(Wrong::NOT_TEXT)),
            Raw::Text(text) => self.keep(pointer, parse(text)),
        }
    }

    /// Reads a field that may be missing. `None` means that it is, or that it was noted as wrong.
    pub fn take_if_given<T>(
        &mut self,
        pointer: &'static str,
        raw: impl Given,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        match raw.given() {
            Raw::Missing => None,
            given => self.take(pointer, given, parse),
        }
    }

    /// Keeps a result that was reached some other way.
    pub fn keep<T>(&mut self, pointer: &'static str, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.note(pointer, wrong)).ok()
    }

    /// Notes a field as wrong.
    pub fn note(&mut self, pointer: &'static str, Wrong { code, detail }: Wrong) {
        self.0.push(FieldError { pointer, code, detail });
    }

    /// What was noted so far.
    pub fn errors(&self) -> &[FieldError] {
        &self.0
    }

    /// The answer that names them all, or nothing to complain of.
    pub fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }

    /// The answer that names them all.
    pub fn problem(self) -> Problem {
        Problem::new(ProblemKind::Invalid).fields(self.0)
    }
}

impl Given for Raw<'_> {
    fn given(&self) -> Raw<'_> {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Email, PersonName, PhoneE164};
    use serde_json::json;

    #[test]
    fn one_answer_names_every_wrong_field() {
        let body = json!({"given_name": "Ana", "email": "nowhere", "phone": 42, "mrn": null});
        let mut fields = Fields::default();
        let given = fields.take("/given_name", &body["given_name"], PersonName::parse);
        assert!(given.is_some());
        assert!(fields.take("/family_name", body.get("family_name"), PersonName::parse).is_none());
        assert!(fields.take("/email", &body["email"], Email::parse).is_none());
        assert!(fields.take("/phone", &body["phone"], PhoneE164::parse).is_none());
        assert!(fields.take_if_given("/mrn", &body["mrn"], PersonName::parse).is_none());
        let problem = fields.finish().expect_err("is refused");
        assert_eq!(problem.kind(), ProblemKind::Invalid);
        let request = residency_policy::RequestId::from_bytes([7; 16]);
        let shown = serde_json::to_value(problem.document(request)).expect("writes");
        let named: Vec<_> = shown["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|e| (e["pointer"].as_str().unwrap_or(""), e["code"].as_str().unwrap_or("")))
            .collect();
        assert_eq!(named, [("/family_name", "required"), ("/email", "format"), ("/phone", "type")]);
        assert!(!shown.to_string().contains("nowhere") && !shown.to_string().contains("42,"));
    }

    #[test]
    fn nothing_wrong_is_nothing_to_answer() {
        let mut fields = Fields::default();
        assert!(fields.take("/phone", Some("+12025550123"), PhoneE164::parse).is_some());
        assert!(fields.take_if_given("/email", None::<String>, Email::parse).is_none());
        assert_eq!(fields.finish(), Ok(()));
    }
}
