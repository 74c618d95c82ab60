//! Every table, and whose its rows are.

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Whether its rows belong to organisations, which row-level security then keeps apart.
    pub tenant: bool,
}

/// Every table, except refinery's own history.
pub const TABLES: &[Table] = &[
    Table { name: "access_log", tenant: true },
    Table { name: "appointments", tenant: true },
    Table { name: "audit_checkpoints", tenant: false },
    Table { name: "audit_leaves", tenant: false },
    Table { name: "audit_lease", tenant: false },
    Table { name: "audit_tiles", tenant: false },
    Table { name: "booking_handles", tenant: true },
    Table { name: "booking_work", tenant: true },
    Table { name: "break_glass_grants", tenant: true },
    Table { name: "consents", tenant: true },
    Table { name: "encounter_addenda", tenant: true },
    Table { name: "encounters", tenant: true },
    Table { name: "id_pool", tenant: false },
    Table { name: "idempotency_records", tenant: true },
    Table { name: "outbox", tenant: true },
    Table { name: "patient_home", tenant: false },
    Table { name: "patient_index", tenant: true },
    Table { name: "patients", tenant: true },
    Table { name: "patients_history", tenant: true },
    Table { name: "portal_accounts", tenant: true },
    Table { name: "portal_invitations", tenant: true },
    Table { name: "portal_sessions", tenant: true },
    Table { name: "region_keyring", tenant: false },
    Table { name: "region_stamp", tenant: false },
    Table { name: "waitlist", tenant: true },
];
