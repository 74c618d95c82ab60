//! Keeps a key to sign access tokens with, and tells the others its public half before it signs.

use std::sync::Arc;
use std::time::Duration;

use residency_control::signin::{SignInChange, SigningKey};
use residency_control::{Command, Outcome};

use crate::wiring::Node;

/// How often it looks whether the next key is due.
const LOOK: Duration = Duration::from_mins(1);
/// How long it waits before it tells the others again.
const AGAIN: Duration = Duration::from_millis(200);

/// Makes and publishes keys.
pub fn publish(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (reader, writer) = (node.control.reader(), node.control.writer());
    let (desk, entropy) = (Arc::clone(&node.desk), Arc::clone(&node.entropy));
    async move {
        loop {
            let keys = match desk.issuer.tend(desk.clock.now().as_second(), &*entropy) {
                Ok(keys) => keys,
                Err(error) => {
                    tracing::error!(%error, "there is no key to sign access tokens with");
                    Vec::new()
                }
            };
            let known = reader.at(|state| state.signin().clone()).1;
            let unknown: Vec<SigningKey> =
                keys.into_iter().filter(|key| known.signing_key(key.id).is_none()).collect();
            let mut told = true;
            for key in unknown {
                let id = key.id;
                match writer.propose(Command::SignIn(SignInChange::AddSigningKey(key))).await {
                    Ok(proposed) => match proposed.outcome {
                        Outcome::Done => tracing::info!(signing_key.id = %id, "a signing key was published"),
                        Outcome::Refused(refusal) => {
                            tracing::error!(signing_key.id = %id, %refusal, "a signing key was refused");
                        }
                    },
                    // Nobody leads yet, mostly.
                    Err(_) => told = false,
                }
            }
            tokio::time::sleep(if told { LOOK } else { AGAIN }).await;
        }
    }
}
