//! Who may call a development cluster: one organisation of each kind, a second clinic, and for each role somebody who
//! works there and has a key.

use anyhow::{Context as _, Result, bail};
use node_signin::hashing::{Password, make_here};
use residency_control::signin::{Account, SignInChange};
use residency_control::{
    Command, JurisdictionSet, KeyVerifier, Membership, Memberships, Organisation, User, keys,
};
use residency_policy::{Entropy, Facility, Jurisdiction, KeyId, Npi, OrgId, OrgType, Role, UserId};
use ring::digest;

use super::cluster_json::{Credential, Login, Staff};

/// Name, kind, roles. The second clinic is there to see that one tenant knows nothing of another.
const ORGANISATIONS: [(&str, OrgType, &[Role]); 6] = [
    ("Meadowlark Telehealth", OrgType::Provider, &[Role::Provider, Role::ProviderStaff, Role::OrgAdmin]),
    ("Harbor Point Clinic", OrgType::Provider, &[Role::Provider]),
    ("Cedar Street Pharmacy", OrgType::Pharmacy, &[Role::Pharmacist]),
    ("Juniper Diagnostics", OrgType::Lab, &[Role::LabTech]),
    ("Bluebell Outreach", OrgType::Marketing, &[Role::Marketer]),
    ("Plumb Line Assurance", OrgType::Auditor, &[Role::Auditor]),
];

/// Who works there, in the order of the roles above. Nobody we know.
const STAFF: [&str; 8] = [
    "Dr. Robin Sample",
    "Casey Placeholder",
    "Morgan Testcase",
    "Dr. Alex Specimen",
    "Jamie Example",
    "Taylor Mockup",
    "Jordan Dummy",
    "Sam Fixture",
];

/// New keys for all of them.
pub fn mint(states: &[Jurisdiction], entropy: &dyn Entropy) -> Vec<Credential> {
    let mut credentials = Vec::new();
    let mut staff = STAFF.iter().cycle();
    for (name, org_type, roles) in ORGANISATIONS {
        let org = OrgId::random(entropy);
        for role in roles {
            credentials.push(Credential {
                org,
                org_name: name.to_owned(),
                org_type,
                role: *role,
                jurisdictions: states.to_vec(),
                api_key: keys::mint(entropy).text.reveal().to_owned(),
                user: staff.next().map(|person| Staff {
                    id: UserId::random(entropy),
                    name: (*person).to_owned(),
                    login: Some(login(*role, name, entropy)),
                }),
                provider: None,
            });
        }
    }
    credentials
}

/// A login name that says who it is, and a password that nobody can guess.
fn login(role: Role, org: &str, entropy: &dyn Entropy) -> Login {
    let place = org.split(' ').next().unwrap_or(org).to_ascii_lowercase();
    let mut bytes = [0; 15];
    entropy.fill(&mut bytes);
    let password = data_encoding::BASE64URL_NOPAD.encode(&bytes);
    Login { name: format!("{}@{place}.example", role.as_str()), password }
}

