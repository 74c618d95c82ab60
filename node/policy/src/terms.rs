//! The words that a decision is asked in. Each is a word of the schema too; a test compares the two lists.

use residency_policy::{Role, words};

words! {
    /// What is acted on.
    Entity, NotAnEntity, "an entity of the access matrix" {
        /// A patient's demographics.
        Patient = "patient",
        /// What a patient answered before a visit.
        Intake = "intake",
        /// A request for care, and what was decided on it.
        Consult = "consult",
        /// An encounter and its addenda.
        Encounter = "encounter",
        /// An appointment of a patient.
        Appointment = "appointment",
        /// A patient's wish for an appointment.
        Waitlist = "waitlist",
        /// A message about a patient.
        Message = "message",
        /// A prescription with its drug and directions.
        Prescription = "prescription",
        /// How far a prescription is.
        PrescriptionStatus = "prescription_status",
        /// What a pharmacy handed out.
        Fulfillment = "fulfillment",
        /// An order to a laboratory.
        LabOrder = "lab_order",
        /// A laboratory's result.
        LabResult = "lab_result",
        /// A parcel to or from a patient.
        Shipment = "shipment",
        /// A patient's insurance.
        Coverage = "coverage",
        /// A claim and what was paid on it.
        Claim = "claim",
        /// A patient's payment.
        Payment = "payment",
        /// A payer's permission that is asked for beforehand.
        PriorAuthorization = "prior_authorization",
        /// A patient's consent.
        Consent = "consent",
        /// A grant to see a record in an emergency, and what was found of it afterwards.
        BreakGlass = "break_glass",
        /// What a patient signs in with, and their invitation to choose it.
        PatientLogin = "patient_login",
        /// A record of the access log.
        AuditEvent = "audit_event",
        /// A copy of many records that leaves.
        Export = "export",
        /// An organisation. Not PHI.
        Organisation = "organisation",
        /// What is recorded to let a marketing organisation have PHI. Not PHI.
        LegalBasis = "legal_basis",
        /// A region. Not PHI.
        Region = "region",
        /// A member of an organisation's workforce. Not PHI.
        User = "user",
        /// A session of somebody who signed in. Not PHI.
        Session = "session",
        /// The authenticator of somebody who signed in. Not PHI.
        Authenticator = "authenticator",
        /// An invitation to choose a password. Not PHI.
        Invitation = "invitation",
        /// A server that an organisation lets say who somebody is. Not PHI.
        IdentityProvider = "identity_provider",
        /// What an organisation asks of everybody who signs in there. Not PHI.
        SignInSettings = "sign_in_settings",
        /// A device that somebody signs in with. Not PHI.
        SignInDevice = "sign_in_device",
        /// A key that a program shows. Not PHI.
        ApiKey = "api_key",
        /// A clinician, with licences. Not PHI.
        Provider = "provider",
        /// A provider's hours and free slots. Not PHI.
        Calendar = "calendar",
        /// A slot that is held under a random handle. Not PHI.
        Hold = "hold",
        /// A slot that is taken although somebody has it. Not PHI.
        SlotOverride = "slot_override",
        /// Test kits that nobody has yet. Not PHI.
        Kit = "kit",
        /// These policies. Not PHI.
        Policy = "policy",
    }
}

impl Entity {
    /// Whether a purpose must be named.
    pub const fn is_phi(self) -> bool {
        !matches!(
            self,
            Self::Organisation
                | Self::LegalBasis
                | Self::Region
                | Self::User
                | Self::Session
                | Self::Authenticator
                | Self::Invitation
                | Self::IdentityProvider
                | Self::SignInSettings
                | Self::ApiKey
                | Self::SignInDevice
                | Self::Provider
                | Self::Calendar
                | Self::Hold
                | Self::SlotOverride
                | Self::Kit
                | Self::Policy
        )
    }

    /// The classes that it is in: what policies say of several things at once.
    pub(crate) fn classes(self) -> impl Iterator<Item = &'static str> {
        let clinical_act = matches!(
            self,
            Self::Consult | Self::Encounter | Self::Appointment | Self::Prescription | Self::LabOrder
        );
        let content = matches!(
            self,
            Self::Encounter
                | Self::Message
                | Self::Prescription
                | Self::Fulfillment
                | Self::LabOrder
                | Self::LabResult
        );
        let laboratory = matches!(self, Self::LabOrder | Self::LabResult);
        let pharmacy = matches!(self, Self::Prescription | Self::PrescriptionStatus | Self::Fulfillment);
        [
            (self.is_phi(), "phi"),
            (clinical_act, "clinical-act"),
            (content, "clinical-content"),
            (laboratory, "laboratory"),
            (pharmacy, "pharmacy"),
        ]
        .into_iter()
        .filter_map(|(belongs, class)| belongs.then_some(class))
    }
}

