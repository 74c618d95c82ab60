//! Which policies can speak of a question at all, found once when they are loaded.
//!
//! A decision costs what it costs to evaluate its policies, so it is given only those whose scope can fit: some five
//! of nearly two hundred.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Policy, PolicySet, PolicySetError, PrincipalConstraint, ResourceConstraint,
};

use crate::names::Names;
use crate::{Action, Entity, Principal};

/// What a slice is found by.
pub(crate) type Key = (Principal, Action, Entity);

/// The policies for each question. Where none is, none speaks of it.
pub(crate) fn slices(
    policies: &[Policy],
    names: &Names,
) -> Result<HashMap<Key, Arc<PolicySet>>, Box<PolicySetError>> {
    let mut fitting: HashMap<Key, Vec<usize>> = HashMap::new();
    for (at, policy) in policies.iter().enumerate() {
        let (askers, acts, things) = (askers(policy, names), acts(policy, names), things(policy, names));
        for &principal in &askers {
            for &action in &acts {
                for &entity in things.iter().filter(|entity| names.applies(action, **entity)) {
                    fitting.entry((principal, action, entity)).or_default().push(at);
                }
            }
        }
    }
    // Many questions are spoken of by the same policies, and share one set of them.
    let mut sets: BTreeMap<Vec<usize>, Arc<PolicySet>> = BTreeMap::new();
    let mut found = HashMap::with_capacity(fitting.len());
    for (key, which) in fitting {
        let known = sets.get(&which).map(Arc::clone);
        let set = if let Some(set) = known {
            set
        } else {
            let set = PolicySet::from_policies(which.iter().map(|at| policies[*at].clone()));
            let set = Arc::new(set.map_err(Box::new)?);
            sets.insert(which, Arc::clone(&set));
            set
        };
        found.insert(key, set);
    }
    Ok(found)
}

// Only the scope of a policy is read here: what its conditions say is asked in the decision.

fn askers(policy: &Policy, names: &Names) -> Vec<Principal> {
    let constraint = policy.principal_constraint();
    Principal::all()
        .filter(|principal| {
            let who = names.principal(*principal);
            match &constraint {
                PrincipalConstraint::Any => true,
                PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) => uid == who,
                PrincipalConstraint::Is(kind) => kind == who.type_name(),
                PrincipalConstraint::IsIn(kind, uid) => kind == who.type_name() && uid == who,
            }
        })
        .collect()
}

fn acts(policy: &Policy, names: &Names) -> Vec<Action> {
    let constraint = policy.action_constraint();
    let fits = |action: &Action| match &constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == names.action(*action),
        ActionConstraint::In(uids) => uids.contains(names.action(*action)),
    };
    Action::ALL.iter().copied().filter(fits).collect()
}

fn things(policy: &Policy, names: &Names) -> Vec<Entity> {
    let constraint = policy.resource_constraint();
    let fits = |entity: &Entity| {
        let what = names.entity(*entity);
        match &constraint {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => uid == what,
            ResourceConstraint::In(uid) => uid == what || names.is_in(*entity, uid),
            ResourceConstraint::Is(kind) => kind == what.type_name(),
            ResourceConstraint::IsIn(kind, uid) => {
                kind == what.type_name() && (uid == what || names.is_in(*entity, uid))
            }
        }
    };
    Entity::ALL.iter().copied().filter(fits).collect()
}
