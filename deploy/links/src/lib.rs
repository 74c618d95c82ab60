//! Links that misbehave: a network namespace for each side of a cluster on one machine, and between each two of them a
//! link whose delay, jitter, loss, duplication, reordering, bandwidth and cuts are ours to choose.
//!
//! The kernel's own emulator (`tc netem`) is a module that many kernels lack, and what it does cannot be repeated. Here
//! every namespace has one TUN device as its only way out; one thread of ours reads the IP packets that leave, asks
//! [`fate::fate`] what becomes of each, and writes what arrives, when it arrives, to the device of the other side. The
//! programs inside speak the kernel's real TCP. All chance comes from one seed: the same packets in the same order on
//! a link have the same fates.
//!
//! - [`fate`] decides, and is pure; [`shape`] says what a link is like; [`profile`] knows whole sets of links.
//! - [`fabric`] holds every link's shape and what it has done; [`steer`] lets another process change them.
//! - [`namespace`] makes namespaces, which end with the last process and the last handle: nothing is left to clean up.
//! - [`carry`] moves the packets; [`door`] lets the machine outside reach a port inside.
//!
//! Addresses are of `127.77.0.0/24`: every machine takes all of `127.0.0.0/8` for itself, so that a door outside can
//! have the very address that its target has inside, and a configuration is right in both places.

pub mod carry;
pub mod door;
pub mod fabric;
pub mod fate;
pub mod namespace;
pub mod profile;
pub mod shape;
pub mod steer;

use std::net::Ipv4Addr;

pub use carry::Links;
pub use fabric::Fabric;
pub use namespace::{Namespace, OpenError};
pub use profile::Profile;
pub use shape::{Change, Shape};

/// One end of links: a region, or the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What people call it, such as `tx`.
    pub name: String,
    /// Where it stands, as ISO 3166-2, such as `US-TX`.
    pub place: String,
}

/// The most sides: each has an address of one /24.
pub const SIDES_MAX: usize = 200;

/// The address of a side, by its place in the list.
pub fn address(side: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, 0, u8::try_from(side + 1).unwrap_or(u8::MAX))
}

/// The side that has this address.
pub(crate) fn side_at(address: Ipv4Addr) -> Option<usize> {
    match address.octets() {
        [127, 77, 0, last @ 1..=255] => Some(usize::from(last) - 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_has_an_address_of_its_own_and_is_found_by_it() {
        for side in 0..SIDES_MAX {
            assert_eq!(side_at(address(side)), Some(side));
        }
        assert_eq!(side_at(Ipv4Addr::LOCALHOST), None);
        assert_eq!(side_at(Ipv4Addr::new(127, 77, 0, 0)), None);
    }
}
