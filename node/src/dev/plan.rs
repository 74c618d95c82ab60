//! What is chosen once and kept: which regions, which ports, which node ids, which seed.

use std::collections::BTreeSet;
use std::net::TcpListener;

use anyhow::{Result, bail, ensure};
use residency_policy::{Entropy, Jurisdiction, Label, Region};
use serde::{Deserialize, Serialize};

use super::keep::{self, Readers};
use super::layout::Home;

/// Everything that must be the same the next time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The cluster's name, which is part of every data key's context: no two homes share it.
    pub cluster: Label,
    /// What the synthetic people grow from.
    pub seed: u64,
    /// In the order they were asked for.
    pub regions: Vec<PlannedRegion>,
    /// The edge.
    pub router: PlannedRouter,
}

/// One region of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRegion {
    /// Which.
    pub region: Region,
    /// Its node's id in the control plane. Never given to another disk.
    pub node: u64,
    /// Whether it votes in the control plane, or only learns.
    pub voter: bool,
    /// The port for callers.
    pub public: u16,
    /// The port for peers.
    pub peer: u16,
    /// The database's port.
    pub postgres: u16,
}

/// The router of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRouter {
    /// The place it declares to be.
    pub ingress: Jurisdiction,
    /// Its id in the control plane.
    pub node: u64,
    /// The port for callers.
    pub public: u16,
    /// The port for peers.
    pub peer: u16,
}

/// What a caller asked for; `None` means: as it was, or the default.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The states.
    pub states: Option<Vec<Jurisdiction>>,
    /// The seed.
    pub seed: Option<u64>,
    /// The router's declared place.
    pub ingress: Option<Jurisdiction>,
    /// The router's port.
    pub router_port: Option<u16>,
    /// The first of a row of ports.
    pub port_base: Option<u16>,
}

/// Room for every jurisdiction there is below it.
const ROUTER_NODE: u64 = 100;
/// More voters cost every change a round trip more and add little.
const VOTERS_MAX: usize = 5;
/// Below it only root may listen.
pub const PORT_MIN: u16 = 1_024;
/// Enough is left above it for every port of the largest cluster.
pub const PORT_MAX: u16 = 65_000;
/// Below the range from which Linux takes ports for outgoing connections, so that nobody takes ours by chance
/// while the cluster is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The plan of this home: the one it has, or a new one. Says why when the wish does not fit what is there.
pub fn settle(home: &Home, wish: &Wish, entropy: &dyn Entropy) -> Result<Plan> {
    let mut ports = Ports::new(wish.port_base, entropy);
    if let Some(port) = wish.router_port {
        ensure!(free(port), "the port {port} of the router is taken: something listens on it");
        ports.given.insert(port);
    }
    let plan = match keep::read_json::<Plan>(&home.plan())? {
        Some(plan) => revise(home, plan, wish, &mut ports)?,
        None => draw_up(wish, entropy, &mut ports)?,
    };
    keep::write_json(&home.plan(), Readers::Owner, &plan)?;
    Ok(plan)
}

fn draw_up(wish: &Wish, entropy: &dyn Entropy, ports: &mut Ports) -> Result<Plan> {
    let states = match &wish.states {
        Some(states) => states.clone(),
        None => ["CA", "NY", "TX"].iter().map(|s| Jurisdiction::from_postal(s)).collect::<Result<_, _>>()?,
    };
    ensure!(!states.is_empty(), "at least one state is needed");
    let distinct: BTreeSet<_> = states.iter().collect();
    ensure!(distinct.len() == states.len(), "a state is named twice: each has exactly one region");
    let mut tag = [0; 4];
    entropy.fill(&mut tag);
    let voters = voters(states.len());
    let mut regions = Vec::new();
    let router_public = match wish.router_port {
        Some(port) => port,
        None => ports.next()?,
    };
    for (i, state) in states.iter().enumerate() {
        regions.push(PlannedRegion {
            region: Region(*state),
            node: u64::try_from(i)? + 1,
            voter: i < voters,
            public: ports.next()?,
            peer: ports.next()?,
            postgres: ports.next()?,
        });
    }
    Ok(Plan {
        cluster: format!("dev-{}", data_encoding::HEXLOWER.encode(&tag)).parse()?,
        seed: wish.seed.unwrap_or(1),
        regions,
        router: PlannedRouter {
            ingress: wish.ingress.unwrap_or(states[0]),
            node: ROUTER_NODE,
            public: router_public,
            peer: ports.next()?,
        },
    })
}

