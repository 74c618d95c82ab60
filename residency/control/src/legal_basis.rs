//! The legal basis of a marketing organisation: what lets it have anything of a patient at all.

use std::ops::RangeInclusive;
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::civil::Date;
use residency_policy::{BasisKind, KeyId, OrgId, OrgType, UserId};
use serde::{Deserialize, Serialize};

use crate::command::{Refusal, must_be_replicated, record};
use crate::machine::State;
use crate::organisations;

record! {
    /// What was recorded of a signed document. The document itself stays where it is kept.
    #[derive(Debug, Copy)]
    pub struct LegalBasis {
        /// What kind of document it is.
        pub kind: BasisKind,
        /// The first day on which it holds, in UTC, as a number such as 20261122.
        pub from: u32,
        /// The last day on which it holds, as such a number.
        pub until: u32,
        /// SHA-256 of the document.
        pub document_sha256: [u8; 32],
    }
}

/// Who recorded a legal basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recorder {
    /// Whoever runs a node.
    Operator,
    /// Somebody who works there.
    User {
        /// Where.
        org: OrgId,
        /// Who.
        user: UserId,
    },
    /// Nobody's credential of an organisation.
    Key {
        /// Whose.
        org: OrgId,
        /// Which.
        key: KeyId,
    },
}

record! {
    /// Who recorded a legal basis, and when.
    #[derive(Debug, Copy)]
    pub struct Recorded {
        /// Who.
        pub by: Recorder,
        /// When, in seconds after the Unix epoch, by the proposer's clock.
        pub at: i64,
    }
}

/// The years of which a day may be.
const YEARS: RangeInclusive<i16> = 2000..=2199;

impl LegalBasis {
    /// What [`LegalBasis::day`] reads.
    pub const DAY_EXPECTED: &str = "expected a date such as 2026-11-22, of the years 2000 to 2199";
    /// What [`LegalBasis::digest`] reads.
    pub const DIGEST_EXPECTED: &str = "expected the SHA-256 of the document: 64 hexadecimal digits";

    /// A date in its one spelling, such as `2026-11-22`, as a number.
    pub fn day(text: &str) -> Option<u32> {
        let date: Date = text.parse().ok()?;
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        let number = u32::from(date.year().unsigned_abs()) * 10_000 + u32::from(month) * 100 + u32::from(day);
        (YEARS.contains(&date.year()) && date.to_string() == text).then_some(number)
    }

    /// The date of such a number.
    pub fn date(day: u32) -> String {
        format!("{:04}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100)
    }

    /// SHA-256 of the document, of its hexadecimal digits.
    pub fn digest(text: &str) -> Option<[u8; 32]> {
        // Measured before it is read: a request has room for much more.
        let digits = Some(text.as_bytes()).filter(|digits| digits.len() == 64)?;
        HEXLOWER_PERMISSIVE.decode(digits).ok()?.try_into().ok()
    }

    /// Whether it holds on a day, as a number such as 20261122.
    pub fn holds_on(&self, day: u32) -> bool {
        (self.from..=self.until).contains(&day)
    }
}

impl State {
    /// The recorded legal basis of a marketing organisation, whether it holds today or not.
    pub fn legal_basis(&self, org: OrgId) -> Option<&LegalBasis> {
        // An operator may make it another kind, and whatever was recorded before is then of no use to it.
        let marketing = self.organisations.get(&org)?.org_type == OrgType::Marketing;
        self.bases.get(&org).filter(|_| marketing)
    }

    /// Who recorded it; nothing, where a release did that did not keep it.
    pub fn legal_basis_recorded(&self, org: OrgId) -> Option<&Recorded> {
        self.legal_basis(org)?;
        self.bases_recorded.get(&org)
    }
}

/// Records one in place of whatever is there. It is a change of the organisation, and counts as one.
pub(crate) fn put(
    state: &mut State,
    org: OrgId,
    (basis, recorded): (LegalBasis, Option<Recorded>),
    expected: u64,
) -> Result<(), Refusal> {
    changed(state, org, expected)?;
    Arc::make_mut(&mut state.bases).insert(org, basis);
    let all = Arc::make_mut(&mut state.bases_recorded);
    match recorded {
        Some(recorded) => all.insert(org, recorded),
        None => all.remove(&org),
    };
    Ok(())
}

/// Takes back what is recorded.
pub(crate) fn remove(state: &mut State, org: OrgId, expected: u64) -> Result<(), Refusal> {
    changed(state, org, expected)?;
    Arc::make_mut(&mut state.bases).remove(&org);
    Arc::make_mut(&mut state.bases_recorded).remove(&org);
    Ok(())
}

fn changed(state: &mut State, org: OrgId, expected: u64) -> Result<(), Refusal> {
    let (known, mark) = organisations::open(state, org)?;
    if known.org_type != OrgType::Marketing {
        return Err(Refusal::NotMarketing);
    }
    let mark = organisations::raised(mark, expected)?;
    Arc::make_mut(&mut state.marks).insert(org, mark);
    Ok(())
}
