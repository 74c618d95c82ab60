//! The access matrix, driven through the live API: every operation as every role for every purpose, beside the file.

use std::collections::BTreeSet;
use std::fs;

use residency_policy::{Purpose, Role};
use tests::cluster::{Cluster, shared};
use tests::workspace::root;

use super::route_coverage::{Operation, ask, is_public, operations};

/// What each operation that is not public does: its entity and action in the matrix.
pub(crate) const OPERATIONS: &[(&str, &str, &str)] = &[
    ("create_patient", "patient", "create"),
    ("list_patients", "patient", "list"),
    ("search_patients", "patient", "search"),
    ("read_patient", "patient", "read"),
    ("update_patient", "patient", "update"),
    ("delete_patient", "patient", "delete"),
    ("open_encounter", "encounter", "create"),
    ("list_encounters", "encounter", "list"),
    ("read_encounter", "encounter", "read"),
    ("amend_encounter", "encounter", "update"),
    ("sign_encounter", "encounter", "sign"),
    ("add_addendum", "encounter", "annotate"),
    ("open_segregated_encounter", "encounter", "create"),
    ("list_segregated_encounters", "encounter", "list"),
    ("read_segregated_encounter", "encounter", "read"),
    ("amend_segregated_encounter", "encounter", "update"),
    ("sign_segregated_encounter", "encounter", "sign"),
    ("add_segregated_addendum", "encounter", "annotate"),
    ("break_glass", "break_glass", "create"),
    ("list_break_glass_reviews", "break_glass", "list"),
    ("review_break_glass", "break_glass", "update"),
    ("invite_patient", "patient_login", "create"),
    ("suspend_patient_login", "patient_login", "delete"),
    ("grant_consent", "consent", "create"),
    ("list_consents", "consent", "list"),
    ("read_consent", "consent", "read"),
    ("revoke_consent", "consent", "revoke"),
    ("list_purposes", "audit_event", "list"),
    ("list_audit_events", "audit_event", "list"),
    ("list_disclosures", "audit_event", "list"),
    ("book_appointment", "appointment", "create"),
    ("list_appointments", "appointment", "list"),
    ("read_appointment", "appointment", "read"),
    ("reschedule_appointment", "appointment", "update"),
    ("cancel_appointment", "appointment", "update"),
    ("join_waitlist", "waitlist", "create"),
    ("list_waitlist", "waitlist", "list"),
    ("leave_waitlist", "waitlist", "delete"),
    ("read_calendar", "calendar", "read"),
    ("put_calendar", "calendar", "update"),
    ("find_slots", "calendar", "list"),
    ("hold_slot", "hold", "create"),
    ("read_hold", "hold", "read"),
    ("release_hold", "hold", "delete"),
    ("list_regions", "region", "list"),
    ("list_organisations", "organisation", "list"),
    ("read_organisation", "organisation", "read"),
    ("create_organisation", "organisation", "create"),
    ("update_organisation", "organisation", "update"),
    ("close_organisation", "organisation", "delete"),
    ("read_legal_basis", "legal_basis", "read"),
    ("replace_legal_basis", "legal_basis", "update"),
    ("remove_legal_basis", "legal_basis", "delete"),
    ("list_providers", "provider", "list"),
    ("read_provider", "provider", "read"),
    ("create_provider", "provider", "create"),
    ("replace_provider", "provider", "update"),
    ("create_user", "user", "create"),
    ("list_users", "user", "list"),
    ("read_user", "user", "read"),
    ("update_user", "user", "update"),
    ("deactivate_user", "user", "delete"),
    ("bind_clinician", "user", "update"),
    ("invite_user", "invitation", "create"),
    ("read_sessions", "session", "list"),
    ("end_session", "session", "delete"),
    ("enrol_authenticator", "authenticator", "create"),
    ("confirm_authenticator", "authenticator", "update"),
    ("change_password", "authenticator", "update"),
    ("step_up", "authenticator", "update"),
    ("link_provider", "authenticator", "create"),
    ("begin_passkey", "authenticator", "create"),
    ("enrol_passkey", "authenticator", "create"),
    ("read_passkeys", "authenticator", "list"),
    ("remove_passkey", "authenticator", "delete"),
    ("read_identity_providers", "identity_provider", "list"),
    ("create_identity_provider", "identity_provider", "create"),
    ("update_identity_provider", "identity_provider", "update"),
    ("delete_identity_provider", "identity_provider", "delete"),
    ("test_identity_provider", "identity_provider", "read"),
    ("unlink_user", "identity_provider", "update"),
    ("read_sign_in_settings", "sign_in_settings", "read"),
    ("replace_sign_in_settings", "sign_in_settings", "update"),
    ("read_api_keys", "api_key", "list"),
    ("issue_api_key", "api_key", "create"),
    ("rotate_api_key", "api_key", "update"),
    ("revoke_api_key", "api_key", "delete"),
    ("read_devices", "sign_in_device", "list"),
    ("admit_device", "sign_in_device", "update"),
    ("remove_device", "sign_in_device", "delete"),
    ("test_policies", "policy", "search"),
];