/// An even voter costs every change a message and adds no tolerance: two survive as few failures as one does.
fn voters(regions: usize) -> usize {
    let most = regions.min(VOTERS_MAX);
    if most.is_multiple_of(2) { most - 1 } else { most }
}

/// Says why when the wish contradicts what this home holds.
pub fn fits(home: &Home, plan: &Plan, wish: &Wish) -> Result<()> {
    let there: BTreeSet<_> = plan.regions.iter().map(|r| r.region.0).collect();
    if let Some(states) = &wish.states {
        let asked: BTreeSet<_> = states.iter().copied().collect();
        if asked != there {
            let names: Vec<_> = plan.regions.iter().map(|r| r.region.0.postal()).collect();
            bail!(
                "{} holds a cluster of {}; use `--home` with another folder for other states, or stop this one \
                 and remove its folder",
                home.root().display(),
                names.join(",")
            );
        }
    }
    if let Some(seed) = wish.seed.filter(|seed| *seed != plan.seed) {
        bail!(
            "{} holds people of seed {}, not {seed}; use `--home` with another folder",
            home.root().display(),
            plan.seed
        );
    }
    // The router's place is in its certificate and in the control plane's membership.
    if let Some(ingress) = wish.ingress.filter(|ingress| *ingress != plan.router.ingress) {
        bail!(
            "the router of {} is in {}, not in {ingress}; use `--home` with another folder",
            home.root().display(),
            plan.router.ingress
        );
    }
    Ok(())
}

/// The ports of the last time stay, unless somebody has one of them now or others are asked for.
fn revise(home: &Home, mut plan: Plan, wish: &Wish, ports: &mut Ports) -> Result<Plan> {
    fits(home, &plan, wish)?;
    let mut others = Vec::new();
    let router_public = wish.router_port.is_none().then_some(&mut plan.router.public);
    let regions = plan.regions.iter_mut().flat_map(|r| [&mut r.public, &mut r.peer, &mut r.postgres]);
    // In the order in which a new plan draws them, so that a base means the same ports each time.
    for port in router_public.into_iter().chain(regions).chain([&mut plan.router.peer]) {
        let stays = wish.port_base.is_none() && *port >= PORT_MIN && free(*port) && ports.given.insert(*port);
        if !stays {
            others.push(port);
        }
    }
    for port in others {
        *port = ports.next()?;
    }
    if let Some(port) = wish.router_port {
        plan.router.public = port;
    }
    Ok(plan)
}

/// Whether nobody listens there now.
pub fn free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Finds ports nobody listens on and gives each only once.
struct Ports {
    next: u16,
    end: u16,
    given: BTreeSet<u16>,
}

impl Ports {
    fn new(base: Option<u16>, entropy: &dyn Entropy) -> Self {
        if let Some(base) = base {
            return Self { next: base, end: u16::MAX, given: BTreeSet::new() };
        }
        let mut draw = [0; 2];
        entropy.fill(&mut draw);
        // Start anywhere in the first half, so that clusters begun at the same time rarely meet.
        let half = (PORTS.end - PORTS.start) / 2;
        let next = PORTS.start + u16::from_be_bytes(draw) % half;
        Self { next, end: PORTS.end, given: BTreeSet::new() }
    }

    fn next(&mut self) -> Result<u16> {
        while self.next < self.end {
            let port = self.next;
            self.next += 1;
            if free(port) && self.given.insert(port) {
                return Ok(port);
            }
        }
        bail!("no free port is left below {}; give another `--port-base`", self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    struct Fixed;
    impl Entropy for Fixed {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill(7);
        }
    }

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        (dir, home)
    }

    fn states(text: &str) -> Vec<Jurisdiction> {
        text.split(',').map(|s| Jurisdiction::from_postal(s).expect("a state")).collect()
    }

