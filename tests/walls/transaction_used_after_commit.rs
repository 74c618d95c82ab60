//! A transaction ends when it commits.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionTx, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        let tx = RegionTx::begin(pool, permit, scope, "a").await?;
        tx.execute("SELECT 1", &[]).await?;
        tx.commit(accesses).await.map(Some)
    }
    #[cfg(wall)]
    { let tx = RegionTx::begin(pool, permit, scope, "a").await?; let seen = tx.commit(accesses).await?; tx.execute("SELECT 1", &[]).await?; Ok(Some(seen)) } //~ E0382
}
