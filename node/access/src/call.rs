//! The call: who asks, why, for what, and what follows from where the patient lives.
//!
//! The extractors look at the caller, the purpose and the shape of the request. Whether the patient exists is
//! asked later, by [`PatientCall::permit`], after the body was read: so a wrong body gets the same answer for a
//! patient that exists and for one that does not.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::Uri;
use http::request::Parts;
use jiff::civil::Date;
use node_policy::{Action, Entity, Facts, LicenceState};
use residency_policy::decide::RegionDecision;
use residency_policy::{
    Act as DataAct, Category, Decision, Home, Ingress, PatientId, Permit, Problem, ProblemKind, Purpose,
    Reason, Region, RegionPermit, RequestId, Ruleset, Standing, View, decide, decide_region, wire,
};
use storage::{Access, Circumstances, Judge, RegionRead, RegionTx, Scope, Seen};

use crate::arrive::{admitted, purpose, recognised};
use crate::asker::principal;
use crate::authorize::{authorize, authorize_by};
use crate::facts::{assumed, facts, segregated, today};
use crate::page::PageRequest;
use crate::parameters::{Parameters, bad};
use crate::policies::{InForce, taken};
use crate::problem::not_found;
use crate::second_look::SecondLook;
use crate::settings::CameFrom;
use crate::{Act, Credential, Here, Refused, Shape, own};

/// Where the bytes entered the cluster. The node's peer listener sets it as a request extension, from the
/// verified certificate of the router; it is never read from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via(pub Ingress);

/// A call for something that is not PHI.
pub struct OpenCall<A> {
    /// The node.
    pub here: Here,
    /// Who asks.
    pub caller: Credential,
    /// Which request this is.
    pub request: RequestId,
    /// How much the caller is shown. Handlers take it as proof ([`OpenCall::shown`]).
    pub(crate) shape: Shape,
    /// The query.
    pub parameters: Parameters,
    /// The whole target, for links.
    pub uri: Uri,
    path: Vec<(String, String)>,
    via: Option<Ingress>,
    circumstances: Circumstances,
    facts: Facts,
    policies: Arc<InForce>,
    category: Category,
    act: PhantomData<A>,
}

impl<A: Act> OpenCall<A> {
    /// `asked_again` says whether the home decides once more, with what only it knows.
    async fn read(
        parts: &mut Parts,
        here: &Here,
        purpose: Option<Purpose>,
        asked_again: bool,
    ) -> Result<Self, Refused> {
        let caller = recognised::<A>(parts, here).await?;
        own::within(&caller, A::ENTITY)?;
        admitted::<A>(parts, here, &caller)?;
        let path = RawPathParams::from_request_parts(parts, here).await;
        let category = match &path {
            Ok(path) if A::SEGREGATED => segregated(path),
            _ => Some(Category::General),
        };
        let known = Facts { purpose, ..facts(via(parts), here, &caller) };
        let facts = assumed::<A>(known, category, asked_again);
        let policies = taken(parts, here)?;
        let (shape, rules) = authorize_by(&policies.loaded, (&caller).into(), A::ACTION, A::ENTITY, facts)?;
        let parameters = Parameters::read(parts.uri.query(), A::PARAMETERS)?;
        // A path that is not UTF-8 after decoding names nothing.
        let path = path.map_err(|_| not_found())?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let category = category.ok_or_else(not_found)?;
        Ok(Self {
            here: here.clone(),
            caller,
            request: parts
                .extensions
                .get::<RequestId>()
                .copied()
                .unwrap_or_else(|| RequestId::random(&*here.entropy)),
            shape,
            parameters,
            uri: parts.uri.clone(),
            path,
            via: via(parts),
            circumstances: Circumstances::of(CameFrom::of(&parts.extensions).0, rules),
            facts,
            policies,
            category,
            act: PhantomData,
        })
    }

    /// Whether the caller may do this too, in the same situation.
    pub fn may(&self, action: Action, entity: Entity) -> Result<(), Problem> {
        authorize(&self.policies.loaded, (&self.caller).into(), action, entity, self.facts).map(|_| ())
    }

    /// Whether the caller may do this, now that it is known whether the clinician may practise where the patient is.
    pub fn may_with(&self, licence: LicenceState) -> Result<(), Problem> {
        let facts = Facts { licence, ..self.facts };
        authorize(&self.policies.loaded, (&self.caller).into(), A::ACTION, A::ENTITY, facts).map(|_| ())
    }

    /// The policies by which this call is decided, all of it.
    pub fn policies(&self) -> &InForce {
        &self.policies
    }

