//! A read ends when it discloses.
use tests::walls::{residency_policy::{Permit, Placement, RegionPermit}, storage::{Access, Error, RegionPool, RegionRead, Scope, Seen}};

pub async fn act(pool: &RegionPool, permit: &Permit, region: &RegionPermit, placed: &Placement, scope: &Scope, accesses: &[Access]) -> Result<Option<Seen>, Error> {
    #[cfg(not(wall))]
    {
        let tx = RegionRead::begin(pool, permit, scope, "a")?;
        let _ = tx.now();
        tx.disclose(accesses).await.map(Some)
    }
    #[cfg(wall)]
    { let tx = RegionRead::begin(pool, permit, scope, "a")?; let seen = tx.disclose(accesses).await?; let _ = tx.now(); Ok(Some(seen)) } //~ E0382
}
