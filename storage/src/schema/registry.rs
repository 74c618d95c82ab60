//! What every column is: the data dictionary that the schema is held to. A column that is not here fails a test, so
//! nobody adds one without saying what it holds and in which form it rests.

use residency_policy::Role;

use super::shown_to::{CARE, CLINICIAN, DEMOGRAPHICS, GLASS, LEDGER, NOBODY, RECORD, REVIEW, VISIT};
use Class::{Operational, Phi, Pseudonym};
use Form::{Blind, Clear, Sealed};

/// What a value says about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is about a person's identity, health, care or payment.
    Phi,
    /// A random id or a keyed hash: says something only together with what is kept elsewhere.
    Pseudonym,
    /// It is about the program's work.
    Operational,
}

/// How a value rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// AES-256-GCM under the data key of patient and category. The column ends in `_sealed`.
    Sealed,
    /// A keyed hash of the normalised value. The column ends in `_blind`.
    Blind,
    /// As it is.
    Clear,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its table.
    pub table: &'static str,
    /// Its name.
    pub column: &'static str,
    /// What it says about a person.
    pub class: Class,
    /// How it rests.
    pub form: Form,
    /// Who may be shown the opened value, for some purpose. Empty: nobody.
    pub roles: &'static [Role],
    /// Which of the 18 identifiers of 45 CFR 164.514(b)(2)(i) it is, counted A = 1 to R = 18.
    pub hipaa: Option<u8>,
}

const NAMES: Option<u8> = Some(1);
const GEOGRAPHY: Option<u8> = Some(2);
const DATES: Option<u8> = Some(3);
const PHONE: Option<u8> = Some(4);
const EMAIL: Option<u8> = Some(6);
const RECORD_NUMBER: Option<u8> = Some(8);
const ADDRESS: Option<u8> = Some(15);
const OTHER_CODE: Option<u8> = Some(18);

macro_rules! registry {
    ($($table:literal { $($column:literal $class:ident $form:ident $roles:ident $hipaa:expr;)+ })+) => {
        /// Every column of every table.
        pub const REGISTRY: &[Field] = &[$($(Field {
            table: $table,
            column: $column,
            class: $class,
            form: $form,
            roles: $roles,
            hipaa: $hipaa,
        },)+)+];
    };
}

