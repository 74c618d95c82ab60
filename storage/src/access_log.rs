//! The access log: who did what to whose record, written in the transaction that did it, or, of what was only looked
//! at, before it is disclosed.

use std::net::IpAddr;

use jiff::Timestamp;
use residency_policy::{DeviceId, Entropy, Epoch, GrantId, Jurisdiction, PatientId, RecordId, UserId};
use tokio_postgres::types::ToSql;
use uuid::{Builder, Uuid};

use crate::{RegionPool, Rules, Scope};

macro_rules! logged {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
        }

        impl $name {
            /// The word in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What a word in the log means.
            pub fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

logged! {
    /// What was done.
    AccessAction {
        /// Made.
        Create = "create",
        /// Looked at.
        Read = "read",
        /// Changed.
        Update = "update",
        /// Removed from view.
        Delete = "delete",
        /// Searched for.
        Search = "search",
        /// Listed.
        List = "list",
        /// Copied out.
        Export = "export",
        /// Printed.
        Print = "print",
        /// Signed in, or tried to.
        SignIn = "sign-in",
        /// A policy was changed.
        Policy = "policy",
        /// A key was made, changed or destroyed.
        Key = "key",
    }
}

logged! {
    /// How it ended.
    AccessOutcome {
        /// It was done.
        Done = "done",
        /// Nothing was found.
        NotFound = "not-found",
        /// It was refused.
        Refused = "refused",
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
    /// Of a search or a list: a keyed digest of what was asked.
    pub query: Option<[u8; 32]>,
    /// Where the patient is or was at the visit that it is about.
    pub service: Option<Jurisdiction>,
}

impl Access {
    /// Something done to a kind of record as a whole, such as a search.
    pub const fn of(action: AccessAction, entity: &'static str) -> Self {
        let outcome = AccessOutcome::Done;
        Self { action, entity, entity_id: None, patient: None, outcome, query: None, service: None }
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

    /// The same of a visit in this jurisdiction.
    #[must_use]
    pub const fn at(self, service: Jurisdiction) -> Self {
        Self { service: Some(service), ..self }
    }
}

/// What a record is known by, and what hides it in its leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    /// A UUIDv7 (RFC 9562 section 5.7), whose 12 bits after the milliseconds are their fraction (section 6.2, method 3).
    pub(crate) id: Uuid,
    pub(crate) salt: [u8; 32],
}

impl Marks {
    pub(crate) fn new(at: Timestamp, entropy: &dyn Entropy) -> Self {
        let (mut random, mut salt) = ([0; 10], [0; 32]);
        entropy.fill(&mut random);
        entropy.fill(&mut salt);
        let fraction = at.as_microsecond().rem_euclid(1_000) * 4_096 / 1_000;
        let [high, low] = u16::try_from(fraction).unwrap_or_default().to_be_bytes();
        (random[0], random[1]) = (high, low);
        // Before 1970 nothing is recorded.
        let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
        Self { id: Builder::from_unix_timestamp_millis(millis, &random).into_uuid(), salt }
    }
}

/// Inserts records of several requests, which may be of several organisations.
pub(crate) const RECORD: &str = "SELECT record_accesses_whole($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("access_log.record", RECORD)];

/// One row of the log.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    marks: Marks,
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
    category: &'static str,
    rules: Option<Rules>,
    from: Option<IpAddr>,
    device: Option<Uuid>,
    on_behalf: Option<(&'static str, Uuid)>,
    home: &'static str,
    access: Access,
}

/// What the records of one read have in common, beside who asked.
#[derive(Debug, Clone)]
pub(crate) struct Under {
    pub(crate) act: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) home: Option<(PatientId, Epoch)>,
    pub(crate) glass: Option<GrantId>,
    /// What decided at the home; without, what decided before.
    pub(crate) rules: Option<Rules>,
}

/// The rows of one read.
pub(crate) fn records(pool: &RegionPool, scope: &Scope, under: Under, accesses: &[Access]) -> Vec<Record> {
    let Under { act, at, home, glass, rules } = under;
    let rules = rules.or_else(|| scope.circumstances.rules.clone());
    let record = |access: &Access| Record {
        marks: Marks::new(at, pool.0.entropy.as_ref()),
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
        category: scope.category.name(),
        rules: rules.clone(),
        from: scope.circumstances.from,
        device: scope.circumstances.device.map(DeviceId::uuid),
        on_behalf: scope.circumstances.on_behalf.map(|whom| (whom.kind(), whom.uuid())),
        home: pool.region().0.code(),
        access: *access,
    };
    accesses.iter().map(record).collect()
}

/// The rows of many reads, column by column: the parameters of [`RECORD`].
#[derive(Default)]
pub(crate) struct Columns<'a> {
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
    salts: Vec<&'a [u8]>,
    on_behalf_kinds: Vec<Option<&'static str>>,
    on_behalf_ofs: Vec<Option<Uuid>>,
    categories: Vec<&'static str>,
    queries: Vec<Option<&'a [u8]>>,
    rules: Vec<Option<&'a str>>,
    addresses: Vec<Option<IpAddr>>,
    devices: Vec<Option<Uuid>>,
    services: Vec<Option<&'static str>>,
    /// One region's: a pool has one recorder.
    home: Option<&'static str>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(records: impl Iterator<Item = &'a Record>) -> Self {
        let mut all = Self::default();
        for record in records {
            all.ids.push(record.marks.id);
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
            all.salts.push(&record.marks.salt);
            all.on_behalf_kinds.push(record.on_behalf.map(|(kind, _)| kind));
            all.on_behalf_ofs.push(record.on_behalf.map(|(_, whom)| whom));
            all.categories.push(record.category);
            all.queries.push(record.access.query.as_ref().map(<[u8; 32]>::as_slice));
            all.rules.push(record.rules.as_ref().map(Rules::as_str));
            all.addresses.push(record.from);
            all.devices.push(record.device);
            all.services.push(record.access.service.map(Jurisdiction::code));
            all.home = Some(record.home);
        }
        all
    }

    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 28] {
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
            &self.salts,
            &self.on_behalf_kinds,
            &self.on_behalf_ofs,
            &self.categories,
            &self.queries,
            &self.rules,
            &self.addresses,
            &self.devices,
            &self.services,
            &self.home,
        ]
    }
}

#[cfg(test)]
mod tests {
    use uuid::Version;

    use super::*;

    struct Same(u8);

    impl Entropy for Same {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill(self.0);
        }
    }

    #[test]
    fn ids_are_in_the_order_of_time_to_the_microsecond() {
        let at = |micros: i64| Timestamp::from_microsecond(1_763_856_000_123_000 + micros).expect("a time");
        // The random bits of the earlier one are the higher ones.
        let (early, late) = (Marks::new(at(456), &Same(0xff)), Marks::new(at(457), &Same(0)));
        assert!(early.id < late.id, "{} {}", early.id, late.id);
        assert_eq!(early.id.get_version(), Some(Version::SortRand));
        let seconds = early.id.get_timestamp().map(|time| time.to_unix().0);
        assert_eq!(seconds, Some(1_763_856_000));
        assert_ne!(early.salt, late.salt);
        assert_ne!(Marks::new(at(1), &Same(1)).id, Marks::new(at(1), &Same(2)).id);
    }
}
