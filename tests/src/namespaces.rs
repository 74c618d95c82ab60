//! Links between network namespaces: whether they can be tested on this machine, and those of a cluster that runs.

use anyhow::{Result, anyhow};
use disks::not_tested;
use links::fabric::Row;
use links::steer::{self, Order};
use links::{Change, Namespace, OpenError};

use crate::cluster::Cluster;
use crate::workspace::environment;

/// Whether links can be made here. Where an ordinary user may not, or where `DOMICILE_NO_LINKS=1` says so, it is said
/// what was not tested. A machine that should be able to and is not fails the test.
pub fn available(test: &str) -> bool {
    if environment("DOMICILE_NO_LINKS").is_some_and(|v| v != "0") {
        not_tested(test, "DOMICILE_NO_LINKS is set");
        return false;
    }
    match Namespace::create() {
        Err(OpenError::Forbidden) if !is_root() => {
            not_tested(test, "only root may make network namespaces here");
            false
        }
        Err(error) => panic!("{error}: DOMICILE_NO_LINKS=1 leaves these tests out"),
        Ok(_) => {
            let tun = std::path::Path::new("/dev/net/tun");
            assert!(tun.exists(), "{} is not there: DOMICILE_NO_LINKS=1 leaves these tests out", tun.display());
            true
        }
    }
}

fn is_root() -> bool {
    // Its own folder under /proc belongs to whoever a process runs as.
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Gives an order to the links of a cluster and returns every link after it.
pub fn order(cluster: &Cluster, order: &Order) -> Result<Vec<Row>> {
    steer::order(cluster.home(), order)?.map_err(|why| anyhow!("{why}"))
}

/// Every link as it is.
pub fn show(cluster: &Cluster) -> Result<Vec<Row>> {
    self::order(cluster, &Order::Show {})
}

/// Makes every link as a profile has it.
pub fn be(cluster: &Cluster, profile: &str) -> Result<Vec<Row>> {
    self::order(cluster, &Order::Use { profile: profile.to_owned() })
}

/// Changes all links of a side; one way: only those that leave it.
pub fn change(cluster: &Cluster, side: &str, one_way: bool, change: Change) -> Result<Vec<Row>> {
    self::order(cluster, &Order::Change { one: side.to_owned(), other: None, one_way, change })
}
