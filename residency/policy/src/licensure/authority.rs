//! Whether a clinician may serve a patient who is in a jurisdiction on a day.

use std::fmt;

use jiff::civil::Date;

use super::{Compact, Compacts, Licence, LicenceKind, LicenceStatus, Membership, Scheme};
use crate::Jurisdiction;

/// What a clinician may rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// Where the patient is.
    pub service: Jurisdiction,
    /// Which licence gives it.
    pub licence: Licence,
}

/// There is no authority, and what comes closest to it lacks this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no authority to practise in {}: {lack}", service.name())]
pub struct NoAuthority {
    /// Where the patient is.
    pub service: Jurisdiction,
    /// What is missing.
    pub lack: Lack,
}

/// What a licence lacks, the farthest from authority first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// There is no licence that could count there.
    Missing,
    /// What a compact gives counts in its member states only, and this is none.
    NotAMember(Compact, Jurisdiction),
    /// Whether the state is a member is not confirmed.
    MembershipUncertain(Compact, Jurisdiction),
    /// It is for visits in person only.
    InPersonOnly(Compact),
    /// It counts while a full licence of a member state does, and none does.
    NoHomeLicence(Compact),
    /// It was applied for and not given yet.
    Pending(LicenceKind),
    /// It was given back.
    Surrendered(LicenceKind, Date),
    /// It was taken away.
    Revoked(LicenceKind, Date),
    /// It was taken away for a time.
    Suspended(LicenceKind, Date),
    /// Its last day is over.
    Expired(LicenceKind, Date),
    /// Its first day is to come.
    NotYet(LicenceKind, Date),
}

impl Lack {
    /// A stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "licence-missing",
            Self::NotAMember(..) => "not-a-compact-member",
            Self::MembershipUncertain(..) => "compact-membership-uncertain",
            Self::InPersonOnly(_) => "in-person-only",
            Self::NoHomeLicence(_) => "home-licence-missing",
            Self::Pending(_) => "licence-pending",
            Self::Surrendered(..) => "licence-surrendered",
            Self::Revoked(..) => "licence-revoked",
            Self::Suspended(..) => "licence-suspended",
            Self::Expired(..) => "licence-expired",
            Self::NotYet(..) => "licence-not-yet-in-force",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |kind: &LicenceKind| match kind {
            LicenceKind::Full => "full licence",
            LicenceKind::Telehealth => "telehealth registration",
            LicenceKind::Compact(compact) => compact.name(),
        };
        match self {
            Self::Missing => f.write_str("there is no licence for it"),
            Self::NotAMember(compact, state) => {
                write!(f, "{} is no member of the {} on that day", state.name(), compact.name())
            }
            Self::MembershipUncertain(compact, state) => {
                write!(f, "whether {} is a member of the {} is not confirmed", state.name(), compact.name())
            }
            Self::InPersonOnly(compact) => write!(f, "the {} is for visits in person", compact.name()),
            Self::NoHomeLicence(compact) => {
                write!(f, "the {} needs a full licence in force in another member state", compact.name())
            }
            Self::Pending(kind) => write!(f, "the {} was not issued yet", named(kind)),
            Self::Surrendered(kind, since) => write!(f, "the {} was surrendered on {since}", named(kind)),
            Self::Revoked(kind, since) => write!(f, "the {} was revoked on {since}", named(kind)),
            Self::Suspended(kind, since) => write!(f, "the {} is suspended since {since}", named(kind)),
            Self::Expired(kind, last) => write!(f, "the {} expired, its last day was {last}", named(kind)),
            Self::NotYet(kind, from) => write!(f, "the {} begins on {from}", named(kind)),
        }
    }
}

