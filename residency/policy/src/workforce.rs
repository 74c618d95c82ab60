//! Who asks, and why: the terms of the access matrix.

/// A closed list of words: an enum with its texts, the way back from a text, and serde's conversions.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $wrong:ident, $expected:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        #[doc = concat!("The text is not ", $expected, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("not {}", $expected)]
        pub struct $wrong;

        impl std::str::FromStr for $name {
            type Err = $wrong;
            fn from_str(text: &str) -> Result<Self, $wrong> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or($wrong)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// What kind of organisation a tenant is.
    OrgType, NotAnOrgType, "an organisation type" {
        /// Clinicians and their staff.
        Provider = "provider",
        /// A laboratory.
        Lab = "lab",
        /// A pharmacy.
        Pharmacy = "pharmacy",
        /// A marketing partner: may refer patients, may never read PHI.
        Marketing = "marketing",
        /// An outside auditor.
        Auditor = "auditor",
    }
}

words! {
    /// Why an organisation was closed.
    Closure, NotAClosure, "a reason to close an organisation" {
        /// It no longer works.
        Ceased = "ceased",
        /// It became part of another one.
        Merged = "merged",
        /// Its contract ended.
        ContractEnded = "contract-ended",
        /// It should never have been added.
        EnteredInError = "entered-in-error",
        /// Its keys are in wrong hands.
        Compromised = "compromised",
    }
}

words! {
    /// What lets an organisation that is no covered entity have PHI.
    BasisKind, NotABasisKind, "a kind of legal basis" {
        /// A business associate agreement (45 CFR 164.504(e)).
        BusinessAssociateAgreement = "business-associate-agreement",
        /// The patients' authorisation of marketing (45 CFR 164.508(a)(3)).
        Authorization = "authorization",
    }
}

words! {
    /// What a caller's credential lets them be.
    Role, NotARole, "a role" {
        /// A licensed clinician.
        Provider = "provider",
        /// Staff who work under a clinician.
        ProviderStaff = "provider_staff",
        /// Administers one organisation.
        OrgAdmin = "org_admin",
        /// Works for a marketing partner.
        Marketer = "marketer",
        /// Works for a pharmacy.
        Pharmacist = "pharmacist",
        /// Works for a laboratory.
        LabTech = "lab_tech",
        /// Checks, and sees tokens only.
        Auditor = "auditor",
    }
}

words! {
    /// Why PHI is asked for: codes of HL7 `v3-ActReason`.
    Purpose, NotAPurpose, "an HL7 v3-ActReason code that is accepted here" {
        /// Treatment.
        Treat = "TREAT",
        /// Emergency treatment.
        EmergencyTreat = "ETREAT",
        /// Break the glass.
        BreakTheGlass = "BTG",
        /// Health care payment.
        Payment = "HPAYMT",
        /// Health care operations.
        Operations = "HOPERAT",
        /// Care management.
        CareManagement = "CAREMGT",
        /// Coverage authorisation.
        CoverageAuthorization = "COVAUTH",
        /// Health care marketing.
        Marketing = "HMARKT",
        /// At the patient's request.
        PatientRequest = "PATRQT",
        /// Patient safety.
        PatientSafety = "PATSFTY",
        /// Public health.
        PublicHealth = "PUBHLTH",
        /// Health care research.
        Research = "HRESCH",
        /// Legal.
        Legal = "HLEGAL",
        /// System administration.
        SystemAdministration = "HSYSADMIN",
        /// At the family's request.
        FamilyRequest = "FAMRQT",
    }
}
