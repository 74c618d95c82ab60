//! What a browser is told to ask of an authenticator, in the spelling of `PublicKeyCredential.parseCreationOptionsFromJSON()` and
//! `parseRequestOptionsFromJSON()` (WebAuthn Level 3, section 5.1).

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use utoipa::ToSchema;
use webauthn_rs_core::proto::{PublicKeyCredentialCreationOptions, PublicKeyCredentialRequestOptions};

/// The authenticator verifies its holder, or is not asked.
const REQUIRED: &str = "required";
const PUBLIC_KEY: &str = "public-key";

/// For `navigator.credentials.get()`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestOptions {
    /// The challenge, in base64url.
    pub challenge: String,
    /// How long the browser waits, in milliseconds.
    #[schema(example = 300_000)]
    pub timeout: u32,
    /// The domain that passkeys are bound to.
    #[schema(example = "clinic.example")]
    pub rp_id: String,
    /// `required`.
    pub user_verification: &'static str,
}

impl From<PublicKeyCredentialRequestOptions> for RequestOptions {
    fn from(options: PublicKeyCredentialRequestOptions) -> Self {
        Self {
            challenge: BASE64URL_NOPAD.encode(&options.challenge),
            timeout: options.timeout.unwrap_or_default(),
            rp_id: options.rp_id,
            user_verification: REQUIRED,
        }
    }
}

/// For `navigator.credentials.create()`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreationOptions {
    #[schema(inline)]
    rp: RelyingParty,
    #[schema(inline)]
    user: PasskeyUser,
    /// The challenge, in base64url.
    pub challenge: String,
    /// The kinds of keys, the first the best.
    #[schema(inline)]
    pub pub_key_cred_params: Vec<KeyKind>,
    /// How long the browser waits, in milliseconds.
    #[schema(example = 300_000)]
    pub timeout: u32,
    /// Those that are there already: an authenticator that has one makes no second.
    #[schema(inline)]
    pub exclude_credentials: Vec<Excluded>,
    #[schema(inline)]
    authenticator_selection: Selection,
    /// `none`.
    pub attestation: &'static str,
    #[schema(inline)]
    extensions: Extensions,
}

/// What a passkey is bound to.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RelyingParty {
    /// The domain.
    pub id: String,
    /// What people know it as.
    pub name: String,
}

/// Whose a passkey is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasskeyUser {
    /// What the authenticator knows the account by, in base64url.
    pub id: String,
    /// The login name.
    pub name: String,
    /// The person's name.
    pub display_name: String,
}

/// A kind of key.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyKind {
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The algorithm's number (RFC 9053).
    pub alg: i64,
}

/// A passkey that is there already.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What its authenticator calls it, in base64url.
    pub id: String,
}

/// Which authenticators will do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// `required`: it finds the passkey by itself.
    pub resident_key: &'static str,
    /// The same, as browsers of before know it.
    pub require_resident_key: bool,
    /// `required`.
    pub user_verification: &'static str,
}

/// What else is asked of an authenticator (CTAP 2.1 section 12.1).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extensions {
    /// `userVerificationRequired`: it does not even show the passkey before.
    pub credential_protection_policy: &'static str,
    /// False: authenticators that cannot will do.
    pub enforce_credential_protection_policy: bool,
}

impl From<PublicKeyCredentialCreationOptions> for CreationOptions {
    fn from(options: PublicKeyCredentialCreationOptions) -> Self {
        let kinds = options.pub_key_cred_params.iter().map(|one| KeyKind { kind: PUBLIC_KEY, alg: one.alg });
        let there = options.exclude_credentials.unwrap_or_default();
        let there = there.iter().map(|one| Excluded { kind: PUBLIC_KEY, id: BASE64URL_NOPAD.encode(&one.id) });
        Self {
            rp: RelyingParty { id: options.rp.id, name: options.rp.name },
            user: PasskeyUser {
                id: BASE64URL_NOPAD.encode(&options.user.id),
                name: options.user.name,
                display_name: options.user.display_name,
            },
            challenge: BASE64URL_NOPAD.encode(&options.challenge),
            pub_key_cred_params: kinds.collect(),
            timeout: options.timeout.unwrap_or_default(),
            exclude_credentials: there.collect(),
            authenticator_selection: Selection {
                resident_key: REQUIRED,
                require_resident_key: true,
                user_verification: REQUIRED,
            },
            attestation: "none",
            extensions: Extensions {
                credential_protection_policy: "userVerificationRequired",
                enforce_credential_protection_policy: false,
            },
        }
    }
}
