//! The access matrix as a file, and the list that the live API is compared with, say the same.

use std::collections::BTreeSet;

use super::route_coverage::{PURPOSES, ROLES, is_named, may, operations};
use tests::workspace::root;

/// What each operation that is not public does: its entity and action in the matrix.
const OPERATIONS: &[(&str, &str, &str)] = &[
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
    ("grant_consent", "consent", "create"),
    ("list_consents", "consent", "list"),
    ("read_consent", "consent", "read"),
    ("revoke_consent", "consent", "revoke"),
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
    ("list_providers", "provider", "list"),
    ("read_provider", "provider", "read"),
    ("create_provider", "provider", "create"),
    ("replace_provider", "provider", "update"),
    ("create_user", "user", "create"),
    ("list_users", "user", "list"),
    ("read_user", "user", "read"),
    ("update_user", "user", "update"),
    ("deactivate_user", "user", "delete"),
    ("invite_user", "invitation", "create"),
    ("read_sessions", "session", "list"),
    ("end_session", "session", "delete"),
    ("enrol_authenticator", "authenticator", "create"),
    ("confirm_authenticator", "authenticator", "update"),
    ("change_password", "authenticator", "update"),
    ("link_provider", "authenticator", "create"),
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
    ("test_policies", "policy", "search"),
];

/// Whether the file allows it to somebody of the same organisation, who shows one factor. The empty purpose is that of
/// what is no PHI.
fn file_allows(file: &str, role: &str, (entity, action): (&str, &str), purpose: &str) -> bool {
    file.lines().filter(|line| !line.starts_with('#')).any(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [who, on, actions, purposes, relationship, _, _, needs] = cells[..] else {
            panic!("a short line: {line}")
        };
        let named = |list: &str, word: &str| list.split(',').any(|one| one == word);
        who == role
            && on == entity
            && named(actions, action)
            && matches!(relationship, "any" | "organisation")
            && !named(needs, "assurance")
            && (named(purposes, purpose) || (purposes == "-" && purpose.is_empty()))
    })
}

/// Where the two differ, as sentences, and how many cells were compared.
fn differences(file: &str) -> (Vec<String>, usize) {
    let (mut found, mut cells) = (Vec::new(), 0);
    for &(operation, entity, action) in OPERATIONS {
        let lines = || file.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let phi = lines().any(|cells| cells.get(1) == Some(&entity) && cells.get(3) != Some(&"-"));
        let purposes = if phi { PURPOSES } else { &[""] };
        for role in ROLES {
            for purpose in purposes {
                let of_file = file_allows(file, role, (entity, action), purpose);
                let of_list = may(operation, role, purpose);
                cells += 1;
                if of_file != of_list {
                    found.push(format!(
                        "{operation} as {role} for {purpose:?}: {of_file} in the file, {of_list} live"
                    ));
                }
            }
        }
    }
    (found, cells)
}

#[tokio::test]
async fn the_file_and_the_live_api_say_the_same() {
    let file = std::fs::read_to_string(root().join("node/policy/matrix.tsv")).expect("the matrix");
    let (found, cells) = differences(&file);
    assert_eq!(found, Vec::<String>::new());
    assert!(cells > 800, "only {cells} cells");
    let live: BTreeSet<String> =
        operations().await.into_iter().map(|operation| operation.id).filter(|id| is_named(id)).collect();
    let listed: BTreeSet<String> = OPERATIONS.iter().map(|(id, _, _)| (*id).to_owned()).collect();
    assert_eq!(live, listed, "every operation has its place in the matrix");
}

#[test]
fn a_line_that_is_changed_is_found() {
    let file = std::fs::read_to_string(root().join("node/policy/matrix.tsv")).expect("the matrix");
    for (from, to) in [
        ("provider\tencounter\tcreate,read", "provider\tencounter\tread"),
        ("auditor\tpatient\tread,list\tHOPERAT", "auditor\tpatient\tread,list\tTREAT"),
        ("org_admin\tuser\tcreate", "marketer\tuser\tcreate"),
    ] {
        let changed = file.replacen(from, to, 1);
        assert_ne!(changed, file, "{from}");
        assert!(!differences(&changed).0.is_empty(), "{to}");
    }
}