words! {
    /// What is done.
    Action, NotAnAction, "an action of the access matrix" {
        /// Makes a new one.
        Create = "create",
        /// Shows one.
        Read = "read",
        /// Shows many.
        List = "list",
        /// Finds by content.
        Search = "search",
        /// Changes one.
        Update = "update",
        /// Takes one away.
        Delete = "delete",
        /// Signs one, after which it does not change.
        Sign = "sign",
        /// Adds to a signed one.
        Annotate = "annotate",
        /// Says yes or no to one.
        Decide = "decide",
        /// Takes note of one.
        Acknowledge = "acknowledge",
        /// Puts right a final one.
        Correct = "correct",
        /// Takes one's word back.
        Revoke = "revoke",
    }
}

impl Action {
    /// Whether it changes anything.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::List | Self::Search)
    }
}

words! {
    /// How much of a thing a role is shown, from the least to the most.
    Shape, NotAShape, "a shape" {
        /// Ids, homes and times.
        Token = "token",
        /// Without what is clinical: names to work a list with, or an encounter without its note. A clinician without
        /// the numbers of licences.
        Listed = "listed",
        /// Everything.
        Full = "full",
    }
}

words! {
    /// How who asks stands to what is asked for.
    Relationship, NotARelationship, "a relationship" {
        /// Not at all.
        None = "none",
        /// It is of their own organisation.
        Organisation = "organisation",
        /// It was assigned to them.
        Assigned = "assigned",
        /// They referred it.
        Referral = "referral",
        /// It is about themselves.
        Oneself = "self",
        /// They broke the glass for it, and the grant lives.
        BreakGlass = "break-glass",
    }
}

words! {
    /// The patient's consent, from the least to the most.
    ConsentState, NotAConsentState, "a state of consent" {
        /// It was taken back.
        Revoked = "revoked",
        /// There is none.
        None = "none",
        /// It names no category.
        General = "general",
        /// It names this purpose, this organisation and this category.
        Specific = "specific",
    }
}

words! {
    /// Authority to practise where the patient is, from the least to the most.
    LicenceState, NotALicenceState, "a state of licence" {
        /// It was asked for, and there is none.
        Lacking = "lacking",
        /// The act asks for it itself, later.
        Unasked = "unasked",
        /// It was asked for, and is there.
        Held = "held",
    }
}

words! {
    /// Whether the device was seen before with this person.
    Device, NotADevice, "a state of a device" {
        /// It was not.
        Unknown = "unknown",
        /// It was.
        Known = "known",
    }
}

words! {
    /// Why something is refused. Programs may branch on it.
    RefusalReason, NotARefusalReason, "a reason to refuse" {
        /// No rule permits it.
        NotPermitted = "not-permitted",
        /// Marketing, and the patient has not authorised it.
        MarketingWithoutAuthorization = "marketing-without-authorization",
        /// A marketing partner without a recorded legal basis.
        NoLegalBasis = "no-legal-basis",
        /// Marketing partners see nothing clinical.
        MarketerClinicalContent = "marketer-clinical-content",
        /// Pharmacies see nothing of laboratories.
        NotForPharmacies = "not-for-pharmacies",
        /// Laboratories see nothing of pharmacies.
        NotForLaboratories = "not-for-laboratories",
        /// The patient took the consent back.
        ConsentRevoked = "consent-revoked",
        /// The category needs a consent that names it.
        CategoryWithoutConsent = "category-without-consent",
        /// The clinician may not practise where the patient is.
        LicenceLacking = "licence-lacking",
        /// It is permitted in an emergency, to whoever broke the glass, and no grant lives.
        BreakGlassRequired = "break-glass-required",
        /// The API key was issued without the scope that it takes.
        ScopeLacking = "scope-lacking",
        /// The role, or what is asked for, is not for organisations of this kind.
        NotForOrganisation = "not-for-organisation",
        /// It needs a second factor that is fresh.
        StepUpRequired = "step-up-required",
        /// It is permitted for another purpose, and not for this one.
        PurposeNotAllowed = "purpose-not-allowed",
        /// It is permitted for a purpose, and none was named.
        PurposeRequired = "purpose-required",
        /// It is permitted on a condition that cannot be met where it was asked.
        ObligationUnmet = "obligation-unmet",
        /// A policy could not be evaluated, so nothing is allowed.
        PolicyFault = "policy-fault",
    }
}

/// Who asks: a member of a workforce, or one of the two who are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// Somebody with a role in an organisation.
    Member(Role),
    /// A patient.
    Patient,
    /// Who runs the platform.
    Support,
}

/// The text names no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role, nor patient, nor support")]
pub struct NotAPrincipal;

residency_policy::spelt!(Principal, NotAPrincipal, without Debug);

impl Principal {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        Role::ALL.iter().copied().map(Self::Member).chain([Self::Patient, Self::Support])
    }

    /// The word in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member(role) => role.as_str(),
            Self::Patient => "patient",
            Self::Support => "support",
        }
    }
}

impl std::str::FromStr for Principal {
    type Err = NotAPrincipal;

    fn from_str(text: &str) -> Result<Self, NotAPrincipal> {
        Self::all().find(|principal| principal.as_str() == text).ok_or(NotAPrincipal)
    }
}
