//! The cells of the access matrix that need a second factor, driven as people who signed in with one.

use residency_policy::Role;
use tests::client::Client;
use tests::cluster::shared;

use super::access_matrix::{Compared, OPERATIONS, compare_as, file_allows, file_allows_assured, matrix};
use crate::journeys::tenants::Tenant;

/// The roles that somebody may have in a clinic.
const OF_A_CLINIC: [Role; 3] = [Role::Provider, Role::ProviderStaff, Role::OrgAdmin];

#[tokio::test]
async fn whoever_showed_two_factors_may_do_what_the_file_says_and_nothing_else() {
    let tenant = Tenant::new("Two Factor Clinic").await;
    let at = shared().region("ca").url.clone();
    let mut assured: Vec<(&str, Client)> = Vec::new();
    for role in OF_A_CLINIC {
        let token = tenant.sure_as(role).await;
        assured.push((role.as_str(), shared().nobody().at(&at).key(&token)));
    }
    let Compared { allowed, refused, wrong } = compare_as(&assured, file_allows_assured, |_| true).await;
    assert_eq!(wrong, Vec::<String>::new());
    assert!(allowed > 80 && refused > 800, "{allowed} allowed, {refused} refused");

    // The control: a second factor makes a difference, and the comparison sees it. With the administrator's key, which is
    // one factor, the same cells are refused.
    let file = matrix();
    let more = |entity: &str, action: &str| {
        let of = |allows: fn(&str, &str, (&str, &str), &str) -> bool| {
            allows(&file, "org_admin", (entity, action), "")
        };
        of(file_allows_assured) && !of(file_allows)
    };
    let needs =
        |id: &str| OPERATIONS.iter().any(|&(there, entity, action)| there == id && more(entity, action));
    let by_key = [("org_admin", tenant.admin().at(&at))];
    let control = compare_as(&by_key, file_allows_assured, |operation| needs(&operation.id)).await;
    assert!(control.wrong.len() > 10, "{control:?}");
    assert_eq!(control.wrong.len(), control.allowed, "each of them is refused to a key: {control:?}");
    assert!(control.wrong.iter().all(|said| said.contains("step-up-required")), "{control:?}");
}
