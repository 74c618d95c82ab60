//! A read is begun, not made.
use tests::walls::storage::RegionRead;

pub fn tx(begun: RegionRead) -> RegionRead {
    #[cfg(not(wall))]
    {
        begun
    }
    #[cfg(wall)]
    { let _ = begun; RegionRead::default() } //~ E0599
}
