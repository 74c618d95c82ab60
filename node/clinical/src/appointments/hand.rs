//! Who carries something between this home and the control plane: a caller's request, or whoever comes after it.
//!
//! It can take longer than a transaction may, so it is several. Each asks the directory, the rules and the fence anew.

use std::sync::Arc;

use jiff::tz::TimeZone;
use node_access::{Act, Here, PatientCall, Refused};
use residency_policy::{
    Act as DataAct, Category, Decision, PatientId, Permit, Purpose, Reason, RequestId, Standing, View, decide,
};
use storage::bookings::Taken;
use storage::{Circumstances, OnBehalf, RegionTx, Scope};

/// Somebody who carries.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) here: Here,
    pub(crate) patient: PatientId,
    scope: Arc<Scope>,
    act: &'static str,
}

impl Hand {
    /// The caller's own. The caller was allowed the act when the call began.
    pub(crate) fn of_call<A: Act>(call: &PatientCall<A>) -> Result<Self, Refused> {
        Ok(Self {
            here: call.call.here.clone(),
            patient: call.patient()?,
            scope: Arc::new(call.scope()),
            act: A::NAME,
        })
    }

    /// That of whoever finishes or undoes what was left, in the name of whoever began it.
    pub(crate) fn of_work(here: &Here, work: &Taken, act: &'static str) -> Self {
        let scope = Scope {
            org: work.org,
            role: work.role.into(),
            purpose: Purpose::Operations,
            key: work.key,
            user: None,
            request: RequestId::random(&*here.entropy),
            accessor: None,
            via: None,
            category: Category::General,
            // Nothing is disclosed to anybody by it, and a time that nobody comes for must be freed.
            judge: None,
            circumstances: Circumstances {
                on_behalf: Some(OnBehalf::Organisation(work.org)),
                ..Circumstances::default()
            },
        };
        Self { here: here.clone(), patient: work.patient, scope: Arc::new(scope), act }
    }

    /// The same, for what must end although the patient takes back their consent meanwhile: nothing is disclosed by it.
    pub(crate) fn unjudged(&self) -> Self {
        let scope = Scope { judge: None, ..Scope::clone(&self.scope) };
        Self { scope: Arc::new(scope), ..self.clone() }
    }

    /// Whether nobody decides by the patient's consent what this does.
    pub(crate) fn is_unjudged(&self) -> bool {
        self.scope.judge.is_none()
    }

    /// For which organisation.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    fn permit(&self) -> Result<Permit, Refused> {
        let here = &self.here;
        let rules = here.directory.rules();
        let view =
            View { age: here.directory.view_age(), age_max: here.limits.view_age_max, rules: rules.as_deref() };
        let standing = Standing::Node { region: here.region, via: self.scope.via };
        let placement = here.directory.placement(self.patient);
        let today = here.clock.now().to_zoned(TimeZone::UTC).date();
        match decide(standing, &view, self.patient, placement, Category::General, DataAct::Write, today) {
            Decision::Serve(permit) => Ok(permit),
            Decision::Refuse(reason) => Err(reason.into()),
            // A node never forwards and never redirects.
            Decision::Forward(home, epoch) | Decision::Redirect(home, epoch) => {
                Err(Reason::NotHome(home, epoch).into())
            }
        }
    }

    /// One transaction, and again if it gave way to another.
    pub(crate) async fn transact<T, F, Fut>(&self, body: F) -> Result<T, Refused>
    where
        F: Fn(RegionTx) -> Fut,
        Fut: Future<Output = Result<T, Refused>>,
    {
        let permit = self.permit()?;
        self.here.pool.transact(&permit, &self.scope, self.act, body).await
    }
}