// Times of day and dates of service in the clear are PHI (164.514(b)(2)(i)(C)) that the region's own Postgres needs
// for order and retention; volume encryption and row-level security stand before them.
registry! {
    "region_stamp" {
        "only_row" Operational Clear NOBODY None;
        "cluster" Operational Clear NOBODY None;
        "region" Operational Clear NOBODY None;
        "stamped_at" Operational Clear NOBODY None;
    }
    "region_keyring" {
        "only_row" Operational Clear NOBODY None;
        "index_key" Operational Clear NOBODY None;
    }
    "audit_lease" {
        "only_row" Operational Clear NOBODY None;
        "node" Operational Clear NOBODY None;
        "token" Operational Clear NOBODY None;
        "expires_at" Operational Clear NOBODY None;
    }
    // Salted commitments: of whom a record is cannot be told from them.
    "audit_leaves" {
        "leaf_index" Operational Clear NOBODY None;
        "xid" Operational Clear NOBODY None;
        "record_id" Operational Clear NOBODY None;
        "entry" Operational Clear NOBODY None;
        "token" Operational Clear NOBODY None;
    }
    "audit_tiles" {
        "level" Operational Clear NOBODY None;
        "number" Operational Clear NOBODY None;
        "hashes" Operational Clear NOBODY None;
        "root" Operational Clear NOBODY None;
    }
    "audit_checkpoints" {
        "size" Operational Clear NOBODY None;
        "root" Operational Clear NOBODY None;
        "note" Operational Clear NOBODY None;
        "token" Operational Clear NOBODY None;
        "signed_at" Operational Clear NOBODY None;
    }
    "patient_home" {
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "epoch" Operational Clear NOBODY None;
        "state" Operational Clear NOBODY None;
    }
    "id_pool" {
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "taken" Operational Clear NOBODY None;
    }
    "patients" {
        "id" Pseudonym Clear RECORD OTHER_CODE;
        "org_id" Operational Clear DEMOGRAPHICS None;
        "home_epoch" Operational Clear NOBODY None;
        "mrn_sealed" Phi Sealed DEMOGRAPHICS RECORD_NUMBER;
        "given_name_sealed" Phi Sealed DEMOGRAPHICS NAMES;
        "family_name_sealed" Phi Sealed DEMOGRAPHICS NAMES;
        "birth_date_sealed" Phi Sealed DEMOGRAPHICS DATES;
        "sex_sealed" Phi Sealed DEMOGRAPHICS None;
        "email_sealed" Phi Sealed DEMOGRAPHICS EMAIL;
        "phone_sealed" Phi Sealed DEMOGRAPHICS PHONE;
        "address_sealed" Phi Sealed DEMOGRAPHICS GEOGRAPHY;
        "address_jurisdiction_differs" Operational Clear DEMOGRAPHICS None;
        "version" Operational Clear DEMOGRAPHICS None;
        "created_at" Phi Clear RECORD DATES;
        "updated_at" Phi Clear RECORD DATES;
        "deleted_at" Phi Clear NOBODY DATES;
        "delete_reason" Operational Clear NOBODY None;
    }
    "patients_history" {
        "id" Pseudonym Clear NOBODY OTHER_CODE;
        "version" Operational Clear NOBODY None;
        "org_id" Operational Clear NOBODY None;
        "home_epoch" Operational Clear NOBODY None;
        "mrn_sealed" Phi Sealed NOBODY RECORD_NUMBER;
        "given_name_sealed" Phi Sealed NOBODY NAMES;
        "family_name_sealed" Phi Sealed NOBODY NAMES;
        "birth_date_sealed" Phi Sealed NOBODY DATES;
        "sex_sealed" Phi Sealed NOBODY None;
        "email_sealed" Phi Sealed NOBODY EMAIL;
        "phone_sealed" Phi Sealed NOBODY PHONE;
        "address_sealed" Phi Sealed NOBODY GEOGRAPHY;
        "address_jurisdiction_differs" Operational Clear NOBODY None;
        "updated_at" Phi Clear NOBODY DATES;
        "replaced_at" Phi Clear NOBODY DATES;
    }
    "patient_index" {
        "org_id" Operational Clear NOBODY None;
        "field" Operational Clear NOBODY None;
        "value_blind" Phi Blind NOBODY OTHER_CODE;
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
    }
    "encounters" {
        "id" Pseudonym Clear VISIT OTHER_CODE;
        "patient_id" Pseudonym Clear VISIT OTHER_CODE;
        "org_id" Operational Clear CARE None;
        "status" Operational Clear VISIT None;
        "category" Phi Clear CARE None;
        "service_jurisdiction" Phi Clear CARE None;
        "reason_sealed" Phi Sealed CLINICIAN None;
        "note_sealed" Phi Sealed CLINICIAN None;
        "diagnoses_sealed" Phi Sealed CLINICIAN None;
        "provider_npi" Operational Clear CARE None;
        "opened_at" Phi Clear VISIT DATES;
        "signed_at" Phi Clear VISIT DATES;
        "signed_by" Operational Clear CARE None;
        "content_sha256" Pseudonym Clear CARE OTHER_CODE;
        "version" Operational Clear CARE None;
    }
    "encounter_addenda" {
        "id" Pseudonym Clear CARE OTHER_CODE;
        "encounter_id" Pseudonym Clear CARE OTHER_CODE;
        "patient_id" Pseudonym Clear CARE OTHER_CODE;
        "org_id" Operational Clear CARE None;
        "body_sealed" Phi Sealed CLINICIAN None;
        "at" Phi Clear CARE DATES;
        "by" Operational Clear CARE None;
    }
    "appointments" {
        "id" Pseudonym Clear VISIT OTHER_CODE;
        "patient_id" Pseudonym Clear VISIT OTHER_CODE;
        "org_id" Operational Clear CARE None;
        "status" Operational Clear VISIT None;
        "provider_id" Operational Clear CARE None;
        "service_jurisdiction" Phi Clear CARE None;
        "kind" Operational Clear CARE None;
        "handle" Pseudonym Clear NOBODY OTHER_CODE;
        "starts_at" Phi Clear VISIT DATES;
        "ends_at" Phi Clear CARE DATES;
        "to_provider_id" Operational Clear CARE None;
        "to_handle" Pseudonym Clear NOBODY OTHER_CODE;
        "to_starts_at" Phi Clear CARE DATES;
        "to_ends_at" Phi Clear CARE DATES;
        "reason_sealed" Phi Sealed CARE None;
        "cancel_code" Operational Clear CARE None;
        "cancel_note_sealed" Phi Sealed CARE None;
        "failure" Operational Clear CARE None;
        "made_mac" Pseudonym Clear NOBODY None;
        "request_mac" Pseudonym Clear NOBODY None;
        "made_by" Operational Clear NOBODY None;
        "created_at" Phi Clear VISIT DATES;
        "updated_at" Phi Clear CARE DATES;
        "version" Operational Clear CARE None;
        "purpose" Operational Clear NOBODY None;
    }
    "booking_handles" {
        "handle" Pseudonym Clear NOBODY OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "appointment_id" Pseudonym Clear NOBODY OTHER_CODE;
    }
    "booking_work" {
        "id" Pseudonym Clear NOBODY OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "subject" Operational Clear NOBODY None;
        "handle" Pseudonym Clear NOBODY OTHER_CODE;
        "key_id" Operational Clear NOBODY None;
        "role" Operational Clear NOBODY None;
        "fence" Operational Clear NOBODY None;
        "resting" Operational Clear NOBODY None;
        "due_at" Operational Clear NOBODY None;
    }
    "waitlist" {
        "id" Pseudonym Clear CARE OTHER_CODE;
        "patient_id" Pseudonym Clear CARE OTHER_CODE;
        "org_id" Operational Clear CARE None;
        "status" Operational Clear CARE None;
        "handle" Pseudonym Clear NOBODY OTHER_CODE;
        "provider_id" Operational Clear CARE None;
        "specialty" Operational Clear CARE None;
        "service_jurisdiction" Phi Clear CARE None;
        "wanted_from" Phi Clear CARE DATES;
        "wanted_to" Phi Clear CARE DATES;
        "offer_provider_id" Operational Clear CARE None;
        "offer_handle" Pseudonym Clear CARE OTHER_CODE;
        "offer_starts_at" Phi Clear CARE DATES;
        "offer_ends_at" Phi Clear CARE DATES;
        "offer_until" Operational Clear CARE None;
        "outcome" Operational Clear CARE None;
        "request_mac" Pseudonym Clear NOBODY None;
        "made_by" Operational Clear NOBODY None;
        "created_at" Phi Clear CARE DATES;
        "updated_at" Phi Clear CARE DATES;
        "version" Operational Clear CARE None;
        "purpose" Operational Clear NOBODY None;
    }
    "access_log" {
        "xid" Operational Clear NOBODY None;
        "id" Operational Clear REVIEW None;
        "at" Phi Clear REVIEW DATES;
        "org_id" Operational Clear REVIEW None;
        "key_id" Operational Clear REVIEW None;
        "user_id" Operational Clear REVIEW None;
        "role" Operational Clear REVIEW None;
        "purpose" Operational Clear REVIEW None;
        "act" Operational Clear REVIEW None;
        "action" Operational Clear REVIEW None;
        "entity" Operational Clear REVIEW None;
        "entity_id" Pseudonym Clear REVIEW OTHER_CODE;
        "patient_id" Pseudonym Clear REVIEW OTHER_CODE;
        "outcome" Operational Clear REVIEW None;
        "request_id" Operational Clear REVIEW None;
        "accessor" Operational Clear REVIEW None;
        "ingress" Operational Clear REVIEW None;
        "home_epoch" Operational Clear REVIEW None;
        "grant_id" Pseudonym Clear REVIEW OTHER_CODE;
        "on_behalf_kind" Operational Clear REVIEW None;
        "on_behalf_of" Pseudonym Clear REVIEW OTHER_CODE;
        "category" Phi Clear REVIEW None;
        "query_mac" Pseudonym Clear REVIEW None;
        "rules" Operational Clear REVIEW None;
        "client_ip" Phi Clear REVIEW ADDRESS;
        "device_id" Pseudonym Clear REVIEW None;
        "home" Operational Clear REVIEW None;
        "service_jurisdiction" Phi Clear REVIEW None;
        "salt" Operational Clear REVIEW None;
    }
    "consents" {
        "id" Pseudonym Clear LEDGER OTHER_CODE;
        "patient_id" Pseudonym Clear LEDGER OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "grantee_org_id" Operational Clear LEDGER None;
        "purpose" Operational Clear LEDGER None;
        "category" Phi Clear LEDGER None;
        "evidence" Operational Clear LEDGER None;
        "reference_sealed" Phi Sealed LEDGER None;
        "text_version" Operational Clear LEDGER None;
        "locale" Operational Clear LEDGER None;
        "granted_at" Phi Clear LEDGER DATES;
        "expires_at" Phi Clear LEDGER DATES;
        "recorded_at" Phi Clear LEDGER DATES;
        "recorded_by" Operational Clear LEDGER None;
        "granted_word" Operational Clear NOBODY None;
        "revoked_at" Phi Clear LEDGER DATES;
        "revoked_by" Operational Clear LEDGER None;
        "revoked_word" Operational Clear NOBODY None;
        "revoked_evidence" Operational Clear LEDGER None;
        "revoked_reference_sealed" Phi Sealed LEDGER None;
    }
    "break_glass_grants" {
        "id" Pseudonym Clear GLASS OTHER_CODE;
        "patient_id" Pseudonym Clear GLASS OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "key_id" Operational Clear GLASS None;
        "user_id" Operational Clear GLASS None;
        "role" Operational Clear GLASS None;
        "purpose" Operational Clear GLASS None;
        "categories" Operational Clear GLASS None;
        "reason_code" Operational Clear GLASS None;
        "reason_sealed" Phi Sealed GLASS None;
        "granted_at" Phi Clear GLASS DATES;
        "expires_at" Phi Clear GLASS DATES;
        "reviewed_at" Phi Clear GLASS DATES;
        "reviewed_by" Operational Clear GLASS None;
        "verdict" Operational Clear GLASS None;
        "review_sealed" Phi Sealed GLASS None;
    }
    "portal_invitations" {
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "code_sha256" Operational Clear NOBODY None;
        "attempts_left" Operational Clear NOBODY None;
        "made_by" Operational Clear NOBODY None;
        "made_at" Phi Clear NOBODY DATES;
        "expires_at" Phi Clear CARE DATES;
    }
    "portal_accounts" {
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "id" Pseudonym Clear NOBODY OTHER_CODE;
        "email_sealed" Phi Sealed NOBODY EMAIL;
        "email_blind" Phi Blind NOBODY OTHER_CODE;
        "password_memory_kib" Operational Clear NOBODY None;
        "password_passes" Operational Clear NOBODY None;
        "password_lanes" Operational Clear NOBODY None;
        "password_salt" Operational Clear NOBODY None;
        "password_hash" Operational Clear NOBODY None;
        "failures" Operational Clear NOBODY None;
        "not_before" Phi Clear NOBODY DATES;
        "suspended_at" Phi Clear NOBODY DATES;
        "made_at" Phi Clear NOBODY DATES;
    }
    "portal_sessions" {
        "id" Pseudonym Clear NOBODY OTHER_CODE;
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "org_id" Operational Clear NOBODY None;
        "secret_sha256" Operational Clear NOBODY None;
        "begun_at" Phi Clear NOBODY DATES;
        "seen_at" Phi Clear NOBODY DATES;
        "ends_at" Phi Clear NOBODY DATES;
    }
    "idempotency_records" {
        "org_id" Operational Clear NOBODY None;
        "attempt_mac" Pseudonym Clear NOBODY None;
        "id" Operational Clear NOBODY None;
        "fingerprint" Pseudonym Clear NOBODY OTHER_CODE;
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "category" Phi Clear NOBODY None;
        "status" Operational Clear NOBODY None;
        "header_names" Operational Clear NOBODY None;
        "header_values" Pseudonym Clear NOBODY OTHER_CODE;
        "body_sealed" Phi Sealed NOBODY None;
        "answer_gone" Operational Clear NOBODY None;
        "created_at" Phi Clear NOBODY DATES;
    }
    "outbox" {
        "xid" Operational Clear NOBODY None;
        "id" Operational Clear NOBODY None;
        "org_id" Operational Clear NOBODY None;
        "name" Operational Clear NOBODY None;
        "version" Operational Clear NOBODY None;
        "patient_id" Pseudonym Clear NOBODY OTHER_CODE;
        "entity_id" Pseudonym Clear NOBODY OTHER_CODE;
        "at" Phi Clear NOBODY DATES;
    }
}