    #[test]
    fn the_same_home_gives_the_same_plan_again() {
        let (_dir, home) = home();
        let first = settle(&home, &Wish::default(), &Fixed).expect("draws up");
        let second =
            settle(&home, &Wish { states: Some(states("TX,NY,CA")), ..Wish::default() }, &Fixed).expect("fits");
        assert_eq!(first, second, "the order of the wish does not matter");
        let mut ports: Vec<_> = first.regions.iter().flat_map(|r| [r.public, r.peer, r.postgres]).collect();
        ports.extend([first.router.public, first.router.peer]);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 11, "every port is given once");
    }

    #[test]
    fn other_states_or_another_seed_do_not_fit_a_home_in_use() {
        let (_dir, home) = home();
        settle(&home, &Wish::default(), &Fixed).expect("draws up");
        let ingress = Jurisdiction::from_postal("WA").ok();
        for wish in [
            Wish { states: Some(states("WA")), ..Wish::default() },
            Wish { seed: Some(2), ..Wish::default() },
            Wish { ingress, ..Wish::default() },
        ] {
            let error = settle(&home, &wish, &Fixed).expect_err("is refused").to_string();
            assert!(error.contains("--home"), "{error}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_replaced_and_the_others_stay() {
        let (_dir, home) = home();
        let plan = settle(&home, &Wish::default(), &Fixed).expect("draws up");
        let _taken = TcpListener::bind(("127.0.0.1", plan.regions[0].public)).expect("takes it");
        let moved = settle(&home, &Wish::default(), &Fixed).expect("moves over");
        assert_ne!(moved.regions[0].public, plan.regions[0].public);
        assert_eq!(moved.regions[0].peer, plan.regions[0].peer);
        assert_eq!(moved.regions[1], plan.regions[1]);
    }

    #[test]
    fn a_base_replaces_the_ports_that_were_kept_and_no_port_is_given_twice() {
        let (_dir, home) = home();
        let all = |plan: &Plan| {
            let mut all: Vec<_> = plan.regions.iter().flat_map(|r| [r.public, r.peer, r.postgres]).collect();
            all.extend([plan.router.public, plan.router.peer]);
            all
        };
        let mut poisoned = settle(&home, &Wish::default(), &Fixed).expect("draws up");
        poisoned.regions[0].public = 80;
        poisoned.regions[1].peer = poisoned.regions[1].public;
        keep::write_json(&home.plan(), Readers::Owner, &poisoned).expect("writes");
        let mended = settle(&home, &Wish::default(), &Fixed).expect("mends");
        let distinct: BTreeSet<_> = all(&mended).into_iter().collect();
        assert_eq!(distinct.len(), 11, "{distinct:?}");
        assert!(distinct.iter().all(|port| *port >= PORT_MIN));

        let taken = TcpListener::bind(("127.0.0.1", 0)).expect("takes one");
        let router_port = taken.local_addr().expect("has one").port();
        let wish = Wish { port_base: Some(40_000), router_port: Some(router_port), ..Wish::default() };
        assert!(settle(&home, &wish, &Fixed).is_err(), "somebody has the router's port");
        drop(taken);
        let moved = settle(&home, &wish, &Fixed).expect("moves");
        assert_eq!(moved.router.public, router_port);
        assert!(all(&moved).iter().all(|port| *port >= 32_768), "{moved:?}");
        assert_eq!(settle(&home, &wish, &Fixed).expect("fits"), moved, "a base means the same ports each time");
    }

    #[test]
    fn voters_are_odd_and_few() {
        for (regions, expected) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (57, 5)] {
            assert_eq!(voters(regions), expected, "{regions}");
        }
    }

    #[test]
    fn a_state_named_twice_or_no_state_is_refused() {
        for wish in [vec![], states("TX,TX")] {
            let (_dir, home) = home();
            assert!(settle(&home, &Wish { states: Some(wish), ..Wish::default() }, &Fixed).is_err());
            assert!(!Path::new(&home.plan()).exists(), "nothing is kept of a refused wish");
        }
    }
}
