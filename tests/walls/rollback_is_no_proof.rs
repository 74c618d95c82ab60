//! What was undone proves nothing.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionTx, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        RegionTx::begin(pool, permit, scope, "a").await?.rollback().await;
        Ok(None)
    }
    #[cfg(wall)]
    { Ok(Some(RegionTx::begin(pool, permit, scope, "a").await?.rollback().await)) } //~ E0308
}
