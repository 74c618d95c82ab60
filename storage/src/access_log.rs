//! The access log: who did what to whose record, written in the transaction that did it.

use residency_policy::{PatientId, RecordId};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::RegionTx;

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

    /// The same with another ending.
    #[must_use]
    pub const fn ended(self, outcome: AccessOutcome) -> Self {
        Self { outcome, ..self }
    }
}

pub(crate) const INSERT_ACCESS: &str = "INSERT INTO access_log (id, at, org_id, key_id, role, purpose, act, request_id,
        accessor, ingress, home_epoch, action, entity, entity_id, patient_id, outcome)
    SELECT a.id, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, a.action, a.entity, a.entity_id, a.patient_id, a.outcome
    FROM unnest($11::uuid[], $12::text[], $13::text[], $14::uuid[], $15::uuid[], $16::text[])
        AS a (id, action, entity, entity_id, patient_id, outcome)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("access_log.insert", INSERT_ACCESS)];

/// Sends all records of a transaction as one statement.
pub(crate) async fn insert(
    tx: &RegionTx,
    client: &Client,
    statement: &Statement,
    accesses: &[Access],
) -> Result<u64, tokio_postgres::Error> {
    let scope = tx.scope();
    let id = |_: &Access| RecordId::random(tx.pool.0.entropy.as_ref()).uuid();
    let ids: Vec<_> = accesses.iter().map(id).collect();
    let actions: Vec<_> = accesses.iter().map(|a| a.action.as_str()).collect();
    let entities: Vec<_> = accesses.iter().map(|a| a.entity).collect();
    let entity_ids: Vec<_> = accesses.iter().map(|a| a.entity_id.map(RecordId::uuid)).collect();
    let patients: Vec<_> = accesses.iter().map(|a| a.patient.map(PatientId::uuid)).collect();
    let outcomes: Vec<_> = accesses.iter().map(|a| a.outcome.as_str()).collect();
    let (org, key, request) = (scope.org.uuid(), scope.key.uuid(), scope.request.uuid());
    let accessor = scope.accessor.map(|accessor| accessor.0.code());
    let ingress = scope.via.map(|ingress| ingress.0.code());
    let epoch = tx.epoch().map(|epoch| i64::from(epoch.0));
    let params: [&(dyn ToSql + Sync); 16] = [
        &tx.now(),
        &org,
        &key,
        &scope.role.as_str(),
        &scope.purpose.as_str(),
        &tx.act(),
        &request,
        &accessor,
        &ingress,
        &epoch,
        &ids,
        &actions,
        &entities,
        &entity_ids,
        &patients,
        &outcomes,
    ];
    client.execute(statement, &params).await
}
