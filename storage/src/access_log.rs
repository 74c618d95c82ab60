//! The access log: who did what to whose record, written in the transaction that did it, or, of what was only looked
//! at, before it is disclosed.

use jiff::Timestamp;
use residency_policy::{Epoch, GrantId, PatientId, RecordId, UserId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{RegionPool, Scope};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessAction {
    /// Made.
    Create,
    /// Looked at.
    Read,
    /// Changed.
    Update,
    /// Removed from view.
    Delete,
    /// Searched for.
    Search,
    /// Listed.
    List,
}

impl AccessAction {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Search => "search",
            Self::List => "list",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessOutcome {
    /// It was done.
    Done,
    /// Nothing was found.
    NotFound,
    /// It was refused.
    Refused,
}

impl AccessOutcome {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
        }
    }
}

/// One access record. It holds ids and words of the program, and no value.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// What was done.
    pub action: AccessAction,
    /// To what kind of record, such as `patient`.
    pub entity: &'static str,
    /// To which record.
    pub entity_id: Option<RecordId>,
    /// Whose record.
    pub patient: Option<PatientId>,
    /// How it ended.
    pub outcome: AccessOutcome,
}

impl Access {
    /// Something done to a kind of record as a whole, such as a search.
    pub const fn of(action: AccessAction, entity: &'static str) -> Self {
        Self { action, entity, entity_id: None, patient: None, outcome: AccessOutcome::Done }
    }

    /// Something done to one record of one patient.
    pub fn to(action: AccessAction, entity: &'static str, id: Uuid, patient: PatientId) -> Self {
        Self { entity_id: Some(RecordId::from(id)), patient: Some(patient), ..Self::of(action, entity) }
    }

    /// Something done to one record that is no patient's.
    pub fn about(action: AccessAction, entity: &'static str, id: Uuid) -> Self {
        Self { entity_id: Some(RecordId::from(id)), ..Self::of(action, entity) }
    }

    /// The same with another ending.
    #[must_use]
    pub const fn ended(self, outcome: AccessOutcome) -> Self {
        Self { outcome, ..self }
    }
}

/// Inserts records of several requests, which may be of several organisations.
pub(crate) const RECORD: &str = "SELECT record_accesses_under($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("access_log.record", RECORD)];

/// One row of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    id: Uuid,
    at: Timestamp,
    org: Uuid,
    key: Uuid,
    user: Option<Uuid>,
    role: &'static str,
    purpose: &'static str,
    act: &'static str,
    request: Uuid,
    accessor: Option<&'static str>,
    ingress: Option<&'static str>,
    epoch: Option<i64>,
    glass: Option<Uuid>,
    access: Access,
}

/// What the records of one read have in common, beside who asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under {
    pub(crate) act: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) home: Option<(PatientId, Epoch)>,
    pub(crate) glass: Option<GrantId>,
}

/// The rows of one read.
pub(crate) fn records(pool: &RegionPool, scope: &Scope, under: Under, accesses: &[Access]) -> Vec<Record> {
    let Under { act, at, home, glass } = under;
    let record = |access: &Access| Record {
        id: RecordId::random(pool.0.entropy.as_ref()).uuid(),
        at,
        org: scope.org.uuid(),
        key: scope.key.uuid(),
        user: scope.user.map(UserId::uuid),
        role: scope.role.as_str(),
        purpose: scope.purpose.as_str(),
        act,
        request: scope.request.uuid(),
        accessor: scope.accessor.map(|accessor| accessor.0.code()),
        ingress: scope.via.map(|ingress| ingress.0.code()),
        epoch: home.map(|(_, epoch)| i64::from(epoch.0)),
        glass: glass.map(GrantId::uuid),
        access: *access,
    };
    accesses.iter().map(record).collect()
}

/// The rows of many reads, column by column: the parameters of [`RECORD`].
#[derive(Default)]
pub(crate) struct Columns {
    ids: Vec<Uuid>,
    ats: Vec<Timestamp>,
    orgs: Vec<Uuid>,
    keys: Vec<Uuid>,
    users: Vec<Option<Uuid>>,
    roles: Vec<&'static str>,
    purposes: Vec<&'static str>,
    acts: Vec<&'static str>,
    requests: Vec<Uuid>,
    accessors: Vec<Option<&'static str>>,
    ingresses: Vec<Option<&'static str>>,
    epochs: Vec<Option<i64>>,
    actions: Vec<&'static str>,
    entities: Vec<&'static str>,
    entity_ids: Vec<Option<Uuid>>,
    patients: Vec<Option<Uuid>>,
    outcomes: Vec<&'static str>,
    grants: Vec<Option<Uuid>>,
}

impl Columns {
    pub(crate) fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        let mut all = Self::default();
        for record in records {
            all.ids.push(record.id);
            all.ats.push(record.at);
            all.orgs.push(record.org);
            all.keys.push(record.key);
            all.users.push(record.user);
            all.roles.push(record.role);
            all.purposes.push(record.purpose);
            all.acts.push(record.act);
            all.requests.push(record.request);
            all.accessors.push(record.accessor);
            all.ingresses.push(record.ingress);
            all.epochs.push(record.epoch);
            all.actions.push(record.access.action.as_str());
            all.entities.push(record.access.entity);
            all.entity_ids.push(record.access.entity_id.map(RecordId::uuid));
            all.patients.push(record.access.patient.map(PatientId::uuid));
            all.outcomes.push(record.access.outcome.as_str());
            all.grants.push(record.glass);
        }
        all
    }

    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 18] {
        [
            &self.ids,
            &self.ats,
            &self.orgs,
            &self.keys,
            &self.users,
            &self.roles,
            &self.purposes,
            &self.acts,
            &self.requests,
            &self.accessors,
            &self.ingresses,
            &self.epochs,
            &self.actions,
            &self.entities,
            &self.entity_ids,
            &self.patients,
            &self.outcomes,
            &self.grants,
        ]
    }
}
