//! Who may see what a list is worked with does not see everything; the other way round they do.
use tests::walls::node_access::shown::{Full, Listed};

pub fn less<V>(full: Full<V>) -> Listed<V> {
    full.into()
}

pub fn more<V>(_full: Full<V>, _listed: Listed<V>) -> Full<V> {
    #[cfg(not(wall))]
    {
        _full
    }
    #[cfg(wall)]
    { _listed.into() } //~ E0277
}
