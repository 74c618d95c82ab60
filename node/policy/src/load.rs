//! Reading a set of policies: all of it or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Effect, Policy, PolicyId, PolicySet, Schema, SchemaFragment, ValidationMode, Validator,
};

use residency_policy::ruleset::Digest;

use crate::names::Names;
use crate::refused::PolicyError;
use crate::rule::Rule;
use crate::slice::{Key, slices};
use crate::sources::digest;
use crate::{Action, Entity, Principal};

/// The most bytes of one file.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The most policies of a set.
const POLICIES_MAX: usize = 4_096;

/// A file of policies, or the schema.
#[derive(Debug, Clone, Copy)]
pub struct PolicyFile<'a> {
    /// What it is called in errors.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// A set of policies that fits its schema, ready to decide.
pub struct Loaded {
    pub(crate) authorizer: Authorizer,
    pub(crate) names: Names,
    pub(crate) slices: HashMap<Key, Arc<PolicySet>>,
    pub(crate) rules: HashMap<PolicyId, Arc<Rule>>,
    digest: Digest,
}

impl Loaded {
    /// Reads a set. Every policy is checked strictly against the schema; has an id of its own, a citation, and a shape
    /// or a reason; and only obligations that are known. What is not so is refused with its place, and with it the set.
    pub fn parse(schema: PolicyFile<'_>, files: &[PolicyFile<'_>]) -> Result<Self, PolicyError> {
        if schema.text.len() > FILE_BYTES_MAX {
            return Err(PolicyError::at(schema, 0, format!("longer than {FILE_BYTES_MAX} bytes")));
        }
        let (fragment, _) = SchemaFragment::from_cedarschema_str(schema.text)
            .map_err(|error| PolicyError::found(schema, &error))?;
        let checked =
            Schema::from_schema_fragments([fragment]).map_err(|error| PolicyError::found(schema, &error))?;
        // Slices are found by an act itself: what is said of a group of them would be said of none.
        if let Some(group) = checked.action_groups().next() {
            return Err(PolicyError::at(
                schema,
                0,
                format!("{group} has other acts in it, which none may here"),
            ));
        }
        let names = Names::new(&checked).map_err(|error| PolicyError::at(schema, 0, error.to_string()))?;
        let validator = Validator::new(checked);

        let mut policies = Vec::new();
        let mut rules = HashMap::new();
        for file in files {
            let read = read(*file)?;
            for (at, policy, rule) in &read {
                if policies.len() == POLICIES_MAX {
                    let wrong = format!("there are more than {POLICIES_MAX} policies");
                    return Err(PolicyError::at(*file, *at, wrong));
                }
                if rules.insert(policy.id().clone(), Arc::clone(rule)).is_some() {
                    return Err(PolicyError::at(*file, *at, format!("the id {} is there twice", rule.id)));
                }
                policies.push(policy.clone());
            }
            validate(*file, &validator, read.into_iter().map(|(_, policy, _)| policy))?;
        }
        let slices =
            slices(&policies, &names).map_err(|error| PolicyError::at(schema, 0, error.to_string()))?;
        let spoken = |policy: &Policy| slices.values().any(|slice| slice.policy(policy.id()).is_some());
        if let Some(idle) = policies.iter().find(|policy| !spoken(policy)) {
            return Err(PolicyError::at(schema, 0, format!("the policy {} speaks of no question", idle.id())));
        }
        Ok(Self { authorizer: Authorizer::new(), names, slices, rules, digest: digest(schema, files) })
    }

    /// What identifies the texts that were read.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether some policy could permit this, in one situation or another. What none could is refused in all.
    pub fn permits(&self, principal: Principal, action: Action, entity: Entity) -> bool {
        let slice = self.slices.get(&(principal, action, entity));
        slice.is_some_and(|set| set.policies().any(|policy| matches!(policy.effect(), Effect::Permit)))
    }

    /// Every rule, in no order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().map(AsRef::as_ref)
    }
}

/// The policies of a file under their own ids, each with the byte at which it begins.
fn read(file: PolicyFile<'_>) -> Result<Vec<(usize, Policy, Arc<Rule>)>, PolicyError> {
    if file.text.len() > FILE_BYTES_MAX {
        return Err(PolicyError::at(file, 0, format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    let set: PolicySet = file.text.parse().map_err(|error| {
        let error: cedar_policy::ParseErrors = error;
        PolicyError::found(file, &error)
    })?;
    let begins = |text: String| file.text.find(&text).unwrap_or(0);
    if let Some(template) = set.templates().next() {
        let at = begins(template.to_string());
        return Err(PolicyError::at(file, at, "a policy with slots is linked to nothing here"));
    }
    let mut policies: Vec<(usize, &Policy)> =
        set.policies().map(|policy| (begins(policy.to_string()), policy)).collect();
    policies.sort_by_key(|(at, _)| *at);
    policies
        .into_iter()
        .map(|(at, policy)| {
            let rule = Rule::read(policy).map_err(|wrong| PolicyError::at(file, at, wrong))?;
            Ok((at, policy.new_id(PolicyId::new(&rule.id)), Arc::new(rule)))
        })
        .collect()
}

/// Checks the policies of a file strictly against the schema.
fn validate(
    file: PolicyFile<'_>,
    validator: &Validator,
    policies: impl Iterator<Item = Policy>,
) -> Result<(), PolicyError> {
    let set =
        PolicySet::from_policies(policies).map_err(|error| PolicyError::at(file, 0, error.to_string()))?;
    let result = validator.validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(PolicyError::found(file, error));
    }
    // A warning is a policy that can never fit, or text that looks like other text: neither is meant.
    match result.validation_warnings().next() {
        Some(warning) => Err(PolicyError::found(file, warning)),
        None => Ok(()),
    }
}
