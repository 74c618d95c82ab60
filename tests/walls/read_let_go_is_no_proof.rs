//! A read that was let go proves nothing.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionRead, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        drop(RegionRead::begin(pool, permit, scope, "a")?);
        Ok(None)
    }
    #[cfg(wall)]
    { Ok(Some(drop(RegionRead::begin(pool, permit, scope, "a")?))) } //~ E0308
}
