//! Tells the region's own fence what the directory decided: who is retired here, and which epoch holds.
//!
//! The directory is what everybody else goes by; the fence is asked in the transaction that serves. Without this a
//! request that passed the check of the directory a moment ago could still write.

use std::collections::HashSet;
use std::time::Duration;

use residency_policy::{Epoch, PatientId, Placement, Region};
use storage::RegionPool;

use crate::wiring::Node;

/// How long after a failure it is tried again although nothing new was decided.
const PAUSE: Duration = Duration::from_secs(2);

/// Follows the directory for ever.
pub fn follow(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (reader, pool) = (node.control.reader(), node.pool.clone());
    let mut told = Told::new(node.config.region.region());
    async move {
        let mut turns = None;
        loop {
            let (seen, present) = (reader.applied(), reader.placement_turns());
            if turns == Some(present) {
                reader.applied_after(seen).await;
                continue;
            }
            match tell(&pool, &mut told, reader.changed_placements()).await {
                Ok(()) => turns = Some(present),
                Err(error) => {
                    tracing::warn!(%error, "the fence could not be told what the directory decided; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Tells what was not told yet, up to the first failure.
async fn tell(pool: &RegionPool, told: &mut Told, changed: Vec<Placement>) -> Result<(), storage::Error> {
    for placement in told.news(changed) {
        if pool.raise_fence(placement.patient, placement.epoch, placement.state).await? {
            tracing::info!(epoch = placement.epoch.0, "the fence was raised");
        }
        told.remember(&placement);
    }
    Ok(())
}

/// What this process has told the fence. After a start all is told once more, which changes nothing.
struct Told {
    region: Region,
    done: HashSet<(PatientId, Epoch)>,
}

impl Told {
    fn new(region: Region) -> Self {
        Self { region, done: HashSet::new() }
    }

    /// What concerns this region and was not told yet.
    fn news(&self, mut changed: Vec<Placement>) -> Vec<Placement> {
        changed.retain(|p| p.home.0 == self.region && !self.done.contains(&(p.patient, p.epoch)));
        changed
    }

    fn remember(&mut self, placement: &Placement) {
        self.done.insert((placement.patient, placement.epoch));
    }
}

#[cfg(test)]
mod tests {
    use residency_policy::{Home, PlacementState};

    use super::*;

    fn placement(n: u8, code: &str, epoch: u32) -> Placement {
        let home = Home(Region(code.parse().expect("a jurisdiction")));
        let patient = PatientId::from_bytes([n; 16]);
        Placement { patient, home, epoch: Epoch(epoch), state: PlacementState::Retired }
    }

    #[test]
    fn what_is_decided_of_this_region_is_told_once_and_again_after_a_failure() {
        let mut told = Told::new(Region("US-TX".parse().expect("a jurisdiction")));
        let all = [placement(1, "US-TX", 2), placement(2, "US-CA", 2), placement(3, "US-TX", 2)];
        assert_eq!(told.news(all.to_vec()), [all[0], all[2]], "nothing of California");
        told.remember(&all[0]);
        assert_eq!(told.news(all.to_vec()), [all[2]], "what failed is told again, and only that");
        told.remember(&all[2]);
        assert_eq!(told.news(all.to_vec()), []);
        let later = placement(1, "US-TX", 3);
        assert_eq!(told.news(vec![later, all[1], all[2]]), [later], "the control: a later epoch is news");
    }
}
