//! The networks that an organisation lets its people and programs come from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One network in CIDR notation (RFC 4632, RFC 4291 section 2.3), such as `203.0.113.0/24` or `2001:db8::/48`; a single
/// address is a network of its own. Written in one way only: no bit is set past the prefix, and what is IPv4 is not
/// written as IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// At most 64 networks, ascending, none of them twice. None at all stands for everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Network>", into = "Vec<Network>")]
pub struct Networks(Box<[Network]>);

/// The text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network: expected an address, or a prefix with no bit set past it, such as 203.0.113.0/24")]
pub struct NotANetwork;

/// There are too many networks, or one is there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of networks: expected at most 64, none of them twice")]
pub struct NotNetworks;

impl Network {
    /// The longest text, in bytes.
    pub const LEN_MAX: usize = 43;

    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        if text.len() > Self::LEN_MAX {
            return Err(NotANetwork);
        }
        let read = text.parse::<IpAddr>().map(IpNet::from).ok().or_else(|| text.parse::<IpNet>().ok());
        let net = read.ok_or(NotANetwork)?;
        let mapped = matches!(net.addr(), IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
        if mapped || net.trunc() != net { Err(NotANetwork) } else { Ok(Self(net)) }
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Networks {
    /// The most networks.
    pub const LEN_MAX: usize = 64;

    /// These networks, in any order.
    pub fn new(mut networks: Vec<Network>) -> Result<Self, NotNetworks> {
        networks.sort_unstable();
        let twice = networks.windows(2).any(|pair| pair[0] == pair[1]);
        if twice || networks.len() > Self::LEN_MAX { Err(NotNetworks) } else { Ok(Self(networks.into())) }
    }

    /// The networks, ascending.
    pub fn as_slice(&self) -> &[Network] {
        &self.0
    }

    /// Whether who comes from there may come. Where only some may, an address that is not known is none of them.
    pub fn admit(&self, from: Option<IpAddr>) -> bool {
        self.0.is_empty() || from.is_some_and(|from| self.0.iter().any(|network| network.contains(from)))
    }
}

impl TryFrom<Vec<Network>> for Networks {
    type Error = NotNetworks;

    fn try_from(networks: Vec<Network>) -> Result<Self, NotNetworks> {
        Self::new(networks)
    }
}

impl From<Networks> for Vec<Network> {
    fn from(networks: Networks) -> Self {
        networks.0.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|text| text.parse().expect("a network")).collect()).expect("networks")
    }

    fn admits(networks: &Networks, text: &str) -> bool {
        networks.admit(Some(text.parse().expect("an address")))
    }

    #[test]
    fn a_network_has_one_spelling() {
        for (text, shown) in [
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("2001:DB8::/48", "2001:db8::/48"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().map(|one| one.to_string()), Ok(shown.to_owned()));
        }
        for text in [
            "",
            "203.0.113.7/24",
            "203.0.113.0/33",
            "203.0.113.0/",
            "203.0.113",
            "2001:db8::1/48",
            "::ffff:203.0.113.7",
            "::ffff:203.0.113.0/120",
            "clinic.example",
            " 203.0.113.7",
            &"1".repeat(44),
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text:?}");
        }
    }

    #[test]
    fn who_is_in_none_of_them_may_not_come_and_nobody_unknown() {
        let some = all(&["203.0.113.0/24", "2001:db8:7::/48"]);
        assert!(admits(&some, "203.0.113.9") && admits(&some, "2001:db8:7:1::5"));
        assert!(admits(&some, "::ffff:203.0.113.9"), "the same address, as a socket for both says it");
        assert!(!admits(&some, "203.0.114.9") && !admits(&some, "2001:db8:8::5") && !some.admit(None));
        assert!(admits(&Networks::default(), "203.0.114.9") && Networks::default().admit(None));
    }

    #[test]
    fn a_list_is_bounded_and_without_doubles_also_on_the_wire() {
        let many = |n: u8| (0..n).map(|n| format!("10.{n}.0.0/16").parse().expect("a network")).collect();
        assert!(Networks::new(many(64)).is_ok());
        assert_eq!(Networks::new(many(65)), Err(NotNetworks));
        let some = all(&["203.0.113.0/24", "198.51.100.0/24"]);
        let bytes = postcard::to_allocvec(&some).expect("encodes");
        assert_eq!(postcard::from_bytes::<Networks>(&bytes), Ok(some));
        let twice = postcard::to_allocvec(&["10.0.0.0/8", "10.0.0.0/8"][..]).expect("encodes");
        assert!(postcard::from_bytes::<Networks>(&twice).is_err());
    }
}
