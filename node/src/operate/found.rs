//! `domicile orgs add`: an organisation and its first administrator, through the running node and with that node's own
//! key. Every other user is added and invited by an administrator, so somebody has to be the first.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use node_signin::invitation;
use residency_control::signin::LoginName;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_control::{Command, Membership, Memberships, Organisation, Outcome, PublicName, StaffName, User};
use residency_policy::{Clock as _, Jurisdiction, OrgId, OrgType, Role, UserId};

use super::Came;
use super::client::Operator;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const WITHIN: Duration = Duration::from_secs(10);

/// What is added.
#[derive(Debug, Clone, Args)]
pub struct Wanted {
    /// The organisation's public name, such as "Elm Street Clinic".
    #[arg(value_name = "NAME")]
    pub organisation: PublicName,
    /// What kind it is: `provider`, `pharmacy`, `lab`, `marketing` or `auditor`.
    #[arg(long, value_name = "KIND")]
    pub kind: OrgType,
    /// Where it works, such as `US-TX,US-NY`.
    #[arg(long, value_delimiter = ',', required = true, value_name = "PLACES")]
    pub serves: Vec<Jurisdiction>,
    /// The administrator's name.
    #[arg(long, value_name = "NAME")]
    pub administrator: StaffName,
    /// What they will sign in with, such as `robin@clinic.example`.
    #[arg(long, value_name = "LOGIN")]
    pub login: LoginName,
}

/// Adds both, and prints the invitation with which the administrator chooses a password.
pub fn run(file: &Path, wanted: &Wanted) -> Result<ExitCode, Stop> {
    let config = lifecycle::load(file)?;
    let entropy = SystemEntropy::new();
    let (org, user) = (OrgId::random(&entropy), UserId::random(&entropy));
    let now = SystemClock.now().as_second();
    let invited = invitation::mint(org, user, wanted.login.clone(), now, &entropy);
    let commands = commands(wanted, org, user, invited.change)
        .ok_or_else(|| Stop::new(Cause::Other, "nobody can work there", "this is a defect"))?;
    let stop = |what: String| {
        let mend = "the node of this configuration must run, and a quorum of the members with it";
        Stop::new(Cause::Other, what, mend)
    };
    let peer = &config.peer;
    let at = config.listen.advertise_peer.clone();
    let came = lifecycle::runtime(1)?.block_on(async {
        let operator = Operator::of_node(peer.ca.clone(), peer.certificate.clone(), peer.key.clone(), at)?;
        operator.commands(&commands, WITHIN).await
    });
    for came in came.map_err(|e| stop(format!("the organisation was not added: {e:#}")))? {
        match came {
            Came::Of(proposed) if proposed.outcome == Outcome::Done => {}
            Came::Of(proposed) => {
                return Err(stop(format!("the organisation was not added: {:?}", proposed.outcome)));
            }
            _ => return Err(stop("there was no quorum in time; run it again: it adds another one".into())),
        }
    }
    tell::line(&format!(
        "organisation  {org}\nadministrator {user}\ninvitation    {}\n\nGive it to them and nobody else. It is open for \
         three days:\n  POST /v1/auth/invitations/accept {{\"invitation\": …, \"password\": …}}",
        invited.token.reveal()
    ));
    Ok(ExitCode::SUCCESS)
}

fn commands(
    wanted: &Wanted,
    org: OrgId,
    user: UserId,
    invite: residency_control::signin::SignInChange,
) -> Option<Vec<Command>> {
    let works = Membership { org, roles: Role::OrgAdmin.into(), active: true };
    Some(vec![
        Command::AddOrganisation(Organisation {
            id: org,
            name: wanted.organisation.clone(),
            org_type: wanted.kind,
            serves: wanted.serves.iter().copied().collect(),
            active: true,
        }),
        Command::AddUser(User {
            id: user,
            name: wanted.administrator.clone(),
            memberships: Memberships::new(vec![works]).ok()?,
            active: true,
            version: 1,
        }),
        Command::SignIn(invite),
    ])
}

#[cfg(test)]
mod tests {
    use residency_control::machine::{State, apply};

    use super::*;

    #[test]
    fn what_is_added_is_an_administrator_who_is_invited() {
        let wanted = Wanted {
            organisation: "Elm Street Clinic".parse().expect("a name"),
            kind: OrgType::Provider,
            serves: vec!["US-TX".parse().expect("a jurisdiction")],
            administrator: "Robin Sample".parse().expect("a name"),
            login: "robin@elm.example".parse().expect("a login name"),
        };
        let (org, user) = (OrgId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let invited = invitation::mint(org, user, wanted.login.clone(), 7, &SystemEntropy::new());
        let mut state = State::default();
        for command in commands(&wanted, org, user, invited.change).expect("commands") {
            // As they travel.
            let text = serde_json::to_string(&command).expect("encodes");
            let command = serde_json::from_str(&text).expect("reads back");
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        assert!(state.may_be(user, org, Role::OrgAdmin));
        assert!(state.signin().account(org, user).is_some_and(|account| account.invitation.is_some()));
    }
}
