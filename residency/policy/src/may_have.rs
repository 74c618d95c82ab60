//! Which roles an organisation of a kind may have: nobody becomes a clinician by working for a marketing partner.

use crate::{OrgType, Role};

impl OrgType {
    /// Whether somebody may have this role in an organisation of this kind (45 CFR 164.308(a)(4)(ii)(C), 164.502(b)).
    ///
    /// A marketing partner has nobody whose role reads PHI, an auditor included: it sees its own referrals as a
    /// `marketer`, and what its administrator may ask for is no PHI, which the access policies say again.
    pub const fn may_have(self, role: Role) -> bool {
        match role {
            Role::OrgAdmin => true,
            Role::Provider | Role::ProviderStaff => matches!(self, Self::Provider),
            Role::LabTech => matches!(self, Self::Lab),
            Role::Pharmacist => matches!(self, Self::Pharmacy),
            Role::Marketer => matches!(self, Self::Marketing),
            Role::Auditor => matches!(self, Self::Provider | Self::Lab | Self::Pharmacy | Self::Auditor),
        }
    }
}

impl Role {
    /// A kind of organisation that may have it: the one where most who have it work.
    pub const fn usual_kind(self) -> OrgType {
        match self {
            Self::Provider | Self::ProviderStaff | Self::OrgAdmin | Self::Auditor => OrgType::Provider,
            Self::LabTech => OrgType::Lab,
            Self::Pharmacist => OrgType::Pharmacy,
            Self::Marketer => OrgType::Marketing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(kind: OrgType) -> Vec<&'static str> {
        Role::ALL.iter().filter(|role| kind.may_have(**role)).map(|role| role.as_str()).collect()
    }

    #[test]
    fn every_kind_has_its_own_roles_and_an_administrator() {
        assert_eq!(roles(OrgType::Provider), ["provider", "provider_staff", "org_admin", "auditor"]);
        assert_eq!(roles(OrgType::Lab), ["org_admin", "lab_tech", "auditor"]);
        assert_eq!(roles(OrgType::Pharmacy), ["org_admin", "pharmacist", "auditor"]);
        assert_eq!(roles(OrgType::Marketing), ["org_admin", "marketer"]);
        assert_eq!(roles(OrgType::Auditor), ["org_admin", "auditor"]);
        for role in Role::ALL {
            assert!(role.usual_kind().may_have(*role), "{role}");
        }
    }
}
