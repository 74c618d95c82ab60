//! `domicile dev up --wan`: every region and the router in a network namespace of its own, with emulated links between
//! them.
//!
//! A region's Postgres is in the region's namespace, so that nothing but the peers' doors can be reached across a link.
//! `cluster.json` holds as ever: each port on this machine is a door into the namespace where its process listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};
use links::door::Door;
use links::profile::PROFILES;
use links::{Links, Namespace, OpenError, Profile, Side, address, steer};
use tokio::task::JoinHandle;

use super::layout::Home;
use super::plan::Plan;
use super::sheets::Reach;
use super::supervise::Nursery;
use crate::exit::{Cause, Stop};
use crate::tell;

/// What the router is called among the sides.
pub const ROUTER: &str = "router";

/// The profile of a name, for the command line.
pub fn profile(name: &str) -> Result<Profile, String> {
    let names: Vec<&str> = PROFILES.iter().map(|p| p.name).collect();
    Profile::named(name).ok_or_else(|| format!("there is no profile `{name}`: there are {}", names.join(", ")))
}

/// The links of a start.
fn still() -> Profile {
    // The last of the list is there, as a test says.
    PROFILES[PROFILES.len() - 1]
}

/// Lists the profiles.
pub fn list() -> Result<ExitCode, Stop> {
    for profile in PROFILES {
        tell::line(&format!("{:<8} {}", profile.name, profile.about));
    }
    tell::line(
        "\n`./dev up --wan us` starts with it; `./dev link --help` says how to change links while it runs",
    );
    Ok(ExitCode::SUCCESS)
}

/// Who starts processes, for each side: one thread for all, or one in each side's namespace.
pub struct Nurseries {
    each: Vec<Nursery>,
    wan: Option<Wan>,
}

struct Wan {
    links: Links,
    profile: Profile,
    steered: JoinHandle<()>,
    socket: PathBuf,
}