/// One line of the file.
struct Line<'f>(Vec<&'f str>);

impl<'f> Line<'f> {
    fn all(file: &'f str) -> impl Iterator<Item = Self> {
        file.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), 8, "a short line: {line}");
            Self(cells)
        })
    }

    fn names(&self, column: usize, word: &str) -> bool {
        self.0[column].split(',').any(|one| one == word)
    }
}

/// The file.
pub(crate) fn matrix() -> String {
    fs::read_to_string(root().join("node/policy/matrix.tsv")).expect("the matrix")
}

/// Whether the file allows it to somebody of the same organisation, who shows one factor. The empty purpose is that of
/// what is no PHI.
pub(crate) fn file_allows(file: &str, role: &str, (entity, action): (&str, &str), purpose: &str) -> bool {
    Line::all(file).any(|line| {
        line.names(0, role)
            && line.names(1, entity)
            && line.names(2, action)
            && (line.names(4, "any") || line.names(4, "organisation"))
            && !line.names(7, "assurance")
            && (line.names(3, purpose) || (line.names(3, "-") && purpose.is_empty()))
    })
}

/// Whether the file allows it to somebody who is the patient it is about. What is no PHI has nothing to do with them.
pub(crate) fn file_allows_own(file: &str, (entity, action): (&str, &str), purpose: &str) -> bool {
    Line::all(file).any(|line| {
        line.names(0, "patient")
            && line.names(1, entity)
            && line.names(2, action)
            && line.names(4, "self")
            && line.names(3, purpose)
    })
}

/// What was compared, and where the live API does not do what the file says, as sentences.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) allowed: usize,
    pub(crate) refused: usize,
    pub(crate) wrong: Vec<String>,
}

/// Asks the node of a region for every operation that is wanted, as every role, for every purpose, and compares what it
/// answers with the file.
pub(crate) async fn compare(cluster: &Cluster, region: &str, wanted: impl Fn(&Operation) -> bool) -> Compared {
    let file = matrix();
    let region = cluster.region(region).clone();
    let mut compared = Compared::default();
    for operation in operations().await.iter().filter(|o| !is_public(o) && wanted(o)) {
        let cell = OPERATIONS.iter().find(|(id, _, _)| *id == operation.id);
        let &(_, entity, action) = cell.unwrap_or_else(|| panic!("{operation:?} has no place in the matrix"));
        let purposes: Vec<&str> = if operation.phi {
            Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect()
        } else {
            vec![""]
        };
        for role in Role::ALL.iter().map(|role| role.as_str()) {
            let client = cluster.client_at(&region.name, role, &region.jurisdiction);
            for purpose in &purposes {
                let client = client.purpose(purpose);
                let asking = ask(&client, operation);
                let asking = if operation.phi { asking } else { asking.without("purpose-of-use") };
                let answer = asking.send().await.expect("an answer");
                let status = answer.status.as_u16();
                let forbidden = status == 403 && answer.problem(403).is_ok_and(|slug| slug == "forbidden");
                let (right, count) = if file_allows(&file, role, (entity, action), purpose) {
                    (!matches!(status, 401 | 403 | 429 | 500..), &mut compared.allowed)
                } else {
                    (forbidden, &mut compared.refused)
                };
                *count += 1;
                if !right {
                    let of = format!("{} as {role} for {purpose:?}", operation.id);
                    compared.wrong.push(format!("{of}: {status} {}", answer.text()));
                }
            }
        }
    }
    compared
}

#[tokio::test]
async fn every_role_may_do_for_every_purpose_what_the_file_says_and_nothing_else() {
    let live: BTreeSet<String> =
        operations().await.into_iter().filter(|o| !is_public(o)).map(|operation| operation.id).collect();
    let listed: BTreeSet<String> = OPERATIONS.iter().map(|(id, _, _)| (*id).to_owned()).collect();
    assert_eq!(live, listed, "every operation has its place in the matrix");

    let compared = compare(shared(), "ca", |_| true).await;
    assert_eq!(compared.wrong, Vec::<String>::new());
    let Compared { allowed, refused, .. } = compared;
    assert!(allowed > 150 && refused > 3_000, "{allowed} allowed, {refused} refused");
}
