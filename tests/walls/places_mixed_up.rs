//! Where bytes enter is not where PHI lives.
use tests::walls::residency_policy::{Home, Ingress};

pub fn home(home: Home, ingress: Ingress) -> Home {
    #[cfg(not(wall))]
    {
        let _ = ingress;
        home
    }
    #[cfg(wall)]
    { let _ = home; ingress } //~ E0308
}
