//! Signing in: passwords, sessions, tokens.
//!
//! A person shows a password (and a second factor, where one is enrolled) and gets two tokens. The access token is a JSON
//! Web Token (RFC 7519) that a node signed with Ed25519 (RFC 8037) and that lives for a quarter of an hour; every node
//! verifies it by itself and then looks its session up in its own copy of the control plane, so that one that was ended is
//! refused as soon as the node has heard of it. The refresh token is opaque, and is replaced whenever it is shown.
//!
//! What must stay true:
//! - **Nobody learns which accounts there are.** An unknown name costs a hash as a wrong password does, both get the same
//!   bytes, and a failure is counted after the answer.
//! - **A token is a proof and not a record**: who its session belongs to is read from the control plane, and a token that
//!   says otherwise is refused.
//! - **A refresh token that comes twice ends its session**: one of the two who showed it stole it.
//! - **Who has a second factor does not come in with one**: a password opens nothing alone where an authenticator or a passkey
//!   is enrolled.
//! - **Hashing is bounded**: a flood of attempts fills its own queue and gets 503, and takes no other request's time.
//!
//! Rejected: *sessions in each region's database*, because the workforce works everywhere and an ended session would live
//! on where the database had not heard of it; *an opaque access token*, because it would have to be replicated, where a
//! session is known by an id that is no secret.

pub mod api;
mod cookies;
pub mod desk;
pub mod devices;
pub mod federation;
pub mod guessable;
pub mod hashing;
pub mod invitation;
pub mod login;
pub mod logout;
pub mod passkeys;
pub mod patient;
pub mod refresh;
mod refresh_token;
pub mod refused;
pub mod sealing;
pub mod token;
pub mod totp;

pub use desk::{Desk, Opened};
pub use federation::Federated;
pub use hashing::Hashing;
pub use passkeys::Passkeys;
pub use refused::NotSignedIn;
pub use sealing::SealingKeys;
pub use token::issuer::Issuer;
