//! An authenticator in hand (WebAuthn Level 3, sections 6 and 8.7), written here by the letter of the standard, so that what
//! verifies it is not its own word: ES256, no attestation.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::support::ORIGIN;

/// The relying party of the tests' desk.
pub(super) const RP_ID: &str = "clinic.example";
/// Somebody was there.
pub(super) const PRESENT: u8 = 0x01;
/// It was its holder.
pub(super) const VERIFIED: u8 = 0x04;
/// It may be copied elsewhere.
pub(super) const MAY_BE_COPIED: u8 = 0x08;
/// It was.
pub(super) const COPIED: u8 = 0x10;
/// A new key follows.
const ATTESTED: u8 = 0x40;

/// What it says of a ceremony. Tests have it say what is not so.
#[derive(Clone)]
pub(super) struct Says {
    pub(super) origin: String,
    pub(super) rp_id: &'static str,
    pub(super) flags: u8,
    pub(super) counter: u32,
    /// Another challenge than the one that it was given.
    pub(super) challenge: Option<String>,
    /// `webauthn.create` or `webauthn.get`, where it is not what is done.
    pub(super) kind: Option<&'static str>,
    pub(super) cross_origin: bool,
}

impl Says {
    /// The truth, with this counter.
    pub(super) fn so(counter: u32) -> Self {
        Self {
            origin: ORIGIN.to_owned(),
            rp_id: RP_ID,
            flags: PRESENT | VERIFIED,
            counter,
            challenge: None,
            kind: None,
            cross_origin: false,
        }
    }
}

/// One passkey.
pub(super) struct Authenticator {
    pair: EcdsaKeyPair,
    pub(super) id: Vec<u8>,
    /// Whose it is, as the options said when it was made.
    pub(super) handle: Vec<u8>,
}

impl Authenticator {
    /// A new key pair, under an id of so many bytes.
    pub(super) fn new(id: &[u8]) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random);
        Self { pair: pair.expect("a key pair"), id: id.to_vec(), handle: Vec::new() }
    }

    /// What `navigator.credentials.create()` gives.
    pub(super) fn makes(&mut self, options: &Value, says: &Says) -> Value {
        let text = options["user"]["id"].as_str().expect("a handle");
        self.handle = BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url");
        let client = client_data("webauthn.create", options, says);
        let mut data = authenticator_data(says, ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("is short").to_be_bytes());
        data.extend(&self.id);
        // A COSE key (RFC 9053 section 7.1.1): 1 (kty): 2 (EC2), 3 (alg): -7 (ES256), -1 (crv): 1 (P-256), -2: x, -3: y.
        let point = self.pair.public_key().as_ref();
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..65]);
        // {"fmt": "none", "attStmt": {}, "authData": the data} in CBOR (RFC 8949).
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt\x64none\x67attStmt\xa0\x68authData\x59");
        object.extend(u16::try_from(data.len()).expect("is short").to_be_bytes());
        object.extend(data);
        self.credential(&json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(client.as_bytes()),
            "attestationObject": BASE64URL_NOPAD.encode(&object),
            "transports": ["internal"],
        }))
    }

    /// What `navigator.credentials.get()` gives.
    pub(super) fn signs(&self, options: &Value, says: &Says) -> Value {
        let client = client_data("webauthn.get", options, says);
        let data = authenticator_data(says, 0);
        let signed = [&data[..], digest(&SHA256, client.as_bytes()).as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).expect("signs");
        self.credential(&json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(client.as_bytes()),
            "authenticatorData": BASE64URL_NOPAD.encode(&data),
            "signature": BASE64URL_NOPAD.encode(signature.as_ref()),
            "userHandle": BASE64URL_NOPAD.encode(&self.handle),
        }))
    }

    fn credential(&self, response: &Value) -> Value {
        let id = BASE64URL_NOPAD.encode(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "authenticatorAttachment": "platform", "clientExtensionResults": { "credProps": { "rk": true } },
        })
    }
}

fn client_data(kind: &str, options: &Value, says: &Says) -> String {
    let challenge = says.challenge.clone().map_or_else(|| options["challenge"].clone(), Value::from);
    json!({
        "type": says.kind.unwrap_or(kind), "challenge": challenge, "origin": says.origin,
        "crossOrigin": says.cross_origin,
    })
    .to_string()
}

fn authenticator_data(says: &Says, flags: u8) -> Vec<u8> {
    let mut data = digest(&SHA256, says.rp_id.as_bytes()).as_ref().to_vec();
    data.push(says.flags | flags);
    data.extend(says.counter.to_be_bytes());
    data
}
