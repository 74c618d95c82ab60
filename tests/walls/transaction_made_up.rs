//! A transaction is begun, not made.
use tests::walls::storage::RegionTx;

pub fn tx(begun: RegionTx) -> RegionTx {
    #[cfg(not(wall))]
    {
        begun
    }
    #[cfg(wall)]
    { let _ = begun; RegionTx::default() } //~ E0599
}