    /// An id in the path. What is no id names nothing.
    pub fn path<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.path
            .iter()
            .find(|(there, _)| there == name)
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(not_found)
    }

    /// Which page is asked for. `filter` is whatever else the list depends on.
    pub fn page(&self, filter: &[&[u8]]) -> Result<PageRequest, Problem> {
        let here = &self.here;
        PageRequest::read(&self.parameters, &here.limits, here.secret(), A::NAME, self.caller.org, filter)
    }

    /// The day on which rules are looked up.
    pub fn today(&self) -> Date {
        today(&self.here)
    }

    /// The same day as the policies are told it: a number such as 20261122.
    pub fn day(&self) -> u32 {
        self.facts.day
    }

    /// Records something that is no PHI in this region's own access log. It is durable when this returns.
    pub async fn record(&self, accesses: &[Access]) -> Result<Seen, Refused> {
        let rules = self.here.directory.rules();
        let (here, view) = (Home(self.here.region), self.view(rules.as_deref()));
        // It is this region's own record of its own work: no bytes of a patient came here for it.
        let standing = Standing::Node { region: self.here.region, via: None };
        let permit = match decide_region(standing, &view, here, Category::General, self.today()) {
            RegionDecision::Serve(permit) => permit,
            RegionDecision::Refuse(reason) => return Err(reason.into()),
            RegionDecision::Forward(home) | RegionDecision::Redirect(home) => {
                return Err(Reason::NotThisRegion(home).into());
            }
        };
        let scope = self.scope(Purpose::Operations);
        Ok(RegionRead::begin_region(&self.here.pool, &permit, &scope, A::NAME)?.disclose(accesses).await?)
    }

    fn standing(&self) -> Standing {
        Standing::Node { region: self.here.region, via: self.via }
    }

    fn view<'r>(&self, rules: Option<&'r Ruleset>) -> View<'r> {
        View { age: self.here.directory.view_age(), age_max: self.here.limits.view_age_max, rules }
    }

    fn scope(&self, purpose: Purpose) -> Scope {
        Scope {
            org: self.caller.org,
            role: self.caller.role,
            purpose,
            key: self.caller.key,
            user: self.caller.user,
            request: self.request,
            accessor: None,
            via: self.via,
            category: self.category,
            judge: None,
            circumstances: self.circumstances.clone(),
        }
    }

    /// Decides for one patient, and says no more than this caller may know.
    fn permit(&self, patient: PatientId, act: DataAct) -> Result<Permit, Refused> {
        // Whoever is a patient learns of nobody else, not even whether the view is too old to say.
        if self.caller.role.patient().is_some_and(|own| own != patient) {
            return Err(not_found().into());
        }
        // On a stale view `decide` answers 503 for an id that it does not have, because nothing proves that it is not
        // there. A read of another organisation's patient goes on to the database, which says 404. That difference is
        // accepted: to close it, reads at home would have to end whenever the control plane is out of reach.
        let placement = self.here.directory.placement(patient);
        let serves = |home: Home| self.caller.jurisdictions.contains(home.0.0);
        // A home that the key does not serve is as unknown as an id that was never given out.
        let placement = placement.filter(|placement| serves(placement.home));
        let rules = self.here.directory.rules();
        let view = self.view(rules.as_deref());
        match decide(self.standing(), &view, patient, placement, self.category, act, self.today()) {
            Decision::Serve(permit) => Ok(permit),
            Decision::Refuse(reason) => Err(reason.into()),
            // A node never forwards and never redirects.
            Decision::Forward(home, epoch) | Decision::Redirect(home, epoch) => {
                Err(Reason::NotHome(home, epoch).into())
            }
        }
    }
}

impl<A: Act> FromRequestParts<Here> for OpenCall<A> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, here: &Here) -> Result<Self, Refused> {
        Self::read(parts, here, None, false).await
    }
}

/// A call about one patient, who is named in the path.
pub struct PatientCall<A> {
    /// What every call has.
    pub call: OpenCall<A>,
    /// Why the caller asks.
    pub purpose: Purpose,
    patient: Option<PatientId>,
}

impl<A: Act> PatientCall<A> {
    /// Whether this node may serve this patient to this caller.
    pub fn permit(&self) -> Result<Permit, Refused> {
        let act = if A::ACTION.writes() { DataAct::Write } else { DataAct::Read };
        self.call.permit(self.patient()?, act)
    }

    /// The patient that the path names. What is no id names nobody.
    pub fn patient(&self) -> Result<PatientId, Problem> {
        self.patient.ok_or_else(not_found)
    }

    /// The only home for which this node ever serves.
    pub fn home(&self) -> Home {
        Home(self.call.here.region)
    }

    /// The category of PHI that it is about.
    pub fn category(&self) -> Category {
        self.call.category
    }

    /// What the transaction is told of the caller, and who decides when the home has said what it knows.
    pub fn scope(&self) -> Scope {
        let second = SecondLook {
            policies: Arc::clone(&self.call.policies),
            role: principal(self.call.caller.role),
            action: A::ACTION,
            entity: A::ENTITY,
            assumed: self.call.facts,
            shape: self.call.shape,
        };
        Scope { judge: Some(Judge(Arc::new(second))), ..self.call.scope(self.purpose) }
    }

    /// Begins to look. This is where placement and rules are asked; the fence is, with the first question.
    pub fn look(&self) -> Result<RegionRead, Refused> {
        Ok(RegionRead::begin(&self.call.here.pool, &self.permit()?, &self.scope(), A::NAME)?)
    }

