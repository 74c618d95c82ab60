//! What the policies are told of a request before anything of what it asks for was looked at.

use http::request::Parts;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use node_policy::{Facts, Relationship};
use residency_policy::Ingress;

use crate::{Credential, Here, Via};

/// The day in UTC on which rules are looked up.
pub(crate) fn today(here: &Here) -> Date {
    here.clock.now().to_zoned(TimeZone::UTC).date()
}

/// Where the bytes entered, if not here.
pub(crate) fn via(parts: &Parts) -> Option<Ingress> {
    parts.extensions.get::<Via>().map(|via| via.0)
}

/// What is known before anything of what is asked for was looked at. That it is of the caller's own organisation is
/// what row-level security sees to below: nothing of another's is found.
pub(crate) fn facts(parts: &Parts, here: &Here, caller: &Credential) -> Facts {
    let (home, today) = (here.region.0, today(here));
    let day =
        [today.year().unsigned_abs(), today.month().unsigned_abs().into(), today.day().unsigned_abs().into()]
            .into_iter()
            .fold(0, |day, part| day * 100 + u32::from(part));
    Facts {
        organisation: Some(caller.org_type),
        relationship: Relationship::Organisation,
        ingress: via(parts).map_or(home, |ingress| ingress.0),
        assurance: caller.assurance,
        ..Facts::least(home, day)
    }
}
