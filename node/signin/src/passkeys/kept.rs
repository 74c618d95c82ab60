//! What the control plane keeps of a credential, and the credential that it is again.

use residency_control::signin::{CredentialId, Passkey, PasskeyKey};
use webauthn_rs_core::proto::{
    AttestationFormat, COSEAlgorithm, COSEEC2Key, COSEKey, COSEKeyType, COSERSAKey, Credential, ECDSACurve,
    ParsedAttestation, RegisteredExtensions, UserVerificationPolicy,
};

/// What verifies a credential, and what its authenticator calls it. None for what is not asked for.
pub(crate) fn of(credential: &Credential) -> Option<(CredentialId, PasskeyKey)> {
    let id = CredentialId::try_from(credential.cred_id.clone()).ok()?;
    let key = match (credential.cred.type_, &credential.cred.key) {
        (COSEAlgorithm::ES256, COSEKeyType::EC_EC2(point)) if point.curve == ECDSACurve::SECP256R1 => {
            let (x, y) = (point.x.as_slice().try_into().ok()?, point.y.as_slice().try_into().ok()?);
            PasskeyKey::Es256 { x, y }
        }
        (COSEAlgorithm::RS256, COSEKeyType::RSA(key)) => {
            let (parts, []) = key.n.as_chunks::<32>() else { return None };
            let n: [[u8; 32]; 8] = parts.try_into().ok()?;
            PasskeyKey::Rs256 { n: Box::new(n), e: key.e }
        }
        _ => return None,
    };
    Some((id, key))
}

/// The credential, as it was when it was added or last shown.
pub(crate) fn credential(passkey: &Passkey) -> Credential {
    let cred = match &passkey.key {
        PasskeyKey::Es256 { x, y } => {
            let point = COSEEC2Key { curve: ECDSACurve::SECP256R1, x: x.to_vec(), y: y.to_vec() };
            COSEKey { type_: COSEAlgorithm::ES256, key: COSEKeyType::EC_EC2(point) }
        }
        PasskeyKey::Rs256 { n, e } => {
            let key = COSERSAKey { n: n.as_flattened().to_vec(), e: *e };
            COSEKey { type_: COSEAlgorithm::RS256, key: COSEKeyType::RSA(key) }
        }
    };
    Credential {
        cred_id: passkey.credential.as_bytes().to_vec(),
        cred,
        counter: passkey.counter,
        transports: None,
        user_verified: true,
        backup_eligible: passkey.backup_eligible,
        backup_state: passkey.backed_up,
        registration_policy: UserVerificationPolicy::Required,
        extensions: RegisteredExtensions::none(),
        attestation: ParsedAttestation::default(),
        attestation_format: AttestationFormat::None,
    }
}

#[cfg(test)]
mod tests {
    use residency_policy::{OrgId, PasskeyId, UserId};

    use super::*;

    fn passkey(key: PasskeyKey) -> Passkey {
        Passkey {
            org: OrgId::from_bytes([1; 16]),
            user: UserId::from_bytes([2; 16]),
            id: PasskeyId::from_bytes([3; 16]),
            credential: vec![4; 20].try_into().expect("an id"),
            key,
            counter: 5,
            backup_eligible: true,
            backed_up: true,
            added: 6,
            used: None,
        }
    }

    #[test]
    fn what_is_kept_is_the_credential_again() {
        let rsa = std::array::from_fn(|at| [u8::try_from(at).unwrap_or(0); 32]);
        for key in
            [PasskeyKey::Es256 { x: [1; 32], y: [2; 32] }, PasskeyKey::Rs256 { n: Box::new(rsa), e: [1, 0, 1] }]
        {
            let one = passkey(key);
            let credential = credential(&one);
            assert_eq!(of(&credential), Some((one.credential.clone(), one.key.clone())));
            assert_eq!((credential.counter, credential.backup_eligible), (5, true));
            // What was not asked for is kept of nobody.
            for algorithm in [COSEAlgorithm::ES384, COSEAlgorithm::RS512, COSEAlgorithm::EDDSA] {
                let mut other = credential.clone();
                other.cred.type_ = algorithm;
                assert_eq!(of(&other), None, "{algorithm:?}");
            }
            let long = Credential { cred_id: vec![4; 256], ..credential };
            assert_eq!(of(&long), None);
        }
    }
}
