//! What marketers may be shown at all, marked in the document (`x-marketer-safe`).
//!
//! The mark is a decision about each schema, made here and nowhere else; what it holds is held against a list of fields
//! that is written apart (`node/policy/fields.tsv`). A schema that has a mark holds nothing of a patient and no number of
//! a licence. Of views by role only those with a mark are shown to marketers.

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// The mark's name in the document.
const MARK: &str = "x-marketer-safe";

/// The schemas that have it.
const SAFE: &[&str] = &[
    "Alive",
    "Authenticator",
    "Authority",
    "LicenceListItem",
    "Organisation",
    "OrganisationPage",
    "PageInfo",
    "Part",
    "Passkey",
    "PasskeyChallenge",
    "PasskeyEnrolment",
    "PasskeyList",
    "PatientSignedIn",
    "Problem",
    "ProblemField",
    "ProblemLicence",
    "ProblemSlot",
    "ProviderListItem",
    "ProviderPage",
    "Ready",
    "Region",
    "RegionPage",
    "SentToProvider",
    "Session",
    "SessionList",
    "SignedIn",
    "SigningKey",
    "SigningKeys",
];

/// Marks what marketers may be shown.
pub(crate) fn mark(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    for name in SAFE {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(*name) {
            object.extensions.get_or_insert_default().merge(ExtensionsBuilder::new().add(MARK, true).build());
        }
    }
    // A clinician without a licence is the same in both views, so that more than one of them fits.
    if let Some(schema) = components.schemas.get_mut("AnyProvider")
        && let RefOr::T(Schema::OneOf(views)) = schema
    {
        let any = AnyOfBuilder::new().description(views.description.take());
        let any = views.items.drain(..).fold(any, AnyOfBuilder::item);
        *schema = RefOr::T(Schema::AnyOf(any.build()));
    }
}
