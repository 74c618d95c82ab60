//! The canonical bytes of an access record: what its leaf in the region's audit log commits to.
//!
//! A leaf is a hash of the record's salt and these bytes, so whoever is shown a record and its salt can compute the leaf
//! with a SHA-256 and this description, and needs no program of ours.
//!
//! # `domicile-audit-record/v1`
//!
//! The 25 bytes `domicile-audit-record/v1\n`, then every field of [`AuditRecord`] but `salt`, in the order in which they
//! are declared there. A field is its length plus one as an unsigned LEB128 number (7 bits a byte, the lowest first, the
//! top bit set in all but the last, no padding), then that many bytes less one. A field that is absent is the number 0.
//!
//! | kind    | bytes |
//! | ------- | ----- |
//! | uuid    | its 16 bytes, in network order (RFC 9562) |
//! | time    | microseconds since 1970-01-01T00:00:00Z, a signed 64-bit number, the highest byte first |
//! | epoch   | a signed 64-bit number, the highest byte first |
//! | text    | UTF-8, as it is: nothing is normalised |
//! | address | 4 bytes (IPv4) or 16 (IPv6), in network order |
//! | digest  | as it is |
//! | list    | its items one after another, each written like a field of text |
//!
//! Nothing else is in it: not the transaction's number, which is the database's and changes when a table is restored.
//!
//! The alternative was JSON by RFC 8785. It is three times as long, and the hash is most of what verification costs; and
//! two programs agree on it only as far as they agree on numbers, escapes and Unicode. Here no two records have the same
//! bytes, because each length stands before what it measures, and there is nothing to agree on but the order.

use std::net::IpAddr;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{Error, Row};

/// What the bytes of this version begin with. Another set or order of fields is another version.
pub const HEADER: &[u8; 25] = b"domicile-audit-record/v1\n";

/// The columns that [`AuditRecord::of`] reads.
pub const COLUMNS: &str =
    "id, at, org_id, key_id, user_id, role, on_behalf_kind, on_behalf_of, purpose, act, action,
    entity, entity_id, patient_id, category, query_mac, outcome, rules, request_id, client_ip, device_id, home,
    service_jurisdiction, accessor, ingress, home_epoch, grant_id, salt";

/// One row of the access log, as it is read back from Postgres. The order of the fields is that of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord<'a> {
    /// Id of the record: a UUIDv7 since version 2026112350 of the schema, random before.
    pub id: Uuid,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// The organisation that acted.
    pub org: Uuid,
    /// The session or API key that was used.
    pub key: Uuid,
    /// Whose credential it was, if it was a person's.
    pub user: Option<Uuid>,
    /// As what they acted.
    pub role: &'a str,
    /// For whom they acted, if not for themselves: `organisation` or `patient`.
    pub on_behalf_kind: Option<&'a str>,
    /// Which organisation or patient that is.
    pub on_behalf_of: Option<Uuid>,
    /// Why, as an HL7 v3-ActReason code.
    pub purpose: &'a str,
    /// The act's name in the program.
    pub act: &'a str,
    /// What was done, such as `read`.
    pub action: &'a str,
    /// To what kind of record.
    pub entity: &'a str,
    /// To which record.
    pub entity_id: Option<Uuid>,
    /// Whose record.
    pub patient: Option<Uuid>,
    /// The legal category of what was asked for.
    pub category: Option<&'a str>,
    /// Of a search or a list: a keyed hash of what was asked.
    pub query_mac: Option<&'a [u8]>,
    /// How it ended.
    pub outcome: &'a str,
    /// The stable ids of the rules that decided, in their order.
    pub rules: Option<Vec<&'a str>>,
    /// The request.
    pub request: Uuid,
    /// The address that the request came from, as far as proxies are trusted to say it.
    pub client_ip: Option<IpAddr>,
    /// The device that the request showed, if it is known as the caller's.
    pub device: Option<Uuid>,
    /// Where the record rests.
    pub home: Option<&'a str>,
    /// Where the patient was at the visit.
    pub service: Option<&'a str>,
    /// Where the caller said they were.
    pub accessor: Option<&'a str>,
    /// Where the bytes entered the cluster.
    pub ingress: Option<&'a str>,
    /// The epoch that it was fenced at.
    pub home_epoch: Option<i64>,
    /// The break-glass grant that it was under.
    pub grant: Option<Uuid>,
    /// Random bytes, for the leaf. Not in the canonical bytes.
    pub salt: [u8; 32],
}

