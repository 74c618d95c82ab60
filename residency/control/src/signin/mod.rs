//! Signing in: accounts, sessions, and the keys that sign access tokens, as every region knows them.
//!
//! It is here and not in a region's database because the workforce works everywhere: a session that was ended in one
//! region is ended in all, as soon as they hear of it, and looking one up costs no more than looking up an API key.
//!
//! Rejected: *a list of revoked tokens* grows with what was ended, is late where it is not known, and says nothing when
//! it is lost; a list of living sessions refuses what it does not know. *Replicating every request's time of last use*
//! would make each read a change; what is known is the last refresh.

pub mod account;
pub(crate) mod act;
mod again;
pub mod change;
mod client_id;
mod credential_id;
pub mod devices;
mod enter;
pub(crate) mod federation;
mod group_name;
mod held;
pub mod identity_provider;
mod issuer_url;
mod login_name;
pub mod networks;
pub mod passkeys;
pub mod role_mapping;
pub mod settings;

pub use account::{
    Account, Invitation, PasswordVerifier, RecoveryCodes, SecondFactor, Session, SigningKey, TotpVerifier,
};
pub use change::SignInChange;
pub use client_id::{ClientId, NotAClientId};
pub use credential_id::{CredentialId, NotACredentialId};
pub use devices::Device;
pub use federation::Federation;
pub use group_name::{ClaimName, GroupName, NotAClaimName, NotAGroupName};
pub use held::SignIns;
pub use identity_provider::{Entrance, IdentityLink, IdentityProvider, Joining, Preset, SealedSecret};
pub use issuer_url::{IssuerUrl, NotAnIssuerUrl};
pub use login_name::{LoginName, NotALoginName};
pub use networks::{Network, Networks};
pub use passkeys::{Passkey, PasskeyAdded, PasskeyKey, PasskeyShown};
pub use role_mapping::{GroupRoles, NotGroupRoles, RoleMapping};
pub use settings::SignInSettings;
