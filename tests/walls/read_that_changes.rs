//! A read changes nothing.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionRead, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        RegionRead::begin(pool, permit, scope, "a")?.disclose(accesses).await.map(Some)
    }
    #[cfg(wall)]
    { let tx = RegionRead::begin(pool, permit, scope, "a")?; tx.execute("SELECT 1", &[]).await?; tx.disclose(accesses).await.map(Some) } //~ E0599
}
