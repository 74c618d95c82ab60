//! The decision at the door, and the record of a refusal there. Who was refused PHI, for which purpose and by which rules is
//! in the home's access log before they are told, as are the refusals of the home itself.

use axum::extract::RawPathParams;
use http::request::Parts;
use node_policy::{Action, Entity, Facts};
use residency_policy::decide::RegionDecision;
use residency_policy::{
    Accessor, Category, Home, PatientId, Problem, Purpose, RecordId, RequestId, Standing, View, decide_region,
};
use storage::{Access, AccessAction, AccessOutcome, RegionRead, Rules, Scope};

use crate::authorize::decided_by;
use crate::call::via;
use crate::facts::{circumstances, today};
use crate::policies::InForce;
use crate::{Act, Credential, Here, Refused, Shape};

/// Asks the policies, and records a refusal. One without a purpose is none yet: the answer lists those that would do.
pub(crate) async fn let_in<A: Act>(
    parts: &Parts,
    here: &Here,
    caller: &Credential,
    facts: Facts,
    path: Option<&RawPathParams>,
    policies: &InForce,
) -> Result<(Shape, Rules), Refused> {
    let (problem, rules) =
        match decided_by(here, &policies.loaded, caller.into(), (A::ACTION, A::ENTITY), facts) {
            Ok(allowed) => return Ok(allowed),
            Err(refused) => refused,
        };
    let Some(purpose) = facts.purpose.filter(|_| A::ENTITY.is_phi()) else { return Err(problem.into()) };
    // A patient who names somebody else leaves nothing in that one's ledger.
    let theirs = |named: &PatientId| caller.role.patient().is_none_or(|own| own == *named);
    let patient = path.and_then(|path| named_here(path, here)).filter(theirs);
    let access = Access {
        entity_id: patient.filter(|_| A::ENTITY == Entity::Patient).map(|id| RecordId::from(id.uuid())),
        patient,
        outcome: AccessOutcome::Refused,
        ..Access::of(logged(A::ACTION), A::ENTITY.as_str())
    };
    let scope = scope(parts, here, caller, (purpose, facts, rules));
    Err(record::<A>(here, &scope, access, problem).await)
}

/// The patient that the path names, if they live here. Of others nothing is written here.
fn named_here(path: &RawPathParams, here: &Here) -> Option<PatientId> {
    let (_, id) = path.iter().find(|(name, _)| *name == "id")?;
    let patient: PatientId = id.parse().ok()?;
    let placement = here.directory.placement(patient)?;
    (placement.home == Home(here.region)).then_some(patient)
}

fn scope(
    parts: &Parts,
    here: &Here,
    caller: &Credential,
    (purpose, facts, rules): (Purpose, Facts, Rules),
) -> Scope {
    let request = parts.extensions.get::<RequestId>().copied();
    Scope {
        org: caller.org,
        role: caller.role,
        purpose,
        key: caller.key,
        user: caller.user,
        request: request.unwrap_or_else(|| RequestId::random(&*here.entropy)),
        accessor: facts.accessor.map(Accessor),
        via: via(parts),
        category: facts.category,
        judge: None,
        circumstances: circumstances(parts, here, caller, rules),
    }
}

/// What is to be answered: the refusal, once it is durable.
async fn record<A: Act>(here: &Here, scope: &Scope, access: Access, problem: Problem) -> Refused {
    let rules = here.directory.rules();
    let view =
        View { age: here.directory.view_age(), age_max: here.limits.view_age_max, rules: rules.as_deref() };
    // It is this region's own record of its own work: no bytes of a patient came here for it.
    let standing = Standing::Node { region: here.region, via: None };
    let decision = decide_region(standing, &view, Home(here.region), Category::General, today(here));
    // Whose view is too old serves nobody, and refuses all the same.
    let RegionDecision::Serve(permit) = decision else { return problem.into() };
    let look = match RegionRead::begin_region(&here.pool, &permit, scope, A::NAME) {
        Ok(look) => look,
        Err(error) => return error.into(),
    };
    match look.disclose(&[access]).await {
        Ok(_) => problem.into(),
        Err(error) => error.into(),
    }
}

/// What the log calls what was not done.
const fn logged(action: Action) -> AccessAction {
    match action {
        Action::Create => AccessAction::Create,
        Action::Read => AccessAction::Read,
        Action::List => AccessAction::List,
        Action::Search => AccessAction::Search,
        Action::Delete => AccessAction::Delete,
        Action::Update
        | Action::Sign
        | Action::Annotate
        | Action::Decide
        | Action::Acknowledge
        | Action::Correct
        | Action::Revoke => AccessAction::Update,
    }
}
