//! Patient ids that were claimed ahead.
//!
//! The control plane hands out ids by the thousand; registration takes one from here and needs no consensus round
//! trip. A taken id has its home row, so its fence exists before anything is written under it.

use std::sync::Arc;

use residency_policy::{Entropy, Epoch, PatientId};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{Error, RegionPool};

const REFILL: &str = "INSERT INTO id_pool (patient_id)
    SELECT new.id FROM unnest($1::uuid[]) AS new (id)
    WHERE NOT EXISTS (SELECT 1 FROM patient_home h WHERE h.patient_id = new.id)
    ON CONFLICT DO NOTHING";
/// An id whose home row is there already is not handed out, whoever put the row there.
///
/// Ids are claimed and stored in their order. Taken from a random place in the order of all ids, and shuffled, two ids
/// do not say which of them was registered first. To draw each at random would mean to look at all of them each time.
const TAKE: &str = "WITH chosen AS MATERIALIZED (
        SELECT patient_id FROM id_pool WHERE patient_id >= $3 ORDER BY patient_id LIMIT $1 FOR UPDATE SKIP LOCKED),
    taken AS (
        DELETE FROM id_pool USING chosen WHERE id_pool.patient_id = chosen.patient_id
        RETURNING id_pool.patient_id)
    INSERT INTO patient_home (patient_id, epoch, state) SELECT patient_id, $2, 'active' FROM taken
    ON CONFLICT DO NOTHING RETURNING patient_id";
const LEFT: &str = "SELECT count(*) FROM id_pool";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] =
    &[("ids.refill", REFILL), ("ids.take", TAKE), ("ids.left", LEFT)];

/// Taken together, so that a registration does not pay for a commit to get its id.
const TAKEN_TOGETHER: i64 = 128;

/// Ids that this process has taken and not handed out yet. Lost when it ends, which is fine.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<Mutex<Vec<PatientId>>>);

/// No id can be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The pool is empty and the control plane has not given new ids yet.
    #[error("no claimed patient ids are left")]
    Empty,
    /// From the database.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// Adds claimed ids and returns how many were news.
pub async fn refill(pool: &RegionPool, ids: &[PatientId]) -> Result<u64, Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    Ok(pool.ask("ids.refill", REFILL, &[&ids]).await?.changed)
}

impl RegionPool {
    /// Takes an id that nobody else gets. If it is neither used nor given back, it is lost, which is fine.
    pub async fn take_id(&self) -> Result<PatientId, TakeError> {
        // Held while asking: callers that come meanwhile share the answer.
        let mut taken = self.0.taken.0.lock().await;
        if taken.is_empty() {
            let first = i64::from(Epoch::FIRST.0);
            // Beyond the last id there may be none; before the first there are all that are left.
            for from in [PatientId::random(&*self.0.entropy).uuid(), Uuid::nil()] {
                for row in self.ask("ids.take", TAKE, &[&TAKEN_TOGETHER, &first, &from]).await?.rows {
                    taken.push(PatientId::from(row.get::<Uuid>("patient_id")?));
                }
                if !taken.is_empty() {
                    break;
                }
            }
            shuffle(&mut taken, &*self.0.entropy);
        }
        taken.pop().ok_or(TakeError::Empty)
    }

    /// Takes back an id under which nothing was committed, so that the next registration gets it.
    pub async fn give_back(&self, id: PatientId) {
        self.0.taken.0.lock().await.push(id);
    }

    /// How many ids are left in the database.
    pub async fn ids_left(&self) -> Result<u64, Error> {
        let asked = self.ask("ids.left", LEFT, &[]).await?;
        let left: i64 = asked.rows.first().ok_or(Error::NotOneRow)?.get("count")?;
        Ok(u64::try_from(left).unwrap_or(0))
    }
}

/// Fisher-Yates. A remainder of 64 random bits by a few dozen favours no place by any measure.
fn shuffle(ids: &mut [PatientId], entropy: &dyn Entropy) {
    for last in (1..ids.len()).rev() {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let at = u64::from_le_bytes(bytes) % (last as u64 + 1);
        ids.swap(last, usize::try_from(at).unwrap_or(last));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Bytes that count on from each other.
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill_with(|| self.0.fetch_add(37, Ordering::Relaxed));
        }
    }

    #[test]
    fn ids_are_handed_out_in_no_order_and_none_is_lost() {
        let sorted: Vec<_> = (0..32).map(|n| PatientId::from_bytes([n; 16])).collect();
        let mut shuffled = sorted.clone();
        shuffle(&mut shuffled, &Counting(AtomicU8::new(1)));
        assert_ne!(shuffled, sorted);
        assert!(
            shuffled.windows(2).any(|two| two[0] < two[1]) && shuffled.windows(2).any(|two| two[0] > two[1])
        );
        assert_eq!(shuffled.iter().collect::<BTreeSet<_>>(), sorted.iter().collect());
        shuffle(&mut [], &Counting(AtomicU8::new(1)));
    }
}
