//! There is no default region.
use tests::walls::residency_policy::{Home, Jurisdiction, Region};

pub fn home(jurisdiction: Jurisdiction) -> Home {
    #[cfg(not(wall))]
    {
        Home(Region(jurisdiction))
    }
    #[cfg(wall)]
    { let _ = jurisdiction; Home(Region::default()) } //~ E0599
}
