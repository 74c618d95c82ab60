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

/// What is open to everybody or everything, with its line: `"*"`, all actions of a service, all of a kind of resource,
/// every address. A policy names the actions, the resources and who may (45 CFR 164.312(a)(1), 164.502(b)).
fn wide(module: &str) -> Vec<String> {
    let everything = |text: &str| {
        let text = text.trim_matches('\\');
        text == "*" || (text.contains(':') && text.ends_with('*')) || text == "0.0.0.0/0" || text == "::/0"
    };
    let lines = module.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    lines
        .flat_map(|(at, line)| line.split('"').map(move |text| (at + 1, text)))
        .filter(|(_, text)| everything(text))
        .map(|(line, text)| format!("line {line}: {text}"))
        .collect()
}

#[test]
fn nothing_is_open_to_everybody() {
    let modules = workspace::files(&["deploy/terraform"], ".tf");
    assert!(modules.iter().any(|path| path.ends_with(MODULE)), "{modules:?}");
    for path in modules {
        let text = std::fs::read_to_string(&path).expect("a module");
        assert_eq!(wide(&text), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn a_policy_for_everybody_or_everything_is_caught() {
    let right = r#"
        # A comment may say "*".
        statement {
          actions   = ["kms:Decrypt"]
          resources = [aws_kms_key.region.arn]
          principals {
            type        = "AWS"
            identifiers = [var.node_role_arn]
          }
        }
        cidr_ipv4 = "10.0.0.0/16""#;
    assert_eq!(wide(right), Vec::<String>::new(), "the control");
    for (from, to) in [
        ("kms:Decrypt", "*"),
        ("kms:Decrypt", "kms:*"),
        ("kms:Decrypt", "kms:Decrypt*"),
        ("aws_kms_key.region.arn", r#""*""#),
        ("aws_kms_key.region.arn", r#""arn:aws:kms:us-east-2:111122223333:key/*""#),
        ("var.node_role_arn", r#""*""#),
        (r#"type        = "AWS""#, r#"type        = "*""#),
        ("10.0.0.0/16", "0.0.0.0/0"),
        ("10.0.0.0/16", "::/0"),
    ] {
        assert_eq!(wide(&right.replacen(from, to, 1)).len(), 1, "{to}");
    }
    let as_json = r#"policy = "{\"Statement\": [{\"Action\": \"kms:Decrypt\", \"Principal\": \"*\"}]}""#;
    assert_eq!(wide(as_json).len(), 1, "{as_json}");
    let encoded = r#"policy = jsonencode({ Statement = [{ Action = "kms:Decrypt", Resource = "*" }] })"#;
    assert_eq!(wide(encoded).len(), 1, "{encoded}");
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
