//! A transaction on a patient begins with a permit: knowing where a patient lives is none.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionTx, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        RegionTx::begin(pool, permit, scope, "a").await?.commit(accesses).await.map(Some)
    }
    #[cfg(wall)]
    { RegionTx::begin(pool, placed, scope, "a").await?.commit(accesses).await.map(Some) } //~ E0308
}
