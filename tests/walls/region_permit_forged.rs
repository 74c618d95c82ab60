//! So is a permit for a region.
use tests::walls::residency_policy::{Home, RegionPermit};

pub fn permit(decided: RegionPermit, home: Home) -> RegionPermit {
    #[cfg(not(wall))]
    {
        let _ = home;
        decided
    }
    #[cfg(wall)]
    { let _ = decided; RegionPermit { home } } //~ E0451
}
