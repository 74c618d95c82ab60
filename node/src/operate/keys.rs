//! `domicile keys list`, `issue` and `rotate`: an organisation's API keys, through the running node and with that node's own
//! key. An organisation's administrator does the same at `/v1/orgs/{id}/api-keys`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use residency_control::api_keys::KeyChange;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_control::{Command, JurisdictionSet, KeyStanding, KeyVerifier, Outcome, keys};
use residency_policy::{Clock as _, Jurisdiction, KeyId, KeyScope, KeyScopes, OrgId, Role};

use super::Came;
use super::client::Operator;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);
const DAY: i64 = 86_400;

/// What a new key is to be.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The organisation's id.
    #[arg(value_name = "ORG_ID")]
    pub org: OrgId,
    /// What the key's bearer may be, such as `provider_staff`: a role that the organisation's kind may have.
    #[arg(long)]
    pub role: Role,
    /// For what it is issued, such as `scheduling:write,directory:read`; `write` includes `read`.
    #[arg(long, value_delimiter = ',', required = true, value_name = "SCOPES")]
    pub scopes: Vec<KeyScope>,
    /// Where it works; everywhere that the organisation does, if left out.
    #[arg(long, value_delimiter = ',', value_name = "STATES")]
    pub jurisdictions: Vec<Jurisdiction>,
    /// For how many days it is good.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub days: u16,
}

/// How a key goes on.
#[derive(Debug, Args)]
pub struct Rotation {
    /// The organisation's id.
    #[arg(value_name = "ORG_ID")]
    pub org: OrgId,
    /// The key's id: a UUID, or the part of the key between `dk_` and the second `_`. Never the whole key.
    #[arg(value_parser = super::revoke::key_id, value_name = "KEY_ID")]
    pub key: KeyId,
    /// For how many days it is good from now on.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub days: u16,
    /// How many hours the present secret stays good as well; 0 where somebody else may have it.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(0..=168))]
    pub overlap_hours: u8,
}

/// Lists an organisation's keys that were not revoked.
pub fn list(file: &Path, org: OrgId) -> Result<ExitCode, Stop> {
    through(file, async move |operator| {
        let keys = operator.keys(org, WITHIN).await?;
        let lines: Vec<String> = keys.iter().filter(|key| !key.revoked).map(line).collect();
        Ok(if lines.is_empty() { format!("{org} has no API key") } else { lines.join("\n") })
    })
}

/// Issues a key and prints it, once.
pub fn issue(file: &Path, wanted: &Wanted) -> Result<ExitCode, Stop> {
    through(file, async move |operator| {
        let (organisation, _) =
            operator.organisation(wanted.org, WITHIN).await?.context("there is no such organisation")?;
        let (kind, role) = (organisation.org_type, wanted.role);
        ensure!(kind.may_have(role), "an organisation of the kind {kind} has nobody with the role {role}");
        let jurisdictions: JurisdictionSet = match &wanted.jurisdictions[..] {
            [] => organisation.serves,
            some => some.iter().copied().collect(),
        };
        let elsewhere = jurisdictions.iter().find(|place| !organisation.serves.contains(*place));
        ensure!(elsewhere.is_none(), "the organisation does not serve all of these jurisdictions");
        let (now, minted) = (SystemClock.now().as_second(), keys::mint(&SystemEntropy::new()));
        let verifier = KeyVerifier {
            key: minted.key,
            org: wanted.org,
            role,
            jurisdictions,
            secret_sha256: minted.secret_sha256,
            revoked: false,
            expires: Some(now + i64::from(wanted.days) * DAY),
        };
        let scopes: KeyScopes = wanted.scopes.iter().copied().collect();
        done(operator, Command::Key(KeyChange::Issue { verifier, scopes, at: now })).await?;
        Ok(format!("{}\nThis is the only time that it is shown.", minted.text.reveal()))
    })
}

/// Gives a key another secret and prints it, once.
pub fn rotate(file: &Path, rotation: &Rotation) -> Result<ExitCode, Stop> {
    through(file, async move |operator| {
        let keys = operator.keys(rotation.org, WITHIN).await?;
        let known = keys.into_iter().find(|one| one.key == rotation.key);
        let known = known.context("the organisation has no such key")?;
        ensure!(
            known.version > 0,
            "it was not issued with a time to expire: issue another one, and revoke this"
        );
        let now = SystemClock.now().as_second();
        let minted = keys::secret_of(known.key, &SystemEntropy::new());
        let change = KeyChange::Rotate {
            key: known.key,
            secret_sha256: minted.secret_sha256,
            expires: now + i64::from(rotation.days) * DAY,
            overlap_until: now + i64::from(rotation.overlap_hours) * 3_600,
            at: now,
            expected: known.version,
        };
        done(operator, Command::Key(change)).await?;
        Ok(format!("{}\nThis is the only time that it is shown.", minted.text.reveal()))
    })
}

fn through(file: &Path, act: impl AsyncFnOnce(&Operator) -> Result<String>) -> Result<ExitCode, Stop> {
    let config = lifecycle::load(file)?;
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let said = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        act(&operator).await
    });
    match said {
        Ok(said) => {
            tell::line(&said);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(Stop::new(
            Cause::Other,
            format!("it was not done: {error:#}"),
            "the node of this configuration must run, and a quorum of the members with it",
        )),
    }
}

async fn done(operator: &Operator, command: Command) -> Result<()> {
    match operator.commands(&[command], WITHIN).await?.first() {
        Some(Came::Of(proposed)) => match proposed.outcome {
            Outcome::Done => Ok(()),
            Outcome::Refused(refusal) => bail!("{refusal}"),
        },
        _ => bail!("whether it was is not known: there was no quorum in time; look with `domicile keys list`"),
    }
}

fn line(key: &KeyStanding) -> String {
    let at = |second: Option<i64>| {
        second
            .and_then(|second| Timestamp::from_second(second).ok())
            .map_or("-".to_owned(), |at| at.to_string())
    };
    let scopes = match key.scopes {
        KeyScopes::ALL => "every scope".to_owned(),
        scopes => scopes.iter().map(KeyScope::as_str).collect::<Vec<_>>().join(","),
    };
    let (id, role, expires, used) = (key.key, key.role, at(key.expires), at(key.last_used));
    format!("{id}  {role}  expires {expires}  last used {used}  {scopes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_key_is_and_when_it_was_used() {
        let key = KeyStanding {
            key: KeyId::from_bytes([0x1a; 16]),
            role: Role::Provider,
            jurisdictions: JurisdictionSet::EMPTY,
            user: None,
            scopes: [KeyScope::CareRead].into_iter().collect(),
            created: Some(0),
            expires: Some(1_800_000_000),
            overlap_until: None,
            last_used: None,
            revoked: false,
            version: 1,
        };
        let said = line(&key);
        assert!(said.ends_with("provider  expires 2027-01-15T08:00:00Z  last used -  care:read"), "{said}");
        assert!(line(&KeyStanding { scopes: KeyScopes::ALL, ..key }).ends_with("every scope"));
    }
}
