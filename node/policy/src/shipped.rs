//! The policies that come with the product.

use crate::{Loaded, PolicyError, PolicyFile};

macro_rules! file {
    ($name:literal) => {
        PolicyFile { name: $name, text: include_str!(concat!("../policies/", $name)) }
    };
}

/// What a decision may speak of.
pub const SCHEMA: PolicyFile<'static> = file!("schema.cedarschema");

/// The policies, file by file.
pub const POLICIES: &[PolicyFile<'static>] = &[
    file!("break_glass.cedar"),
    file!("care.cedar"),
    file!("laboratory.cedar"),
    file!("never.cedar"),
    file!("oversight.cedar"),
    file!("payment.cedar"),
    file!("pharmacy.cedar"),
    file!("workplace.cedar"),
];

impl Loaded {
    /// Loads the policies that come with the product.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::parse(SCHEMA, POLICIES)
    }
}
