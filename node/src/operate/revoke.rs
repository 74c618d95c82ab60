//! `domicile keys revoke`: ends an API key, through the running node and with that node's own key.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use residency_control::{Command, Outcome, Refusal};
use residency_policy::KeyId;

use super::Came;
use super::client::Operator;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// Reads a key's id. Takes the form in a key's text too, so that nobody has to set hyphens in a hurry, but not the
/// text itself: a secret on a command line is in the shell's history.
pub fn key_id(text: &str) -> Result<KeyId, String> {
    let hex = text.strip_prefix("dk_").unwrap_or(text);
    let simple = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    simple.map(KeyId::from_bytes).map_or_else(|| text.parse(), Ok).map_err(|_| {
        "not the id of a key: expected a UUID, or the part of the key between `dk_` and the second `_`"
            .to_owned()
    })
}

/// Revokes a key for good, in every region. Repeating it is safe.
pub fn run(file: &Path, key: KeyId) -> Result<ExitCode, Stop> {
    let config = lifecycle::load(file)?;
    let stop = |what: String| {
        Stop::new(
            Cause::Other,
            what,
            "the node of this configuration must run, and a quorum of the members with it",
        )
    };
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let came = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        operator.commands(&[Command::RevokeKey(key)], WITHIN).await
    });
    match came.map_err(|e| stop(format!("the key was not revoked: {e:#}")))?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => {
                tell::line(&format!("{key} is revoked for good, as of log entry {}", proposed.index));
                Ok(ExitCode::SUCCESS)
            }
            Outcome::Refused(Refusal::UnknownKey) => {
                Err(Stop::new(Cause::Other, format!("there is no key {key}"), "see that the id is whole"))
            }
            Outcome::Refused(refusal) => Err(stop(format!("the key was not revoked: {refusal}"))),
        },
        _ => {
            Err(stop("whether the key was revoked is not known: there was no quorum in time; try again".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_id_is_taken_in_both_forms_and_its_text_is_not() {
        let id = KeyId::from_bytes([0x1a; 16]);
        let simple = "1a".repeat(16);
        for text in [id.to_string(), simple.clone(), format!("dk_{simple}")] {
            assert_eq!(key_id(&text), Ok(id), "{text}");
        }
        for text in [String::new(), "1a".into(), format!("dk_{simple}_{}", "A".repeat(43))] {
            let error = key_id(&text).expect_err("is refused");
            assert!(!error.contains("AAA"), "a secret is not repeated");
        }
    }
}