/// Whether one who holds these licences may serve a patient who is in `service`, on that day of its calendar.
pub fn authority(
    licences: &[Licence],
    compacts: &Compacts,
    service: Jurisdiction,
    on: Date,
) -> Result<Authority, NoAuthority> {
    let mut nearest = Lack::Missing;
    for licence in licences {
        match counts(licence, licences, compacts, service, on) {
            Ok(()) => return Ok(Authority { service, licence: *licence }),
            Err(lack) => nearest = nearest.max(lack),
        }
    }
    Err(NoAuthority { service, lack: nearest })
}

/// Whether this licence by itself, or together with the home licence that it needs, counts in `service`.
fn counts(
    licence: &Licence,
    all: &[Licence],
    compacts: &Compacts,
    service: Jurisdiction,
    on: Date,
) -> Result<(), Lack> {
    let here = licence.jurisdiction == service;
    let LicenceKind::Compact(compact) = licence.kind else {
        return if here { in_force(licence, on) } else { Err(Lack::Missing) };
    };
    let beyond = compact.reaches_beyond_its_state();
    if !here && !beyond {
        return Err(Lack::Missing);
    }
    in_force(licence, on)?;
    match compact.scheme() {
        // The state's own full licence, which it issues through the compact as long as it is in it.
        Scheme::FullLicence => member(compacts, compact, service, on),
        Scheme::Multistate => {
            member(compacts, compact, licence.jurisdiction, on)?;
            member(compacts, compact, service, on)
        }
        Scheme::Certificate => {
            member(compacts, compact, licence.jurisdiction, on)?;
            member(compacts, compact, service, on)?;
            let home = |other: &Licence| other.jurisdiction == licence.jurisdiction;
            full_licence(all, on, home).then_some(()).ok_or(Lack::NoHomeLicence(compact))
        }
        Scheme::Privilege => {
            member(compacts, compact, service, on)?;
            let elsewhere = |other: &Licence| {
                other.jurisdiction != service && member(compacts, compact, other.jurisdiction, on).is_ok()
            };
            full_licence(all, on, elsewhere).then_some(()).ok_or(Lack::NoHomeLicence(compact))
        }
        Scheme::InPersonOnly => Err(Lack::InPersonOnly(compact)),
    }
}

fn full_licence(all: &[Licence], on: Date, which: impl Fn(&Licence) -> bool) -> bool {
    all.iter().any(|other| other.kind == LicenceKind::Full && which(other) && in_force(other, on).is_ok())
}

fn member(compacts: &Compacts, compact: Compact, state: Jurisdiction, on: Date) -> Result<(), Lack> {
    match compacts.membership(compact, state, on) {
        Membership::Member { .. } => Ok(()),
        Membership::Uncertain => Err(Lack::MembershipUncertain(compact, state)),
        Membership::None => Err(Lack::NotAMember(compact, state)),
    }
}

/// Whether the licence itself is in force on a day: from its first day to its last, and until its status ended it.
fn in_force(licence: &Licence, on: Date) -> Result<(), Lack> {
    let Licence { kind, status, status_since, from, until, .. } = *licence;
    let ended = on >= status_since;
    match status {
        LicenceStatus::Pending => return Err(Lack::Pending(kind)),
        LicenceStatus::Revoked if ended => return Err(Lack::Revoked(kind, status_since)),
        LicenceStatus::Surrendered if ended => return Err(Lack::Surrendered(kind, status_since)),
        LicenceStatus::Suspended if ended => return Err(Lack::Suspended(kind, status_since)),
        LicenceStatus::Expired if ended => {
            let last = status_since.yesterday().unwrap_or(status_since);
            return Err(Lack::Expired(kind, until.map_or(last, |until| until.min(last))));
        }
        LicenceStatus::Active
        | LicenceStatus::Revoked
        | LicenceStatus::Surrendered
        | LicenceStatus::Suspended
        | LicenceStatus::Expired => {}
    }
    if on < from {
        return Err(Lack::NotYet(kind, from));
    }
    match until {
        Some(until) if until < on => Err(Lack::Expired(kind, until)),
        _ => Ok(()),
    }
}