/// The commands that make the control plane know these credentials. They may be repeated.
pub fn commands(credentials: &[Credential], entropy: &dyn Entropy) -> Result<Vec<Command>> {
    let mut commands = Vec::new();
    let mut known: Vec<OrgId> = Vec::new();
    for credential in credentials {
        let jurisdictions: JurisdictionSet = credential.jurisdictions.iter().copied().collect();
        if !known.contains(&credential.org) {
            known.push(credential.org);
            // What was changed since then stays so.
            let (id, name, serves) = (credential.org, credential.org_name.parse()?, jurisdictions);
            let org_type = credential.org_type;
            let organisation = Organisation { id, name, org_type, serves, active: true };
            commands.push(match synthetic(org_type)? {
                Some(facility) => Command::AddFacility { organisation, facility },
                None => Command::AddOrganisation(organisation),
            });
        }
        let (key, secret_sha256) = recognise(&credential.api_key)?;
        let verifier = KeyVerifier {
            key,
            org: credential.org,
            role: credential.role,
            jurisdictions,
            secret_sha256,
            revoked: false,
            expires: None,
        };
        let Some(staff) = &credential.user else {
            commands.push(Command::PutKey(verifier));
            continue;
        };
        let works = Membership { org: credential.org, roles: credential.role.into(), active: true };
        commands.push(Command::AddUser(User {
            id: staff.id,
            name: staff.name.parse()?,
            memberships: Memberships::new(vec![works])?,
            active: true,
            version: 1,
        }));
        commands.push(Command::PutUserKey { verifier, user: staff.id });
        if let Some(login) = &staff.login {
            let password = Password::new(&login.password).and_then(|password| make_here(&password, entropy));
            let password = Some(password.context("cluster.json holds a password that cannot be hashed")?);
            let account = Account::new(credential.org, staff.id, login.name.parse()?);
            // A password that was changed since then stays so.
            commands.push(Command::SignIn(SignInChange::AddAccount(Account { password, ..account })));
        }
    }
    Ok(commands)
}

/// What registers would call a laboratory or a pharmacy. These are nobody's: no state has the number 00.
fn synthetic(kind: OrgType) -> Result<Option<Facility>> {
    Ok(match kind {
        OrgType::Lab => Some(Facility::Lab { clia: "00D0000001".parse()? }),
        OrgType::Pharmacy => {
            Some(Facility::Pharmacy { ncpdp: "0000001".parse()?, npi: Npi::from_nine(199_999_901)? })
        }
        OrgType::Provider | OrgType::Marketing | OrgType::Auditor => None,
    })
}

/// What recognises a key whose text is known: its id, and the digest of its secret half.
fn recognise(text: &str) -> Result<(KeyId, [u8; 32])> {
    let parts: Option<(&str, &str)> = text.strip_prefix("dk_").and_then(|rest| rest.split_once('_'));
    let Some((id, secret)) = parts else { bail!("cluster.json holds an API key of another form") };
    let Ok(id) = <[u8; 16]>::try_from(data_encoding::HEXLOWER.decode(id.as_bytes())?) else {
        bail!("cluster.json holds an API key of another form")
    };
    let secret = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes())?;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, &secret).as_ref());
    Ok((KeyId::from_bytes(id), sha256))
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn every_role_and_every_kind_of_organisation_has_a_key() {
        let tx: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let credentials = mint(&[tx], &SystemEntropy::new());
        for role in Role::ALL {
            assert!(credentials.iter().any(|c| c.role == *role), "{role}");
        }
        for kind in OrgType::ALL {
            assert!(credentials.iter().any(|c| c.org_type == *kind), "{kind}");
        }
        let commands = commands(&credentials, &SystemEntropy::new()).expect("all can be said");
        assert_eq!(credentials.len(), STAFF.len(), "everybody has a name of their own");
        assert_eq!(commands.len(), ORGANISATIONS.len() + 3 * credentials.len());
        let mut state = residency_control::machine::State::default();
        for command in commands {
            let outcome = residency_control::machine::apply(&mut state, command);
            assert_eq!(outcome, residency_control::Outcome::Done);
        }
        for org in state.organisations().values() {
            let known = matches!(org.org_type, OrgType::Lab | OrgType::Pharmacy);
            assert_eq!(state.facility(org.id).is_some(), known, "{}", org.org_type);
        }
        for credential in &credentials {
            assert!(credential.org_type.may_have(credential.role), "{}", credential.role);
        }
    }

    #[test]
    fn a_minted_key_is_recognised_from_its_text() {
        let minted = keys::mint(&SystemEntropy::new());
        let (key, sha256) = recognise(minted.text.reveal()).expect("is one");
        assert_eq!((key, sha256), (minted.key, minted.secret_sha256));
        assert!(recognise("dk_nonsense").is_err() && recognise("").is_err());
    }
}
