//! The control plane cannot hold PHI: every field of what is replicated and of what a snapshot holds is of a type
//! on a closed list. There is no field in which a name could be put.

use std::collections::BTreeSet;
use std::path::Path;

use tests::rust_source::{Kind, Source, Token, closing};
use tests::workspace;

/// The files that define the log and the snapshot, and containers that each may use beyond the list below.
const FILES: &[(&str, &[&str])] = &[
    ("residency/control/src/command.rs", &[]),
    ("residency/control/src/refusal.rs", &[]),
    ("residency/control/src/signature.rs", &[]),
    ("residency/control/src/organisations.rs", &[]),
    ("residency/control/src/legal_basis.rs", &[]),
    ("residency/control/src/audit_log.rs", &["BTreeMap"]),
    ("residency/control/src/membership.rs", &[]),
    ("residency/control/src/provider.rs", &[]),
    (
        "residency/control/src/provider_index.rs",
        &["Arc", "BTreeMap", "Vec", "Range", "Sharded", "K", "a", "Jurisdiction", "Taxonomy", "Language"],
    ),
    ("residency/control/src/machine.rs", &["Arc", "BTreeMap", "BTreeSet", "Directory"]),
    ("residency/control/src/sheets.rs", &["Arc", "Vec", "usize", "K", "V"]),
    ("residency/control/src/directory/mod.rs", &["Arc", "Late", "Table", "Key", "usize"]),
    ("residency/control/src/directory/late.rs", &["Arc", "Layer", "Vec"]),
    ("residency/control/src/directory/key.rs", &[]),
    ("residency/control/src/directory/shard.rs", &["LINE", "usize"]),
    ("residency/control/src/directory/table.rs", &["BTreeMap", "SHARDS", "usize"]),
    ("residency/control/src/snapshot/parts.rs", &["Vec"]),
    ("residency/control/src/signin/account.rs", &[]),
    ("residency/control/src/signin/change.rs", &[]),
    ("residency/control/src/signin/identity_provider.rs", &["Host"]),
    ("residency/control/src/signin/role_mapping.rs", &[]),
    ("residency/control/src/signin/federation.rs", &["Arc", "Sheets"]),
    ("residency/control/src/api_keys.rs", &[]),
    ("residency/control/src/signin/devices.rs", &[]),
    ("residency/control/src/signin/passkeys.rs", &[]),
    ("residency/control/src/signin/networks.rs", &["IpNet"]),
    ("residency/control/src/signin/settings.rs", &[]),
    ("residency/control/src/signin/held.rs", &["Arc", "BTreeMap", "Sheets"]),
    ("residency/control/src/calendar/minute.rs", &[]),
    ("residency/control/src/calendar/rules.rs", &[]),
    ("residency/control/src/calendar/entry.rs", &[]),
    ("residency/control/src/calendar/waiting.rs", &["Taxonomy"]),
    ("residency/control/src/calendar/change.rs", &[]),
    ("residency/control/src/calendar/book.rs", &["Arc", "BTreeMap"]),
    (
        "residency/control/src/calendar/ledger.rs",
        &["Arc", "BTreeMap", "BTreeSet", "Ending", "Sheets", "Vec", "usize"],
    ),
];

/// Types of others that a replicated field may have. None holds free text: the ids are random, the labels and
/// hosts are bounded, and a public name belongs to an organisation.
const MAY_HOLD: &[&str] = &[
    "bool",
    "u8",
    "u16",
    "u32",
    "u64",
    "i32",
    "i64",
    "Option",
    "PatientId",
    "OrgId",
    "KeyId",
    "NodeId",
    "DiskId",
    "Region",
    "Epoch",
    "Home",
    "Placement",
    "PlacementState",
    "Label",
    "OrgType",
    "Closure",
    "BasisKind",
    "Facility",
    "UserId",
    "StaffName",
    "LoginName",
    "SessionId",
    "SigningKeyId",
    "IdentityProviderId",
    "IssuerUrl",
    "ClientId",
    "ClaimName",
    "GroupName",
    "Preset",
    "ProviderId",
    "BookingHandle",
    "ZoneName",
    "Npi",
    "ProviderName",
    "Taxonomies",
    "Languages",
    "ProviderOrgs",
    "Licences",
    "Attested",
    "Role",
    "KeyScopes",
    "DeviceId",
    "PasskeyId",
    "CredentialId",
    "Digest",
    "Endpoint",
    "PublicName",
    "JurisdictionSet",
    "IdBatch",
];

/// Types that could hold anything, looked for in every word of a field.
const NEVER: &[&str] =
    &["String", "str", "Cow", "Value", "OsString", "PathBuf", "Bytes", "BytesMut", "Any", "CString"];

/// The fields of every struct and enum in these tokens: (type's name, tokens of its body).
fn definitions(tokens: &[Token]) -> Vec<(String, &[Token])> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 1 < tokens.len() {
        let names =
            (tokens[at].is_word("struct") || tokens[at].is_word("enum")) && tokens[at + 1].word().is_some();
        if !names {
            at += 1;
            continue;
        }
        let name = tokens[at + 1].word().unwrap_or_default().to_owned();
        let open = (at..tokens.len()).find(|i| matches!(tokens[*i].kind, Kind::Mark('{' | '(' | ';')));
        let Some(open) = open else { break };
        let end = if tokens[open].is_mark(';') { open + 1 } else { closing(tokens, open) };
        found.push((name, &tokens[open..end]));
        at = end;
    }
    found
}

