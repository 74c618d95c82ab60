//! The words of a question as Cedar knows them, made once so that a decision only looks them up.

use std::collections::HashSet;

use cedar_policy::{
    Entities, Entity as Thing, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};
use residency_policy::{Category, Jurisdiction, OrgType, Purpose, Role};

use crate::{Action, ConsentState, Device, Entity, LicenceState, Principal, Relationship};

/// Which words the schema lacks, or why the things cannot stand in it.
type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// The words of a question as Cedar knows them.
pub(crate) struct Names {
    principals: Vec<EntityUid>,
    actions: Vec<EntityUid>,
    entities: Vec<EntityUid>,
    classes: Vec<EntityUid>,
    applies: HashSet<(Action, Entity)>,
    things: Entities,
    organisations: Vec<RestrictedExpression>,
    purposes: Vec<RestrictedExpression>,
    relationships: Vec<RestrictedExpression>,
    consents: Vec<RestrictedExpression>,
    licences: Vec<RestrictedExpression>,
    categories: Vec<RestrictedExpression>,
    devices: Vec<RestrictedExpression>,
    jurisdictions: Vec<RestrictedExpression>,
}

impl Names {
    /// Makes every name, and checks that the schema knows the things.
    pub(crate) fn new(schema: &Schema) -> Result<Self, Wrong> {
        let uids = |kind: &str, words: &mut dyn Iterator<Item = &'static str>| -> Result<Vec<_>, Wrong> {
            words.map(|word| uid(kind, word)).collect()
        };
        let words = |kind: &str, words: &mut dyn Iterator<Item = &'static str>| -> Result<Vec<_>, Wrong> {
            Ok(uids(kind, words)?.into_iter().map(RestrictedExpression::new_entity_uid).collect())
        };
        let none = || std::iter::once("none");
        let actions = uids("Action", &mut Action::ALL.iter().map(|a| a.as_str()))?;
        let entities = Entity::ALL.iter().map(|e| uid(&kind(*e), "one")).collect::<Result<Vec<_>, _>>()?;
        let mut things = Vec::new();
        for (entity, name) in Entity::ALL.iter().zip(&entities) {
            let classes = entity.classes().map(|class| uid("Class", class)).collect::<Result<_, _>>()?;
            things.push(Thing::new_no_attrs(name.clone(), classes));
        }
        let mut applies = HashSet::new();
        for (action, name) in Action::ALL.iter().zip(&actions) {
            let kinds: HashSet<_> = schema.resources_for_action(name).into_iter().flatten().collect();
            let fitting = Entity::ALL.iter().zip(&entities).filter(|(_, e)| kinds.contains(e.type_name()));
            applies.extend(fitting.map(|(entity, _)| (*action, *entity)));
        }
        let mut classes: Vec<_> = Entity::ALL.iter().flat_map(|e| e.classes()).collect();
        classes.sort_unstable();
        classes.dedup();
        Ok(Self {
            principals: uids("Role", &mut Principal::all().map(Principal::as_str))?,
            classes: uids("Class", &mut classes.into_iter())?,
            things: Entities::from_entities(things, Some(schema))?,
            organisations: words(
                "OrganisationType",
                &mut none().chain(OrgType::ALL.iter().map(|o| o.as_str())),
            )?,
            purposes: words("Purpose", &mut none().chain(Purpose::ALL.iter().map(|p| p.as_str())))?,
            relationships: words("Relationship", &mut Relationship::ALL.iter().map(|r| r.as_str()))?,
            consents: words("ConsentState", &mut ConsentState::ALL.iter().map(|c| c.as_str()))?,
            licences: words("Licence", &mut LicenceState::ALL.iter().map(|l| l.as_str()))?,
            categories: words("Category", &mut Category::ALL.iter().map(|c| c.name()))?,
            devices: words("Device", &mut Device::ALL.iter().map(|d| d.as_str()))?,
            jurisdictions: Jurisdiction::all()
                .map(|j| RestrictedExpression::new_string(j.code().to_owned()))
                .collect(),
            actions,
            entities,
            applies,
        })
    }

    pub(crate) fn principal(&self, principal: Principal) -> &EntityUid {
        &self.principals[match principal {
            Principal::Member(role) => role as usize,
            Principal::Patient => Role::ALL.len(),
            Principal::Support => Role::ALL.len() + 1,
        }]
    }

    pub(crate) fn action(&self, action: Action) -> &EntityUid {
        &self.actions[action as usize]
    }

    pub(crate) fn entity(&self, entity: Entity) -> &EntityUid {
        &self.entities[entity as usize]
    }

    /// Whether a thing is in the class of this name.
    pub(crate) fn is_in(&self, entity: Entity, class: &EntityUid) -> bool {
        self.classes.contains(class) && entity.classes().any(|own| class.id().unescaped() == own)
    }

    /// Whether the schema knows of this being done to that.
    pub(crate) fn applies(&self, action: Action, entity: Entity) -> bool {
        self.applies.contains(&(action, entity))
    }

    /// Every thing, with the classes it is in.
    pub(crate) fn things(&self) -> &Entities {
        &self.things
    }

    pub(crate) fn organisation(&self, organisation: Option<OrgType>) -> RestrictedExpression {
        self.organisations[organisation.map_or(0, |o| o as usize + 1)].clone()
    }

    pub(crate) fn purpose(&self, purpose: Option<Purpose>) -> RestrictedExpression {
        self.purposes[purpose.map_or(0, |p| p as usize + 1)].clone()
    }

    pub(crate) fn relationship(&self, relationship: Relationship) -> RestrictedExpression {
        self.relationships[relationship as usize].clone()
    }

    pub(crate) fn consent(&self, consent: ConsentState) -> RestrictedExpression {
        self.consents[consent as usize].clone()
    }

    pub(crate) fn licence(&self, licence: LicenceState) -> RestrictedExpression {
        self.licences[licence as usize].clone()
    }

    pub(crate) fn category(&self, category: Category) -> RestrictedExpression {
        self.categories[category as usize].clone()
    }

    pub(crate) fn device(&self, device: Device) -> RestrictedExpression {
        self.devices[device as usize].clone()
    }

    pub(crate) fn jurisdiction(&self, jurisdiction: Jurisdiction) -> RestrictedExpression {
        self.jurisdictions[usize::from(jurisdiction.index())].clone()
    }
}

/// The type of a thing in the schema: its word without underscores, each part with a capital letter.
fn kind(entity: Entity) -> String {
    let mut kind = String::new();
    for part in entity.as_str().split('_') {
        let (first, rest) = part.split_at(1);
        kind.push_str(&first.to_ascii_uppercase());
        kind.push_str(rest);
    }
    kind
}

fn uid(kind: &str, word: &str) -> Result<EntityUid, Wrong> {
    let kind: EntityTypeName = kind.parse().map_err(|e: cedar_policy::ParseErrors| Box::new(e))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(word)))
}
