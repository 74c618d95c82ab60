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
use residency_policy::facility::{Given, Unfit};
use residency_policy::{Clia, Clock as _, Facility, Jurisdiction, Ncpdp, Npi, OrgId, OrgType, Role, UserId};

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
    /// Where it works, such as `US-TX,US-NY`. Of a laboratory or a pharmacy, where it is licensed.
    #[arg(long, value_delimiter = ',', required = true, value_name = "PLACES")]
    pub serves: Vec<Jurisdiction>,
    /// A laboratory's CLIA number, such as `45D0000001`. A laboratory must have it, and nobody else.
    #[arg(long, value_name = "NUMBER")]
    pub clia: Option<Clia>,
    /// A pharmacy's NCPDP Provider ID, of seven digits. A pharmacy must have it, and nobody else.
    #[arg(long, value_name = "NUMBER")]
    pub ncpdp: Option<Ncpdp>,
    /// A pharmacy's own NPI. A pharmacy must have it, and nobody else.
    #[arg(long, value_name = "NUMBER")]
    pub npi: Option<Npi>,
    /// The administrator's name.
    #[arg(long, value_name = "NAME")]
    pub administrator: StaffName,
    /// What they will sign in with, such as `robin@clinic.example`.
    #[arg(long, value_name = "LOGIN")]
    pub login: LoginName,
}

/// Adds both, and prints the invitation with which the administrator chooses a password.
pub fn run(file: &Path, wanted: &Wanted) -> Result<ExitCode, Stop> {
    let facility = facility(wanted)?;
    let config = lifecycle::load(file)?;
    let entropy = SystemEntropy::new();
    let (org, user) = (OrgId::random(&entropy), UserId::random(&entropy));
    let now = SystemClock.now().as_second();
    let invited = invitation::mint(org, user, wanted.login.clone(), now, &entropy);
    let commands = commands(wanted, facility, (org, user), invited.change)
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

/// What public registers call it, if it is of a kind that they know.
fn facility(wanted: &Wanted) -> Result<Option<Facility>, Stop> {
    let given = Given { clia: wanted.clia, ncpdp: wanted.ncpdp, npi: wanted.npi };
    Facility::of(wanted.kind, given).map_err(|unfit| {
        let said = unfit.iter().map(|(name, unfit)| match unfit {
            Unfit::Missing => format!("--{name} is missing"),
            Unfit::NotForKind => format!("--{name} is not for the kind {}", wanted.kind),
        });
        let mend = "a laboratory has --clia, a pharmacy --ncpdp and --npi, and nobody else has any of them";
        Stop::new(Cause::Other, said.collect::<Vec<_>>().join(", "), mend)
    })
}

fn commands(
    wanted: &Wanted,
    facility: Option<Facility>,
    (org, user): (OrgId, UserId),
    invite: residency_control::signin::SignInChange,
) -> Option<Vec<Command>> {
    let works = Membership { org, roles: Role::OrgAdmin.into(), active: true };
    let (id, name) = (org, wanted.organisation.clone());
    let serves = wanted.serves.iter().copied().collect();
    let organisation = Organisation { id, name, org_type: wanted.kind, serves, active: true };
    let add = match facility {
        Some(facility) => Command::AddFacility { organisation, facility },
        None => Command::AddOrganisation(organisation),
    };
    Some(vec![
        add,
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

    fn wanted(kind: OrgType) -> Wanted {
        Wanted {
            organisation: "Elm Street".parse().expect("a name"),
            kind,
            serves: vec!["US-TX".parse().expect("a jurisdiction")],
            clia: None,
            ncpdp: None,
            npi: None,
            administrator: "Robin Sample".parse().expect("a name"),
            login: "robin@elm.example".parse().expect("a login name"),
        }
    }

    #[test]
    fn a_kind_takes_its_own_numbers_and_no_others() {
        let lab = Wanted { clia: "45D0000001".parse().ok(), ..wanted(OrgType::Lab) };
        let ncpdp = "4500001".parse().ok();
        let pharmacy = Wanted { ncpdp, npi: "1234567893".parse().ok(), ..wanted(OrgType::Pharmacy) };
        for wanted in [&lab, &pharmacy] {
            let facility = facility(wanted).expect("it fits");
            assert_eq!(facility.map(|facility| facility.kind()), Some(wanted.kind));
        }
        assert!(facility(&wanted(OrgType::Provider)).is_ok_and(|none| none.is_none()));
        for wrong in [
            wanted(OrgType::Lab),
            wanted(OrgType::Pharmacy),
            Wanted { ncpdp, ..wanted(OrgType::Pharmacy) },
            Wanted { clia: lab.clia, ..wanted(OrgType::Provider) },
            Wanted { ncpdp, ..lab.clone() },
        ] {
            assert!(facility(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_added_is_an_administrator_who_is_invited() {
        let lab = Wanted { clia: "45D0000001".parse().ok(), ..wanted(OrgType::Lab) };
        let clia = lab.clia.expect("a CLIA number");
        is_added(&lab, Some(Facility::Lab { clia }));
        is_added(&wanted(OrgType::Provider), None);
    }

    fn is_added(wanted: &Wanted, facility: Option<Facility>) {
        let (org, user) = (OrgId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let invited = invitation::mint(org, user, wanted.login.clone(), 7, &SystemEntropy::new());
        let mut state = State::default();
        for command in commands(wanted, facility, (org, user), invited.change).expect("commands") {
            // As they travel.
            let text = serde_json::to_string(&command).expect("encodes");
            let command = serde_json::from_str(&text).expect("reads back");
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        assert!(state.may_be(user, org, Role::OrgAdmin));
        assert_eq!(state.facility(org), facility);
        assert_eq!(state.organisations().get(&org).map(|org| org.org_type), Some(wanted.kind));
        assert!(state.signin().account(org, user).is_some_and(|account| account.invitation.is_some()));
    }
}
