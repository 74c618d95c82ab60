//! Writes the configuration files of a development cluster's nodes and router.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::keep::{self, Readers};
use super::layout::Home;
use super::plan::{Plan, PlannedRegion};
use super::rulebook::Rulebook;
use super::sealing_key;

/// A region's identity among peers.
pub fn region_identity(planned: &PlannedRegion) -> String {
    format!("spiffe://domicile/region/us-{}/node/{}", planned.region.name(), planned.node)
}

/// The router's identity among peers.
pub fn router_identity(plan: &Plan) -> String {
    let ingress = plan.router.ingress.code().to_ascii_lowercase();
    format!("spiffe://domicile/router/{ingress}/node/{}", plan.router.node)
}

/// How members of the control plane reach one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On one machine, without anything between them.
    Loopback,
    /// Each from a network namespace of its own, over emulated links.
    Links,
}

impl Reach {
    /// Where a side's peer listener is, and what others call it.
    fn peer(self, side: usize) -> (Ipv4Addr, String) {
        match self {
            Self::Loopback => (Ipv4Addr::LOCALHOST, "localhost".to_owned()),
            Self::Links => (links::address(side), links::address(side).to_string()),
        }
    }

    fn timings(self) -> &'static str {
        match self {
            // Short elections, because everything is on one machine.
            Self::Loopback => "heartbeat_ms = 150\nelection_ms_min = 500\nelection_ms_max = 1000\n",
            // A lost packet costs TCP 200 ms and a round trip, and no election.
            Self::Links => "heartbeat_ms = 250\nelection_ms_min = 1500\nelection_ms_max = 3000\n",
        }
    }
}

/// Writes every file.
pub fn write(home: &Home, plan: &Plan, rules: &Rulebook, collector: Option<&str>, reach: Reach) -> Result<()> {
    let traces = collector.map_or_else(String::new, |url| {
        format!("\n[traces]\nendpoint = {}\nper_mille = 1000\n", toml::Value::String(url.to_owned()))
    });
    for (i, planned) in plan.regions.iter().enumerate() {
        let text = node_toml(home, plan, i, rules, reach)? + &traces;
        keep::write(&home.region(planned.region).node_toml(), Readers::Owner, text.as_bytes())?;
    }
    let text = router_toml(home, plan, rules, reach)? + &traces;
    keep::write(&home.router_toml(), Readers::Owner, text.as_bytes())
}

fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8, which TOML needs", path.display()))?;
    Ok(toml::Value::String(text.to_owned()).to_string())
}

fn node_toml(home: &Home, plan: &Plan, side: usize, rules: &Rulebook, reach: Reach) -> Result<String> {
    let PlannedRegion { region, node, public, peer, postgres, .. } = &plan.regions[side];
    // Exactly one makes the cluster.
    let founds = side == 0;
    let (own, at) = reach.peer(side);
    let ca = quoted(&home.ca_cert())?;
    let mut text = format!(
        "# Written by `domicile dev` at each start.\n\
         [region]\njurisdiction = \"{region}\"\ncluster = \"{}\"\nnode = {node}\n\n\
         [listen]\npublic = \"127.0.0.1:{public}\"\npeer = \"{own}:{peer}\"\n\
         advertise_public = \"localhost:{public}\"\nadvertise_peer = \"{at}:{peer}\"\n\n\
         [tls]\ncertificate = \"tls/public.pem\"\nkey = \"tls/public.key\"\n\n\
         [peer]\nca = {ca}\ncertificate = \"tls/peer.pem\"\nkey = \"tls/peer.key\"\n\n\
         [database]\nhost = \"127.0.0.1\"\nport = {postgres}\nname = \"domicile\"\nuser = \"domicile_app\"\n\
         password_file = \"keys/app.password\"\nca = {ca}\n\n\
         [migrate]\nuser = \"domicile_owner\"\npassword_file = \"keys/owner.password\"\n\n\
         [keys.kms]\nkind = \"local\"\nfile = \"keys/master.key\"\n\n\
         [keys.keyring]\nkind = \"embedded\"\nfile = \"keys/keyring.redb\"\n\n\
         [rules]\nfile = {}\nverify_key = {}\npolicies = {}\n\n\
         [control]\ndir = \"control\"\nfound = {founds}\n",
        plan.cluster,
        quoted(&rules.file)?,
        quoted(&rules.verify_key)?,
        quoted(&home.policies())?,
    );
    let mut member = |id: String, side: usize, port: u16, votes: bool| {
        let (_, at) = reach.peer(side);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[control.members]]\nid = \"{id}\"\nat = \"{at}:{port}\"\nvotes = {votes}\n");
    };
    for (side, other) in plan.regions.iter().enumerate() {
        member(region_identity(other), side, other.peer, other.voter);
    }
    member(router_identity(plan), plan.regions.len(), plan.router.peer, false);
    let _ = write!(text, "\n[control.timings]\n{}", reach.timings());
    // One machine plays the world: its loads come from one address, and what is not optimized is slow.
    let _ = write!(text, "\n{RATES}");
    if cfg!(debug_assertions) {
        text.push_str("\n[limits]\nin_time_ms = 10000\n");
    }
    let router = plan.router.public;
    let _ = write!(
        text,
        "\n[signin]\norigins = [\"https://localhost:{router}\", \"https://localhost:{public}\"]\n"
    );
    text.push_str("\n[signin.passkeys]\nrp_id = \"localhost\"\n");
    let _ = write!(text, "\n[[signin.sealing_keys]]\nnumber = 1\nfile = \"keys/{}\"\n", sealing_key::FILE);
    Ok(text)
}

