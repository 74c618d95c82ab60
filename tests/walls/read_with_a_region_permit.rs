//! A permit for lists is no permit for a patient, also where nothing is changed.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionRead, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        RegionRead::begin(pool, permit, scope, "a")?.disclose(accesses).await.map(Some)
    }
    #[cfg(wall)]
    { RegionRead::begin(pool, region, scope, "a")?.disclose(accesses).await.map(Some) } //~ E0308
}