impl Drop for Wan {
    fn drop(&mut self) {
        self.steered.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Nurseries {
    /// Makes the links that were asked for, if any.
    pub fn open(home: &Home, plan: &Plan, profile: Option<Profile>) -> Result<Self> {
        let socket = home.root().join(steer::SOCKET);
        let Some(profile) = profile else {
            // Left by a supervisor that was killed.
            let _ = std::fs::remove_file(socket);
            return Ok(Self { each: vec![Nursery::open()?], wan: None });
        };
        let sides = sides(plan);
        let mut links = Links::open(&sides, still(), plan.seed)?;
        for (number, side) in sides.iter().enumerate() {
            let doors = doors(plan, number);
            links.open_doors(number, &doors).with_context(|| format!("the ports of {}", side.name))?;
        }
        let each =
            (0..sides.len()).map(|side| Nursery::open_in(links.namespace(side))).collect::<Result<_>>()?;
        let listener = steer::listen(home.root()).context("the socket for `domicile dev link`")?;
        let steered = tokio::spawn(steer::serve(listener, links.fabric()));
        Ok(Self { each, wan: Some(Wan { links, profile, steered, socket }) })
    }

    /// Who starts the processes of a side: of a region by its place in the plan, and after them of the router.
    pub fn of(&self, side: usize) -> &Nursery {
        self.each.get(side).unwrap_or(&self.each[0])
    }

    /// Makes the links as they were asked for. Until then they do nothing, so that a start takes as long as ever.
    pub fn be_as_asked(&self) {
        if let Some(wan) = &self.wan {
            wan.links.fabric().be(wan.profile);
        }
    }

    /// How members of the control plane reach one another.
    pub fn reach(&self) -> Reach {
        if self.wan.is_some() { Reach::Links } else { Reach::Loopback }
    }
}

fn sides(plan: &Plan) -> Vec<Side> {
    let regions = plan.regions.iter().map(|planned| Side {
        name: planned.region.name().to_string(),
        place: planned.region.0.code().to_owned(),
    });
    let router = Side { name: ROUTER.to_owned(), place: plan.router.ingress.code().to_owned() };
    regions.chain([router]).collect()
}

/// Every port of a side's processes: at the address that it has ever had on this machine, and the peers' also at the
/// one that the configurations name.
fn doors(plan: &Plan, side: usize) -> Vec<Door> {
    let (own, peer) = match plan.regions.get(side) {
        Some(region) => (vec![region.public, region.postgres], region.peer),
        None => (vec![plan.router.public], plan.router.peer),
    };
    let at = |ip: Ipv4Addr, port| SocketAddr::new(IpAddr::V4(ip), port);
    let (here, there) = (Ipv4Addr::LOCALHOST, address(side));
    let own = own.into_iter().map(|port| Door { outside: at(here, port), inside: at(here, port) });
    let peers = [here, there].map(|ip| Door { outside: at(ip, peer), inside: at(there, peer) });
    own.chain(peers).collect()
}

/// Gives the cluster that runs the links of this wish, if it has any links at all.
pub fn fits(home: &Home, wish: Option<Profile>) -> Result<(), Stop> {
    let Some(profile) = wish else { return Ok(()) };
    let order = steer::Order::Use { profile: profile.name.to_owned() };
    let (what, mend) = match steer::order(home.root(), &order) {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(why)) => (why, "`./dev wan` lists the profiles"),
        Err(_) => (
            "the cluster runs without emulated links".to_owned(),
            "`./dev down` first: they are made at a start",
        ),
    };
    Err(Stop::new(Cause::Other, what, mend))
}

/// Goes on when this process may make namespaces. An ordinary user may in a user namespace of their own, where the
/// kernel lets them: then the program is started again in one and this does not return.
pub fn may(in_user_namespace: bool) -> Result<(), Stop> {
    let is_root = rustix::process::geteuid().is_root();
    match Namespace::create() {
        Ok(_) => tun_is_there(),
        Err(OpenError::Forbidden) if !is_root && !in_user_namespace && user_namespaces_work() => {
            tun_is_there()?;
            let error =
                in_one().arg(own()?).args(std::env::args_os().skip(1)).arg("--in-user-namespace").exec();
            Err(Stop::new(Cause::Other, format!("`unshare` cannot be run: {error}"), "install util-linux"))
        }
        Err(error) => Err(Stop::new(
            Cause::Other,
            error.to_string(),
            "run it as root, or let users have namespaces of their own (`unshare --user --net true` must succeed; see \
             the sysctls kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns), or leave \
             `--wan` out",
        )),
    }
}

fn own() -> Result<PathBuf, Stop> {
    std::env::current_exe().map_err(|e| Stop::new(Cause::Other, e.to_string(), "start the program by its path"))
}

fn in_one() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-current-user", "--keep-caps", "--"]);
    command
}

fn user_namespaces_work() -> bool {
    let tried =
        in_one().args(["unshare", "--net", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

fn tun_is_there() -> Result<(), Stop> {
    if Path::new("/dev/net/tun").exists() {
        return Ok(());
    }
    Err(Stop::new(
        Cause::Other,
        "/dev/net/tun is not there: this kernel, or this container, has no TUN devices",
        "`modprobe tun`, or give the container the device (`--device /dev/net/tun --cap-add NET_ADMIN`), or leave \
         `--wan` out",
    ))
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::super::plan::{Wish, settle};
    use super::*;

    #[test]
    fn every_port_of_a_plan_has_its_door_and_no_address_has_two() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let plan = settle(&home, &Wish::default(), &SystemEntropy::new()).expect("settles");
        let sides = sides(&plan);
        assert_eq!(sides.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["ca", "ny", "tx", "router"]);
        assert_eq!(sides[3].place, "US-CA");
        let all: Vec<Door> = (0..sides.len()).flat_map(|side| doors(&plan, side)).collect();
        let outside: std::collections::BTreeSet<_> = all.iter().map(|d| d.outside).collect();
        assert_eq!((all.len(), outside.len()), (3 * 4 + 3, 3 * 4 + 3));
        assert!(outside.contains(&SocketAddr::from(([127, 0, 0, 1], plan.router.public))));
    }

    #[test]
    fn a_profile_that_there_is_not_is_refused_with_those_that_there_are() {
        assert!(profile("us").is_ok());
        assert_eq!(still().name, "still");
        assert!(profile("mars").is_err_and(|e| e.contains("us, rough, narrow, still")));
    }
}