fn router_toml(home: &Home, plan: &Plan, rules: &Rulebook, reach: Reach) -> Result<String> {
    let router = &plan.router;
    let (own, _) = reach.peer(plan.regions.len());
    let mut text = format!(
        "# Written by `domicile dev` at each start.\n\
         listen = \"127.0.0.1:{}\"\ningress = \"{}\"\n\n\
         [tls]\ncert = \"tls/public.pem\"\nkey = \"tls/public.key\"\n\n\
         [peer]\nlisten = \"{own}:{}\"\nca = {}\ncert = \"tls/peer.pem\"\nkey = \"tls/peer.key\"\n\n\
         [rules]\nfile = {}\nverify_key = {}\n\n\
         [control]\nid = {}\ndir = \"control\"\n",
        router.public,
        router.ingress,
        router.peer,
        quoted(&home.ca_cert())?,
        quoted(&rules.file)?,
        quoted(&rules.verify_key)?,
        router.node,
    );
    for (side, planned) in plan.regions.iter().enumerate() {
        let PlannedRegion { region, node, peer, .. } = planned;
        let (_, at) = reach.peer(side);
        let _ = write!(text, "\n[[control.peers]]\nid = {node}\nregion = \"{region}\"\nat = \"{at}:{peer}\"\n");
    }
    let _ = write!(text, "\n[control.timings]\n{}\n{RATES}", reach.timings());
    Ok(text)
}

/// So much that no load of this machine's reaches it, and the headers are there to be seen.
const RATES: &str = "[rates]\n\
     organisation = { per_minute = 60000000, burst = 1000000 }\n\
     service = { per_minute = 60000000, burst = 1000000 }\n\
     patient = { per_minute = 60000000, burst = 1000000 }\n\
     address = { per_minute = 60000000, burst = 1000000 }\n\
     sign_in = { per_minute = 60000000, burst = 1000000 }\n";

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::super::plan;
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_written_is_what_a_node_and_a_router_accept() {
        accepted(Reach::Loopback);
        accepted(Reach::Links);
    }

    fn accepted(reach: Reach) {
        let dir = tempfile::tempdir().expect("a folder");
        // A folder that needs quoting.
        let home = Home::at(Some(&dir.path().join("a \"b\" c"))).expect("a home");
        let rules = Rulebook::open_or_create(&home).expect("opens");
        let plan = plan::settle(&home, &plan::Wish::default(), &SystemEntropy::new()).expect("settles");
        for planned in &plan.regions {
            keep::folder(home.region(planned.region).root(), Readers::All).expect("makes");
        }
        keep::folder(&home.router(), Readers::Owner).expect("makes");
        write(&home, &plan, &rules, Some("http://127.0.0.1:4318/v1/traces"), reach).expect("writes");
        let mut founders = 0;
        let mut doors = std::collections::BTreeSet::new();
        for planned in &plan.regions {
            let config = Config::load(&home.region(planned.region).node_toml()).expect("is accepted");
            assert_eq!(config.region.region(), planned.region);
            assert_eq!(config.control.voters().len(), 3);
            assert_eq!(config.rules.file, rules.file);
            assert_eq!(config.traces.per_mille, 1000);
            founders += usize::from(config.control.found);
            assert_eq!(config.listen.peer.ip().to_string() == "127.0.0.1", reach == Reach::Loopback);
            doors.insert(config.listen.peer.ip());
        }
        assert_eq!(founders, 1, "exactly one node makes the cluster");
        assert_eq!(doors.len(), if reach == Reach::Links { 3 } else { 1 });
        let router = router::config::Config::read(&home.router_toml()).expect("is accepted");
        assert_eq!(router.peers.len(), 3);
        assert_eq!(router.listen.port(), plan.router.public);
    }
}
