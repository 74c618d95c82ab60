//! What is known of a situation before anything of what is asked for was looked at, and what is taken for granted of the
//! rest until the home has spoken.

use axum::extract::RawPathParams;
use http::HeaderMap;
use http::request::Parts;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use node_policy::{ConsentState, Device, Entity, Facts, Relationship};
use residency_policy::{Category, DeviceId, Jurisdiction, OrgType, Problem, ProblemKind, wire};
use residency_tokens::device::DeviceSecret;
use storage::{Circumstances, Rules};

use crate::authorize::is_emergency;
use crate::call::via;
use crate::settings::CameFrom;
use crate::{Act, Credential, Here};

/// The day on which rules are looked up.
pub(crate) fn today(here: &Here) -> Date {
    here.clock.now().to_zoned(TimeZone::UTC).date()
}

/// What is known before anything of what is asked for was looked at. That it is of the caller's own organisation is
/// what row-level security sees to below: nothing of another's is found. Where the patient is at a visit is known only to
/// the act that has one ([`crate::OpenCall::may_at`]).
///
/// # Errors
/// The request says of where its caller is what is no jurisdiction.
pub(crate) fn facts<A: Act>(parts: &Parts, here: &Here, caller: &Credential) -> Result<Facts, Problem> {
    let (home, today) = (here.region.0, today(here));
    let day =
        [today.year().unsigned_abs(), today.month().unsigned_abs().into(), today.day().unsigned_abs().into()]
            .into_iter()
            .fold(0, |day, part| day * 100 + u32::from(part));
    let vouched_for = || here.directory.legal_basis(caller.org).is_some_and(|basis| basis.holds_on(day));
    Ok(Facts {
        organisation: Some(caller.org_type).filter(|_| caller.role.patient().is_none()),
        // Asked of nobody else: whoever is no marketing organisation has none.
        basis: caller.org_type == OrgType::Marketing && vouched_for(),
        relationship: match caller.role.patient() {
            Some(_) => Relationship::Oneself,
            None => Relationship::Organisation,
        },
        // No router forwarded it: it came in at this region's own door.
        ingress: via(parts).map_or(home, |ingress| ingress.0),
        accessor: if A::ENTITY.is_phi() { accessor(&parts.headers)? } else { None },
        device: device(&parts.headers, here, caller),
        assurance: caller.assurance,
        ..Facts::least(home, day)
    })
}

/// Where the caller says they are. Nobody else knows: an address is no place, and is not made one.
fn accessor(headers: &HeaderMap) -> Result<Option<Jurisdiction>, Problem> {
    let mut values = headers.get_all(wire::ACCESSOR).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let one = if values.next().is_none() { first.to_str().ok() } else { None };
    one.and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| {
        let expected = "is one ISO 3166-2 code such as US-TX";
        Problem::new(ProblemKind::BadHeader).field(wire::ACCESSOR, "format", expected)
    })
}

/// Whether the request shows a device that is known as this person's. One that waits to be admitted is not, and a key that is
/// nobody's has none.
fn device(headers: &HeaderMap, here: &Here, caller: &Credential) -> Device {
    known_device(headers, here, caller).map_or(Device::Unknown, |_| Device::Known)
}

/// Which device that is.
fn known_device(headers: &HeaderMap, here: &Here, caller: &Credential) -> Option<DeviceId> {
    let user = caller.user.filter(|_| caller.role.patient().is_none())?;
    let shown = DeviceSecret::shown(headers)?;
    let known = here.directory.signins().device(caller.org, user, shown.id).copied()?;
    (known.admitted && shown.is(&known)).then_some(shown.id)
}

/// What a record says of the request besides.
pub(crate) fn circumstances(parts: &Parts, here: &Here, caller: &Credential, rules: Rules) -> Circumstances {
    let device = known_device(&parts.headers, here, caller);
    Circumstances { device, ..Circumstances::of(CameFrom::of(&parts.extensions).0, rules) }
}

/// The facts with which the first question is asked: the best for what only the home knows. It says no to what no consent
/// and no grant would make allowed, before anything is looked up. Where no second question follows, nothing is taken for
/// granted.
pub(crate) fn assumed<A: Act>(facts: Facts, category: Option<Category>, asked_again: bool) -> Facts {
    let category = category.unwrap_or(Category::General);
    if !asked_again {
        return Facts { category, ..facts };
    }
    let emergency = facts.purpose.is_some_and(is_emergency) && A::ENTITY != Entity::BreakGlass;
    Facts {
        relationship: if emergency { Relationship::BreakGlass } else { facts.relationship },
        consent: if A::SEGREGATED { ConsentState::Specific } else { facts.consent },
        category,
        ..facts
    }
}

/// The category that the path names.
pub(crate) fn segregated(path: &RawPathParams) -> Option<Category> {
    let (_, named) = path.iter().find(|(name, _)| *name == "category")?;
    named.parse().ok().filter(|category| *category != Category::General)
}

#[cfg(test)]
mod tests {
    use node_policy::Action;
    use residency_policy::{Jurisdiction, Purpose};

    use super::*;

    #[test]
    fn where_the_caller_is_is_what_they_say_once_and_nothing_else() {
        let said = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(wire::ACCESSOR, value.parse().expect("a value"));
            }
            accessor(&headers)
        };
        assert_eq!(said(&[]), Ok(None), "nothing is made up");
        assert_eq!(said(&["US-NY"]), Ok("US-NY".parse().ok()));
        for wrong in [&[""][..], &["NY"], &["US-XX"], &["US-NY, US-TX"], &["US-NY", "US-NY"]] {
            let refused = said(wrong).expect_err("it is refused");
            assert_eq!(refused.kind(), ProblemKind::BadHeader, "{wrong:?}");
        }
    }

    struct Look;

    impl Act for Look {
        const ENTITY: Entity = Entity::Encounter;
        const ACTION: Action = Action::List;
        const NAME: &'static str = "encounter.list";
        const SEGREGATED: bool = true;
    }

    #[test]
    fn a_grant_and_a_consent_are_taken_for_granted_only_where_the_home_is_asked_again() {
        let home: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let known = Facts {
            purpose: Some(Purpose::EmergencyTreat),
            relationship: Relationship::Organisation,
            ..Facts::least(home, 20_261_122)
        };
        let category = Category::SubstanceUse;
        let best = Facts {
            relationship: Relationship::BreakGlass,
            consent: ConsentState::Specific,
            category,
            ..known
        };
        assert_eq!(assumed::<Look>(known, Some(category), true), best);
        assert_eq!(assumed::<Look>(known, Some(category), false), Facts { category, ..known });
    }
}
