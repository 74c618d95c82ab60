//! Patients who signed in at their home, and the door at which they do.
//!
//! Who they are, only the home's own database knows: a session is looked up there with every request, so that one that was
//! ended is refused with the next. Nothing of it is in the control plane.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::civil::Date;
use node_policy::{Entity, RefusalReason};
use residency_policy::decide::RegionDecision;
use residency_policy::{
    Act as DataAct, Category, Decision, Ingress, KeyId, KeyScopes, OrgId, PatientId, Permit, Problem,
    ProblemKind, Purpose, Reason, RequestId, Standing, UserId, View, decide, decide_region,
};
use residency_tokens::patient;
use storage::portal::SignedIn;
use storage::{Acting, Circumstances, Scope};

use crate::call::{home, via};
use crate::facts::today;
use crate::parameters::{HOME, Parameters};
use crate::problem::not_found;
use crate::settings::CameFrom;
use crate::{Credential, Here, OrgView, Refused};

/// The patient whose session this is, if it goes on here. One of another home is nobody's.
pub(crate) async fn recognise(here: &Here, shown: &str) -> Result<Option<Credential>, Refused> {
    if patient::home(shown) != Some(here.region) {
        return Ok(None);
    }
    let found = here.pool.portal_session(&patient::sha256(shown), here.clock.now()).await?;
    let org = |who: &SignedIn| here.directory.organisation(who.org).filter(|org| org.active);
    Ok(found.and_then(|who| org(&who).map(|org| credential(here, &who, &org))))
}

fn credential(here: &Here, who: &SignedIn, org: &OrgView) -> Credential {
    Credential {
        // Records name what was shown, whichever it was.
        key: KeyId::from_bytes(who.session.to_bytes()),
        // It is none of the workforce's.
        session: None,
        assurance: 1,
        second_factor: false,
        user: Some(who.login),
        clinician: None,
        org: who.org,
        org_type: org.org_type,
        role: Acting::Patient(who.patient),
        jurisdictions: std::iter::once(here.region.0).collect(),
        scopes: KeyScopes::ALL,
    }
}

/// Whoever is a patient has to do with what is about patients, and with nothing else.
pub(crate) fn within(caller: &Credential, entity: Entity) -> Result<(), Problem> {
    if caller.role.patient().is_none() || entity.is_phi() {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Forbidden).reason(RefusalReason::NotPermitted.as_str()))
}

/// A request at a patient's home by somebody who is nobody yet, or shows a session themselves. The query names the home,
/// because a router never reads a body to find it.
pub struct AtHome {
    /// The node.
    pub here: Here,
    /// Which request this is.
    pub request: RequestId,
    via: Option<Ingress>,
    from: Option<IpAddr>,
}

impl AtHome {
    /// How a patient enters their own record with this login and this credential: to change it, for themselves.
    ///
    /// # Errors
    /// They live here no longer: nobody is known. Or the view of the control plane is too old to say.
    pub fn enter(
        &self,
        (patient, org): (PatientId, OrgId),
        login: UserId,
        key: KeyId,
    ) -> Result<(Permit, Scope), Refused> {
        let here = &self.here;
        if !here.directory.organisation(org).is_some_and(|org| org.active) {
            return Err(Problem::new(ProblemKind::Unauthenticated).into());
        }
        let rules = here.directory.rules();
        let view =
            View { age: here.directory.view_age(), age_max: here.limits.view_age_max, rules: rules.as_deref() };
        let placement = here.directory.placement(patient);
        let (category, today) = (Category::General, today(here));
        let decision = decide(self.standing(), &view, patient, placement, category, DataAct::Write, today);
        let permit = match decision {
            Decision::Serve(permit) => permit,
            Decision::Refuse(Reason::Unknown) | Decision::Forward(..) | Decision::Redirect(..) => {
                return Err(Problem::new(ProblemKind::Unauthenticated).into());
            }
            Decision::Refuse(reason) => return Err(reason.into()),
        };
        let scope = Scope {
            org,
            role: Acting::Patient(patient),
            purpose: Purpose::PatientRequest,
            key,
            user: Some(login),
            request: self.request,
            accessor: None,
            via: self.via,
            category,
            // Nothing is disclosed: it is what they sign in with.
            judge: None,
            circumstances: Circumstances { from: self.from, ..Circumstances::default() },
        };
        Ok((permit, scope))
    }

    /// The day on which rules are looked up.
    pub fn today(&self) -> Date {
        today(&self.here)
    }

    fn standing(&self) -> Standing {
        Standing::Node { region: self.here.region, via: self.via }
    }
}

impl FromRequestParts<Here> for AtHome {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, here: &Here) -> Result<Self, Refused> {
        let home = home(&Parameters::read(parts.uri.query(), HOME)?)?;
        if here.directory.region(home.0).is_none() {
            return Err(not_found().into());
        }
        let request = parts.extensions.get::<RequestId>().copied();
        let request = request.unwrap_or_else(|| RequestId::random(&*here.entropy));
        let CameFrom(from) = CameFrom::of(&parts.extensions);
        let at = Self { here: here.clone(), request, via: via(parts), from };
        let rules = here.directory.rules();
        let view =
            View { age: here.directory.view_age(), age_max: here.limits.view_age_max, rules: rules.as_deref() };
        match decide_region(at.standing(), &view, home, Category::General, today(here)) {
            RegionDecision::Serve(_) => Ok(at),
            RegionDecision::Refuse(reason) => Err(reason.into()),
            RegionDecision::Forward(home) | RegionDecision::Redirect(home) => {
                Err(Reason::NotThisRegion(home).into())
            }
        }
    }
}
