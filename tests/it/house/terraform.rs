//! What the Terraform module promises an auditor: a key of the region's own that rotates, and databases that nobody
//! outside the region's network reaches (45 CFR 164.312(a)(2)(iv), 164.312(e)(1)).

use tests::workspace;

const MODULE: &str = "deploy/terraform/region/main.tf";

/// Settings that must stand in the module, with spaces folded.
const PROMISED: [&str; 8] = [
    "enable_key_rotation = true",
    "multi_region = false",
    "encryption_context_subset = {",
    "publicly_accessible = false",
    "storage_encrypted = true",
    "deletion_protection = true",
    "\"rds.force_ssl\" = \"1\"",
    "\"log_error_verbosity\" = \"terse\"",
];

fn missing(module: &str) -> Vec<&'static str> {
    let folded = module.split_whitespace().collect::<Vec<_>>().join(" ");
    PROMISED.into_iter().filter(|promised| !folded.contains(promised)).collect()
}

fn module() -> String {
    std::fs::read_to_string(workspace::root().join(MODULE)).expect("the module")
}

#[test]
fn a_region_has_a_key_of_its_own_that_rotates_and_databases_nobody_else_reaches() {
    assert_eq!(missing(&module()), Vec::<&str>::new());
}

#[test]
fn a_module_that_breaks_a_promise_is_caught() {
    let open = module().replace("publicly_accessible         = false", "publicly_accessible = true");
    assert_eq!(missing(&open), ["publicly_accessible = false"]);
}
