//! Who signs the log, and who has seen it: what a stranger needs beside the log itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State;
use axum::response::Response;
use data_encoding::BASE64;
use http::Uri;
use node_access::doc::PublicProblems;
use node_access::problem::not_found;
use node_access::{Here, Refused};
use residency_control::audit_log::{AuditLog, Cosignature, witness_name};
use residency_tlog::{KeyKind, Malformed, Note, SignatureLine, VerifierKey};

use super::{ANEW, TEXT, file, of_here, refused};

/// The checkpoint of this region's audit log that the most other regions cosigned, with their cosignatures: a C2SP signed
/// note with `cosignature/v1` lines. It is a little older than the newest one.
#[utoipa::path(
    get, path = "/v1/audit/log/cosigned", operation_id = "read_log_cosigned", tag = "operations",
    security(()),
    params(("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")),
    responses(
        (status = 200, description = "The signed and cosigned note", body = String, content_type = "text/plain"),
        PublicProblems
    )
)]
pub(super) async fn cosigned(State(here): State<Here>, uri: Uri) -> Result<Response, Refused> {
    of_here(&here, &uri)?;
    let logs = here.directory.audit_logs();
    let log = own(&here, &logs)?;
    let words = most(log).ok_or_else(not_found)?;
    let size = words.first().map_or(0, |word| word.size);
    let note = here.pool.audit_checkpoint_of(size).await.map_err(refused)?.ok_or_else(not_found)?;
    let wrong = |_: Malformed| Refused::internal("audit log: a kept note is no note");
    let mut note = Note::parse(note.as_bytes()).map_err(wrong)?;
    for word in words {
        let Some(witness) = logs.iter().find(|log| log.keys().region == word.witness) else { continue };
        for line in SignatureLine::parse_lines(line(witness, word).map_err(wrong)?.as_bytes()).map_err(wrong)? {
            note.add(line).map_err(|_| Refused::internal("audit log: too many witnesses"))?;
        }
    }
    Ok(file(note.to_string().into(), TEXT, ANEW))
}

/// The public keys by which this region's audit log is verified, one a line as C2SP signed-note spells them: the log's
/// own, and then that of each region that cosigns it.
#[utoipa::path(
    get, path = "/v1/audit/log/keys", operation_id = "read_log_keys", tag = "operations",
    security(()),
    params(("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")),
    responses((status = 200, description = "The keys", body = String, content_type = "text/plain"), PublicProblems)
)]
pub(super) async fn keys(State(here): State<Here>, uri: Uri) -> Result<Response, Refused> {
    of_here(&here, &uri)?;
    let logs = here.directory.audit_logs();
    let log = own(&here, &logs)?;
    let wrong = |_: Malformed| Refused::internal("audit log: a registered key is no key");
    let mut keys = vec![VerifierKey::new(&log.origin(), KeyKind::Ed25519, &log.keys().log).map_err(wrong)?];
    for witness in logs.iter().filter(|other| other.keys().region != here.region) {
        keys.push(witness_key(witness).map_err(wrong)?);
    }
    let mut text = String::new();
    for key in keys {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key}");
    }
    Ok(file(text.into(), TEXT, ANEW))
}

/// Before the region has told who signs its log there is none to verify.
fn own<'l>(here: &Here, logs: &'l [AuditLog]) -> Result<&'l AuditLog, Refused> {
    let own = logs.iter().find(|log| log.keys().region == here.region);
    own.ok_or_else(|| not_found().into())
}

/// The cosignatures of the size that has the most of them, and of the larger one where two have as many.
fn most(log: &AuditLog) -> Option<Vec<&Cosignature>> {
    let mut by_size: BTreeMap<u64, Vec<&Cosignature>> = BTreeMap::new();
    for word in log.cosigned() {
        by_size.entry(word.size).or_default().push(word);
    }
    by_size.into_values().max_by_key(Vec::len)
}

fn witness_key(witness: &AuditLog) -> Result<VerifierKey, Malformed> {
    let keys = witness.keys();
    VerifierKey::new(&witness_name(keys.cluster, keys.region), KeyKind::CosignatureV1, &keys.witness)
}

/// A cosignature as a line of a note: the key's id, the time, the signature.
fn line(witness: &AuditLog, word: &Cosignature) -> Result<String, Malformed> {
    let key = witness_key(witness)?;
    let parts = [&key.id().to_be_bytes()[..], &word.at.to_be_bytes()[..], word.signature.as_bytes()];
    Ok(format!("\u{2014} {} {}\n", key.name(), BASE64.encode(&parts.concat())))
}
