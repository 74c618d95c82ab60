//! Proof that everything may be shown comes from a decision and from nothing else.
use tests::walls::node_access::shown::Full;

pub fn full<V>(one: Full<V>) -> Full<V> {
    #[cfg(not(wall))]
    {
        one
    }
    #[cfg(wall)]
    { let _ = one; Full(std::marker::PhantomData) } //~ E0423
}