    /// Begins the transaction of this act. This is where placement, rules and the fence are asked.
    pub async fn begin(&self) -> Result<RegionTx, Refused> {
        let permit = self.permit()?;
        Ok(RegionTx::begin(&self.call.here.pool, &permit, &self.scope(), A::NAME).await?)
    }

    /// Begins the transaction of this act, and again if it gave way to another one.
    pub async fn transact<T, F, Fut>(&self, body: F) -> Result<T, Refused>
    where
        F: Fn(RegionTx) -> Fut,
        Fut: Future<Output = Result<T, Refused>>,
    {
        let permit = self.permit()?;
        Box::pin(self.call.here.pool.transact(&permit, &self.scope(), A::NAME, body)).await
    }
}

impl<A: Act> FromRequestParts<Here> for PatientCall<A> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, here: &Here) -> Result<Self, Refused> {
        let purpose = purpose::<A>(parts, here, true).await?;
        let call = OpenCall::read(parts, here, Some(purpose), true).await?;
        let patient = call.path("id").ok();
        Ok(Self { call, purpose, patient })
    }
}

/// A call about a home as a whole: a list, a search, a registration.
pub struct RegionCall<A> {
    /// What every call has.
    pub call: OpenCall<A>,
    /// Why the caller asks.
    pub purpose: Purpose,
    home: Home,
}

impl<A: Act> RegionCall<A> {
    /// The home that the query names.
    pub fn home(&self) -> Home {
        self.home
    }

    /// Whether this node may serve this home to this caller.
    pub fn permit(&self) -> Result<RegionPermit, Refused> {
        let call = &self.call;
        // Neither a home that the key does not serve nor one that nobody serves is anywhere to this caller.
        if !call.caller.jurisdictions.contains(self.home.0.0)
            || call.here.directory.region(self.home.0).is_none()
        {
            return Err(not_found().into());
        }
        let rules = call.here.directory.rules();
        let view = call.view(rules.as_deref());
        match decide_region(call.standing(), &view, self.home, Category::General, call.today()) {
            RegionDecision::Serve(permit) => Ok(permit),
            RegionDecision::Refuse(reason) => Err(reason.into()),
            RegionDecision::Forward(home) | RegionDecision::Redirect(home) => {
                Err(Reason::NotThisRegion(home).into())
            }
        }
    }

    /// Whether this node may register this id, which it took from its own pool.
    pub fn permit_new(&self, patient: PatientId) -> Result<Permit, Refused> {
        self.call.permit(patient, DataAct::Write).map_err(behind)
    }

    /// What the transaction is told of the caller.
    pub fn scope(&self) -> Scope {
        self.call.scope(self.purpose)
    }

    /// Begins the transaction that registers a new patient, and again if it gave way to another one.
    pub async fn transact_new<T, F, Fut>(&self, patient: PatientId, body: F) -> Result<T, Refused>
    where
        F: Fn(RegionTx) -> Fut,
        Fut: Future<Output = Result<T, Refused>>,
    {
        let permit = self.permit_new(patient)?;
        Box::pin(self.call.here.pool.transact(&permit, &self.scope(), A::NAME, body)).await.map_err(behind)
    }

    /// Begins to look.
    pub fn look(&self) -> Result<RegionRead, Refused> {
        Ok(RegionRead::begin_region(&self.call.here.pool, &self.permit()?, &self.scope(), A::NAME)?)
    }

    /// Begins the transaction of this act.
    pub async fn begin(&self) -> Result<RegionTx, Refused> {
        let permit = self.permit()?;
        Ok(RegionTx::begin_region(&self.call.here.pool, &permit, &self.scope(), A::NAME).await?)
    }
}

impl<A: Act> FromRequestParts<Here> for RegionCall<A> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, here: &Here) -> Result<Self, Refused> {
        let purpose = purpose::<A>(parts, here, false).await?;
        let call: OpenCall<A> = OpenCall::read(parts, here, Some(purpose), false).await?;
        let home = home(&call.parameters)?;
        Ok(Self { call, purpose, home })
    }
}

/// The home that the query names.
pub(crate) fn home(parameters: &Parameters) -> Result<Home, Problem> {
    let named = parameters.required(wire::HOME_PARAMETER)?.parse();
    named
        .map(|jurisdiction| Home(Region(jurisdiction)))
        .map_err(|_| bad(wire::HOME_PARAMETER, "format", "is an ISO 3166-2 code such as US-TX"))
}

/// The pool holds ids that the directory gave to this region. If directory or fence do not say so now, the view here is
/// behind, and the request of who registers somebody was not at fault.
fn behind(refused: Refused) -> Refused {
    if refused.problem().kind() == ProblemKind::NotFound {
        Problem::new(ProblemKind::ViewUnproven).retry_after(1).into()
    } else {
        refused
    }
}

pub(crate) fn via(parts: &Parts) -> Option<Ingress> {
    parts.extensions.get::<Via>().map(|via| via.0)
}