impl<'a> AuditRecord<'a> {
    /// Reads a row that has [`COLUMNS`].
    ///
    /// # Errors
    /// A column is not there or is of another type; it is named.
    pub fn of(row: &'a Row) -> Result<Self, Error> {
        let salt: &[u8] = row.get("salt")?;
        Ok(Self {
            id: row.get("id")?,
            at: row.get("at")?,
            org: row.get("org_id")?,
            key: row.get("key_id")?,
            user: row.get("user_id")?,
            role: row.get("role")?,
            on_behalf_kind: row.get("on_behalf_kind")?,
            on_behalf_of: row.get("on_behalf_of")?,
            purpose: row.get("purpose")?,
            act: row.get("act")?,
            action: row.get("action")?,
            entity: row.get("entity")?,
            entity_id: row.get("entity_id")?,
            patient: row.get("patient_id")?,
            category: row.get("category")?,
            query_mac: row.get("query_mac")?,
            outcome: row.get("outcome")?,
            rules: row.get("rules")?,
            request: row.get("request_id")?,
            client_ip: row.get("client_ip")?,
            device: row.get("device_id")?,
            home: row.get("home")?,
            service: row.get("service_jurisdiction")?,
            accessor: row.get("accessor")?,
            ingress: row.get("ingress")?,
            home_epoch: row.get("home_epoch")?,
            grant: row.get("grant_id")?,
            salt: salt.try_into().map_err(|_| Error::Row { column: "salt" })?,
        })
    }

    /// Appends the canonical bytes.
    pub fn append_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(HEADER);
        let mut put = |value: Option<&[u8]>| put(out, value);
        put(Some(self.id.as_bytes()));
        put(Some(&self.at.as_microsecond().to_be_bytes()));
        put(Some(self.org.as_bytes()));
        put(Some(self.key.as_bytes()));
        put(self.user.as_ref().map(uuid));
        put(Some(self.role.as_bytes()));
        put(self.on_behalf_kind.map(str::as_bytes));
        put(self.on_behalf_of.as_ref().map(uuid));
        put(Some(self.purpose.as_bytes()));
        put(Some(self.act.as_bytes()));
        put(Some(self.action.as_bytes()));
        put(Some(self.entity.as_bytes()));
        put(self.entity_id.as_ref().map(uuid));
        put(self.patient.as_ref().map(uuid));
        put(self.category.map(str::as_bytes));
        put(self.query_mac);
        put(Some(self.outcome.as_bytes()));
        put(self.rules.as_deref().map(list).as_deref());
        put(Some(self.request.as_bytes()));
        match self.client_ip {
            Some(IpAddr::V4(address)) => put(Some(&address.octets())),
            Some(IpAddr::V6(address)) => put(Some(&address.octets())),
            None => put(None),
        }
        put(self.device.as_ref().map(uuid));
        put(self.home.map(str::as_bytes));
        put(self.service.map(str::as_bytes));
        put(self.accessor.map(str::as_bytes));
        put(self.ingress.map(str::as_bytes));
        put(self.home_epoch.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
        put(self.grant.as_ref().map(uuid));
    }

    /// The canonical bytes.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.append_canonical(&mut out);
        out
    }
}

