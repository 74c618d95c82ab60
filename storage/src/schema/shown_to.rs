//! Who of the workforce may be shown what the registry lists. A patient may be shown their own: `node/policy/fields.tsv` says
//! which of it is.

use residency_policy::Role;

/// It is shown to nobody.
pub(super) const NOBODY: &[Role] = &[];
/// Who cares for a patient.
pub(super) const CARE: &[Role] = &[Role::Provider, Role::ProviderStaff];
/// What says that a visit was, and not what was said: an auditor checks by it.
pub(super) const VISIT: &[Role] = &[Role::Provider, Role::ProviderStaff, Role::Auditor];
/// Who reads the ledger of consents.
pub(super) const LEDGER: &[Role] = &[Role::Provider, Role::ProviderStaff, Role::OrgAdmin, Role::Auditor];
/// Who breaks the glass, and who reviews that.
pub(super) const GLASS: &[Role] = &[Role::Provider, Role::OrgAdmin, Role::Auditor];
/// Who reviews what was done.
pub(super) const REVIEW: &[Role] = &[Role::OrgAdmin, Role::Auditor];
/// Who writes what was said.
pub(super) const CLINICIAN: &[Role] = &[Role::Provider];
/// Who is told who somebody is.
pub(super) const DEMOGRAPHICS: &[Role] =
    &[Role::Provider, Role::ProviderStaff, Role::OrgAdmin, Role::Pharmacist, Role::LabTech];
/// What says that a record is, and not whose: an auditor checks by it.
pub(super) const RECORD: &[Role] =
    &[Role::Provider, Role::ProviderStaff, Role::OrgAdmin, Role::Pharmacist, Role::LabTech, Role::Auditor];
