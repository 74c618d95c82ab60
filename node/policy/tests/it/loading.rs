//! A set that does not fit is refused as a whole, with the place.

use node_policy::{Loaded, POLICIES, PolicyFile, SCHEMA};

use crate::situation::one_file;

const GOOD: &str = r#"// The first line.
@id("a")
@citation("45 CFR 164.506")
@shape("full")
permit (principal == Role::"provider", action == Action::"read", resource is Patient)
when { context.purpose == Purpose::"TREAT" };
"#;

#[test]
fn what_is_wrong_is_refused_with_line_and_column() {
    assert!(one_file(GOOD).is_ok(), "the control");
    for (from, to, line, column, says) in [
        (r#"Purpose::"TREAT""#, r#"Purpose::"TREET""#, 6, 27, "TREET"),
        ("context.purpose", "context.porpose", 6, 8, "porpose"),
        (r#"Action::"read""#, r#"Action::"reed""#, 5, 50, "reed"),
        (r#"Role::"provider""#, r#"Role::"doctor""#, 5, 22, "doctor"),
        ("resource is Patient", "resource is Patien", 5, 78, "Patien"),
        ("when {", "wen {", 6, 1, "wen"),
        (r#"Purpose::"TREAT" }"#, r#""TREAT" }"#, 6, 8, "not compatible: for policy `a`"),
        ("@id(\"a\")\n", "", 2, 1, "@id is missing"),
        ("@citation(\"45 CFR 164.506\")\n", "", 2, 1, "@citation is missing"),
        ("@shape(\"full\")\n", "", 2, 1, "@shape is missing"),
        (r#"@shape("full")"#, r#"@shape("wide")"#, 2, 1, "@shape: not a shape"),
        (r#"@shape("full")"#, r#"@shape("full") @reason("not-permitted")"#, 2, 1, "@reason has no meaning"),
        (r#"@shape("full")"#, r#"@shape("full") @obligation("hide")"#, 2, 1, "not an obligation"),
        ("principal == Role::\"provider\"", "principal == ?principal", 2, 1, "slots"),
        (r#"context.purpose == Purpose::"TREAT""#, "context.assurance == 1 && false", 2, 1, ""),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let Err(error) = one_file(&text) else { panic!("{to} was taken") };
        assert_eq!(
            (error.file.as_str(), error.line, error.column),
            ("one.cedar", line, column),
            "{to}: {error}"
        );
        assert!(error.wrong.contains(says), "{to}: {error}");
    }
}

#[test]
fn an_id_is_one_policys_alone() {
    let Err(error) = one_file(&format!("{GOOD}{GOOD}")) else { panic!("two policies of one id were taken") };
    assert!(error.to_string().contains("the id a is there twice"), "{error}");
}

#[test]
fn one_wrong_file_refuses_the_whole_set() {
    let wrong = PolicyFile { name: "wrong.cedar", text: "permit (principal, action, resource)" };
    let files: Vec<PolicyFile<'_>> = POLICIES.iter().copied().chain([wrong]).collect();
    let Err(error) = Loaded::parse(SCHEMA, &files) else { panic!("it was taken") };
    assert_eq!(error.file, "wrong.cedar");
}

#[test]
fn a_schema_without_a_word_is_refused() {
    for word in ["\"marketer\", ", "LabResult, ", "\"ETREAT\", "] {
        let text = SCHEMA.text.replacen(word, "", 1);
        assert_ne!(text, SCHEMA.text, "{word}");
        let schema = PolicyFile { name: SCHEMA.name, text: &text };
        assert!(Loaded::parse(schema, POLICIES).is_err(), "without {word}");
    }
    let broken = PolicyFile { name: "s.cedarschema", text: "entity Role enum [\"a\"];\nentity ;" };
    let Err(error) = Loaded::parse(broken, &[]) else { panic!("it was taken") };
    assert_eq!((error.line, error.file.as_str()), (2, "s.cedarschema"), "{error}");
}

#[test]
fn a_set_has_bounds() {
    let long = format!("// {}\n", "x".repeat(1024 * 1024));
    let Err(error) = one_file(&long) else { panic!("it was taken") };
    assert!(error.wrong.contains("longer than"), "{error}");
}