fn uuid(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

fn list(items: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for item in items {
        put(&mut all, Some(item.as_bytes()));
    }
    all
}

fn put(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let mut number = value.map_or(0, |value| value.len() + 1);
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
    out.extend_from_slice(value.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> AuditRecord<'static> {
        AuditRecord {
            id: Uuid::from_u128(0x019a_a800_0000_7000_8000_0000_0000_0001),
            at: Timestamp::from_microsecond(1_763_856_000_123_456).expect("a time"),
            org: Uuid::from_u128(2),
            key: Uuid::from_u128(3),
            user: Some(Uuid::from_u128(4)),
            role: "provider",
            on_behalf_kind: Some("organisation"),
            on_behalf_of: Some(Uuid::from_u128(5)),
            purpose: "TREAT",
            act: "patients.get",
            action: "read",
            entity: "patient",
            entity_id: Some(Uuid::from_u128(6)),
            patient: Some(Uuid::from_u128(6)),
            category: Some("general"),
            query_mac: Some(&[0xab; 32]),
            outcome: "done",
            rules: Some(vec!["care.read", "org.own"]),
            request: Uuid::from_u128(7),
            client_ip: Some(IpAddr::from([192, 0, 2, 1])),
            device: Some(Uuid::from_u128(8)),
            home: Some("US-TX"),
            service: Some("US-TX"),
            accessor: Some("US-NY"),
            ingress: Some("US-CA"),
            home_epoch: Some(9),
            grant: Some(Uuid::from_u128(10)),
            salt: [0; 32],
        }
    }

    fn hex(bytes: &[u8]) -> String {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    }

    // Computed by hand from the description above, in another language.
    const FULL: &str = "646f6d6963696c652d61756469742d7265636f72642f76310a11019aa8000000700080000000000000010900064437ba5282\
        4011000000000000000000000000000000021100000000000000000000000000000003110000000000000000000000000000\
        00040970726f76696465720d6f7267616e69736174696f6e11000000000000000000000000000000050654524541540d7061\
        7469656e74732e67657405726561640870617469656e74110000000000000000000000000000000611000000000000000000\
        000000000000060867656e6572616c21abababababababababababababababababababababababababababababababab0564\
        6f6e65130a636172652e72656164086f72672e6f776e110000000000000000000000000000000705c0000201110000000000\
        00000000000000000000080655532d54580655532d54580655532d4e590655532d4341090000000000000009110000000000\
        000000000000000000000a";
    const SPARSE: &str = "646f6d6963696c652d61756469742d7265636f72642f76310a11019aa8000000700080000000000000010900064437ba5282\
        4011000000000000000000000000000000021100000000000000000000000000000003000970726f76696465720000065452\
        4541540d70617469656e74732e67657405726561640870617469656e740000000005646f6e65001100000000000000000000\
        0000000000070000000000000000";

    #[test]
    fn the_bytes_of_version_1_never_change() {
        assert_eq!(hex(&full().canonical()), FULL);
    }

    #[test]
    fn what_is_absent_is_not_what_is_empty() {
        let sparse = AuditRecord {
            user: None,
            on_behalf_kind: None,
            on_behalf_of: None,
            entity_id: None,
            patient: None,
            category: None,
            query_mac: None,
            rules: None,
            client_ip: None,
            device: None,
            home: None,
            service: None,
            accessor: None,
            ingress: None,
            home_epoch: None,
            grant: None,
            ..full()
        };
        assert_eq!(hex(&sparse.canonical()), SPARSE);
        let empty = AuditRecord { rules: Some(Vec::new()), ..sparse.clone() };
        assert_ne!(empty.canonical(), sparse.canonical());
    }

    #[test]
    fn what_is_long_is_measured_in_more_than_one_byte() {
        let act = "a".repeat(300);
        let record = AuditRecord { act: &act, ..full() };
        // 301 is 0b10_0101101: first the low seven bits with the top bit set, then the rest.
        let at = record.canonical().windows(3).position(|three| three == [0xad, 0x02, b'a']);
        assert!(at.is_some());
    }

    #[test]
    fn every_field_counts_and_the_salt_does_not() {
        let plain = full().canonical();
        let other = Uuid::from_u128(99);
        let changed = [
            AuditRecord { id: other, ..full() },
            AuditRecord { at: Timestamp::UNIX_EPOCH, ..full() },
            AuditRecord { org: other, ..full() },
            AuditRecord { key: other, ..full() },
            AuditRecord { user: Some(other), ..full() },
            AuditRecord { role: "x", ..full() },
            AuditRecord { on_behalf_kind: Some("patient"), ..full() },
            AuditRecord { on_behalf_of: Some(other), ..full() },
            AuditRecord { purpose: "x", ..full() },
            AuditRecord { act: "x", ..full() },
            AuditRecord { action: "x", ..full() },
            AuditRecord { entity: "x", ..full() },
            AuditRecord { entity_id: Some(other), ..full() },
            AuditRecord { patient: Some(other), ..full() },
            AuditRecord { category: Some("x"), ..full() },
            AuditRecord { query_mac: Some(&[0; 32]), ..full() },
            AuditRecord { outcome: "x", ..full() },
            AuditRecord { rules: Some(vec!["care.readorg.own"]), ..full() },
            AuditRecord { request: other, ..full() },
            AuditRecord { client_ip: Some(IpAddr::from([0; 16])), ..full() },
            AuditRecord { device: Some(other), ..full() },
            AuditRecord { home: Some("US-CA"), ..full() },
            AuditRecord { service: Some("US-CA"), ..full() },
            AuditRecord { accessor: Some("US-CA"), ..full() },
            AuditRecord { ingress: Some("US-TX"), ..full() },
            AuditRecord { home_epoch: Some(0), ..full() },
            AuditRecord { grant: Some(other), ..full() },
        ];
        for (at, record) in changed.iter().enumerate() {
            assert_ne!(record.canonical(), plain, "field {at}");
        }
        assert_eq!(AuditRecord { salt: [1; 32], ..full() }.canonical(), plain);
    }
}