/// The words that stand where a type stands: after a colon, inside angle, round or square brackets.
fn types_in(body: &[Token]) -> Vec<&Token> {
    body.iter()
        .enumerate()
        .filter(|(at, token)| {
            let Some(word) = token.word() else { return false };
            let names_field = body.get(at + 1).is_some_and(|t| t.is_mark(':'))
                && !body.get(at + 2).is_some_and(|t| t.is_mark(':'));
            let variant = body
                .get(at.wrapping_sub(1))
                .is_some_and(|t| matches!(t.kind, Kind::Mark('{' | ',' | ']')))
                && word.starts_with(char::is_uppercase)
                && body.get(at + 1).is_some_and(|t| matches!(t.kind, Kind::Mark('{' | '(' | ',' | '}' | '=')));
            !names_field && !variant && !matches!(word, "pub" | "crate" | "super" | "dyn" | "Box")
        })
        .map(|(_, token)| token)
        .collect()
}

/// Removes attributes, whose words are no types.
fn without_attributes(body: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < body.len() {
        if body[at].is_mark('#') && body.get(at + 1).is_some_and(|t| t.is_mark('[')) {
            at = closing(body, at + 1);
        } else {
            kept.push(body[at].clone());
            at += 1;
        }
    }
    kept
}

fn impure(source: &Source, defined: &BTreeSet<String>, containers: &[&str]) -> Vec<String> {
    let tokens = source.production();
    let definitions = definitions(&tokens);
    let mut found = Vec::new();
    for (name, body) in &definitions {
        let body = without_attributes(body);
        for token in types_in(&body) {
            let word = token.word().unwrap_or_default();
            let known = MAY_HOLD.contains(&word) || containers.contains(&word) || defined.contains(word);
            if NEVER.contains(&word) || !known {
                found.push(format!("{}:{}: {name} holds a {word}", source.name(), token.line));
            }
        }
    }
    found
}

fn defined_in(sources: &[Source]) -> BTreeSet<String> {
    sources
        .iter()
        .flat_map(|s| definitions(&s.production()).into_iter().map(|(n, _)| n).collect::<Vec<_>>())
        .collect()
}

#[test]
fn what_is_replicated_cannot_hold_phi() {
    let sources: Vec<Source> =
        FILES.iter().map(|(path, _)| workspace::source(path).expect("a file of the log")).collect();
    let defined = defined_in(&sources);
    for name in ["Command", "State", "Directory", "Table", "Part"] {
        assert!(defined.contains(name), "{name} was not found");
    }
    let found: Vec<String> =
        sources.iter().zip(FILES).flat_map(|(s, (_, containers))| impure(s, &defined, containers)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_field_is_caught() {
    let real = workspace::source(FILES[0].0).expect("the commands").text;
    for (planted, says) in [
        ("pub struct Note { pub text: String }", "Note holds a String"),
        ("pub struct Note(Option<String>);", "Note holds a String"),
        ("pub enum More { Text(serde_json::Value) }", "More holds a Value"),
        ("pub struct Note { pub bytes: bytes::Bytes }", "Note holds a Bytes"),
        ("pub struct Note { pub by: HashMap<u8, u8> }", "Note holds a HashMap"),
        ("pub struct Note { pub text: &'static str }", "Note holds a str"),
        ("pub struct Note { pub name: Name }", "Note holds a Name"),
        ("pub struct Note { pub bytes: Vec<u8> }", "Note holds a Vec"),
        ("pub struct Note { pub name: char }", "Note holds a char"),
    ] {
        let source = Source::new(Path::new("command.rs"), format!("{real}\n{planted}"));
        let defined = defined_in(std::slice::from_ref(&source));
        let found = impure(&source, &defined, &[]);
        assert!(found.iter().any(|f| f.ends_with(says)), "{planted}: {found:?}");
    }
}

/// Two types hold text with bounds, and each has one place.
#[test]
fn bounded_text_has_one_place_each() {
    let source = workspace::source(FILES[0].0).expect("the commands");
    let tokens = source.production();
    let holders = |of: &str| -> Vec<String> {
        let holds = |body: &[Token]| types_in(&without_attributes(body)).iter().any(|t| t.is_word(of));
        definitions(&tokens).into_iter().filter(|(_, body)| holds(body)).map(|(name, _)| name).collect()
    };
    assert_eq!(holders("PublicName"), ["Organisation"], "no command about a patient has a name in it");
    assert_eq!(holders("StaffName"), ["User"], "nor is any but the workforce named");
    assert_eq!(holders("ProviderName"), Vec::<String>::new(), "a clinician's is in a file of its own");
    assert_eq!(holders("LoginName"), Vec::<String>::new(), "nor is what they sign in with");
    for of in ["IssuerUrl", "ClientId", "ClaimName", "GroupName"] {
        assert_eq!(holders(of), Vec::<String>::new(), "nor what says who they are");
    }
    assert_eq!(holders("Endpoint"), ["RegionEntry"]);
    assert_eq!(holders("Host"), Vec::<String>::new());
}
