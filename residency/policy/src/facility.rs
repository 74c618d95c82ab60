//! What public registers call a laboratory or a pharmacy. All of it is public, and none of it is a person's.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Npi, OrgType};

/// A number of ASCII digits and fixed capital letters, as its register writes it.
macro_rules! register_number {
    ($(#[$doc:meta])* $name:ident, $len:literal, $wrong:ident, $expected:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $len]);

        #[doc = concat!("The text is not ", $expected, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("expected {}", $expected)]
        pub struct $wrong;

        crate::spelt!($name, $wrong);

        impl $name {
            /// As the register writes it.
            pub fn as_str(&self) -> &str {
                // Only ASCII is ever stored.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = $wrong;

            fn from_str(text: &str) -> Result<Self, $wrong> {
                let bytes: [u8; $len] = text.as_bytes().try_into().map_err(|_| $wrong)?;
                let fits: fn(usize, u8) -> bool = $fits;
                let all = bytes.iter().enumerate().all(|(at, byte)| fits(at, *byte));
                if all { Ok(Self(bytes)) } else { Err($wrong) }
            }
        }
    };
}

register_number!(
    /// The number of a laboratory's certificate under the Clinical Laboratory Improvement Amendments (42 CFR 493): two
    /// digits of the state, `D`, seven digits.
    Clia,
    10,
    NotAClia,
    "a CLIA number such as 45D0000001",
    |at, byte| if at == 2 { byte == b'D' } else { byte.is_ascii_digit() }
);

register_number!(
    /// What the National Council for Prescription Drug Programs calls a pharmacy: seven digits (NCPDP Provider ID).
    Ncpdp,
    7,
    NotAnNcpdp,
    "an NCPDP Provider ID of seven digits",
    |_, byte| byte.is_ascii_digit()
);

/// What identifies an organisation of a kind that public registers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Facility {
    /// A laboratory.
    Lab {
        /// Its certificate.
        clia: Clia,
    },
    /// A pharmacy.
    Pharmacy {
        /// Its number in claims and prescriptions.
        ncpdp: Ncpdp,
        /// The organisation's own NPI (45 CFR 162.408): a number does not show whether it is a person's.
        npi: Npi,
    },
}

/// What was said of an organisation to identify it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// Its CLIA number.
    pub clia: Option<Clia>,
    /// Its NCPDP Provider ID.
    pub ncpdp: Option<Ncpdp>,
    /// Its NPI.
    pub npi: Option<Npi>,
}

/// Why something that was said, or was not, does not fit the kind of organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Organisations of this kind must have it.
    Missing,
    /// Organisations of this kind have none.
    NotForKind,
}

impl Facility {
    /// What identifies an organisation of this kind: `None` for one that no such register knows. Refused with the names of
    /// what is missing, and of what is too much.
    pub fn of(kind: OrgType, given: Given) -> Result<Option<Self>, Vec<(&'static str, Unfit)>> {
        let (lab, pharmacy) = (kind == OrgType::Lab, kind == OrgType::Pharmacy);
        let asked = [
            ("clia", lab, given.clia.is_some()),
            ("ncpdp", pharmacy, given.ncpdp.is_some()),
            ("npi", pharmacy, given.npi.is_some()),
        ];
        let unfit = asked.into_iter().filter_map(|(name, wanted, there)| match (wanted, there) {
            (true, false) => Some((name, Unfit::Missing)),
            (false, true) => Some((name, Unfit::NotForKind)),
            _ => None,
        });
        let unfit: Vec<_> = unfit.collect();
        match given {
            _ if !unfit.is_empty() => Err(unfit),
            Given { clia: Some(clia), .. } => Ok(Some(Self::Lab { clia })),
            Given { ncpdp: Some(ncpdp), npi: Some(npi), .. } => Ok(Some(Self::Pharmacy { ncpdp, npi })),
            _ => Ok(None),
        }
    }

    /// What kind of organisation it identifies.
    pub const fn kind(&self) -> OrgType {
        match self {
            Self::Lab { .. } => OrgType::Lab,
            Self::Pharmacy { .. } => OrgType::Pharmacy,
        }
    }

    /// The numbers again, as they are shown.
    pub const fn given(&self) -> Given {
        match *self {
            Self::Lab { clia } => Given { clia: Some(clia), ncpdp: None, npi: None },
            Self::Pharmacy { ncpdp, npi } => Given { clia: None, ncpdp: Some(ncpdp), npi: Some(npi) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Given {
        Given {
            clia: Some("45D0000001".parse().expect("a CLIA number")),
            ncpdp: Some("4500001".parse().expect("an NCPDP Provider ID")),
            npi: Some("1234567893".parse().expect("an NPI")),
        }
    }

    #[test]
    fn numbers_are_told_from_what_is_none() {
        for right in ["45D0000001", "00D9999999"] {
            assert_eq!(right.parse::<Clia>().map(|clia| clia.to_string()), Ok(right.to_owned()));
        }
        let wrong =
            ["", "45d0000001", "45D000000", "45D00000012", "D450000001", "4500000001", "45D000000x", "４５D0"];
        for wrong in wrong {
            assert_eq!(wrong.parse::<Clia>(), Err(NotAClia), "{wrong}");
        }
        assert_eq!("0123456".parse::<Ncpdp>().map(|ncpdp| ncpdp.to_string()), Ok("0123456".to_owned()));
        for wrong in ["", "123456", "12345678", "123456x", "12345 6", "+123456"] {
            assert_eq!(wrong.parse::<Ncpdp>(), Err(NotAnNcpdp), "{wrong}");
        }
        for text in ["\"zzphi7q\"", "{\"zzphi7q\": 1}"] {
            let error = serde_json::from_str::<Clia>(text).expect_err("is refused").to_string();
            assert!(!error.contains("zzphi7q"), "{error}");
        }
    }

    #[test]
    fn each_kind_has_its_own_numbers_and_no_others() {
        let Given { clia, ncpdp, npi } = whole();
        let lab = Given { clia, ..Given::default() };
        let pharmacy = Given { ncpdp, npi, ..Given::default() };
        for (kind, own) in [(OrgType::Lab, lab), (OrgType::Pharmacy, pharmacy)] {
            let facility = Facility::of(kind, own).expect("it fits").expect("it is one");
            assert_eq!((facility.kind(), facility.given()), (kind, own));
        }
        let missing = |names: &[&'static str]| -> Result<Option<Facility>, Vec<(&'static str, Unfit)>> {
            Err(names.iter().map(|name| (*name, Unfit::Missing)).collect())
        };
        assert_eq!(Facility::of(OrgType::Lab, Given::default()), missing(&["clia"]));
        assert_eq!(Facility::of(OrgType::Pharmacy, Given::default()), missing(&["ncpdp", "npi"]));
        assert_eq!(Facility::of(OrgType::Pharmacy, Given { npi, ..Given::default() }), missing(&["ncpdp"]));
        let over = vec![("ncpdp", Unfit::NotForKind), ("npi", Unfit::NotForKind)];
        assert_eq!(Facility::of(OrgType::Lab, whole()), Err(over));
        for kind in [OrgType::Provider, OrgType::Marketing, OrgType::Auditor] {
            assert_eq!(Facility::of(kind, Given::default()), Ok(None));
            assert_eq!(Facility::of(kind, lab), Err(vec![("clia", Unfit::NotForKind)]));
        }
    }
}
