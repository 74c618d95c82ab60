//! The interstate compacts, and what each of them gives.

use super::{Licence, LicenceKind, Profession, Taxonomy};
use crate::workforce::words;

words! {
    /// What an interstate compact gives to a clinician. PSYPACT gives two different things.
    Compact, NotACompact, "a compact that is known here" {
        /// Interstate Medical Licensure Compact: an expedited path to full licences, one for each state.
        Imlc = "imlc",
        /// Nurse Licensure Compact: one multistate licence of the home state.
        Nlc = "nlc",
        /// PSYPACT, Authority to Practice Interjurisdictional Telepsychology.
        PsypactApit = "psypact-apit",
        /// PSYPACT, Temporary Authorization to Practice: in person, thirty days a year.
        PsypactTap = "psypact-tap",
        /// PA Licensure Compact: a privilege for each state.
        Pa = "pa-compact",
        /// APRN Compact: a multistate licence of the home state.
        Aprn = "aprn-compact",
        /// Counseling Compact: a privilege for each state.
        Counseling = "counseling-compact",
        /// Social Work Licensure Compact: a multistate licence of the home state.
        SocialWork = "social-work-compact",
        /// Physical Therapy Compact: a privilege for each state.
        Pt = "pt-compact",
        /// Occupational Therapy Licensure Compact: a privilege for each state.
        Ot = "ot-compact",
        /// Audiology and Speech-Language Pathology Interstate Compact: a privilege for each state.
        Aslp = "aslp-ic",
        /// Dietitian Licensure Compact: a privilege for each state.
        Dietitian = "dietitian-compact",
    }
}

/// How a compact gives authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Each state issues a full licence of its own, faster. Membership itself gives nothing.
    FullLicence,
    /// The home state's licence counts in every member state.
    Multistate,
    /// A certificate counts in every other member state while the home state's own full licence does.
    Certificate,
    /// Each state gives a privilege, which counts while a full licence of another member state does.
    Privilege,
    /// For visits in person only; what this program serves are visits at a distance.
    InPersonOnly,
}

impl Compact {
    /// How it gives authority.
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Imlc => Scheme::FullLicence,
            Self::Nlc | Self::Aprn | Self::SocialWork => Scheme::Multistate,
            Self::PsypactApit => Scheme::Certificate,
            Self::PsypactTap => Scheme::InPersonOnly,
            Self::Pa | Self::Counseling | Self::Pt | Self::Ot | Self::Aslp | Self::Dietitian => {
                Scheme::Privilege
            }
        }
    }

    /// Whether what it gives counts beyond the jurisdiction that it names.
    pub const fn reaches_beyond_its_state(self) -> bool {
        matches!(self.scheme(), Scheme::Multistate | Scheme::Certificate)
    }

    /// For whom it is. A nurse practitioner's multistate licence as a registered nurse is none to practise as a nurse
    /// practitioner, so what a compact gives must fit everything that a clinician is listed as.
    pub const fn professions(self) -> &'static [Profession] {
        match self {
            Self::Imlc => &[Profession::Physician],
            Self::Nlc => &[Profession::RegisteredNurse, Profession::PracticalNurse],
            Self::PsypactApit | Self::PsypactTap => &[Profession::Psychologist],
            Self::Pa => &[Profession::PhysicianAssistant],
            Self::Aprn => &[Profession::AdvancedPracticeNurse],
            Self::Counseling => &[Profession::Counselor],
            Self::SocialWork => &[Profession::SocialWorker],
            Self::Pt => &[Profession::PhysicalTherapist],
            Self::Ot => &[Profession::OccupationalTherapist],
            Self::Aslp => &[Profession::Audiologist, Profession::SpeechPathologist],
            Self::Dietitian => &[Profession::Dietitian],
        }
    }

    /// The one that stands for the compact itself: the two things of PSYPACT have the same states.
    #[must_use]
    pub const fn treaty(self) -> Self {
        match self {
            Self::PsypactTap => Self::PsypactApit,
            other => other,
        }
    }

    /// The name of the compact itself, in the file of memberships.
    pub const fn treaty_name(self) -> &'static str {
        match self {
            Self::PsypactApit | Self::PsypactTap => "psypact",
            other => other.as_str(),
        }
    }

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imlc => "Interstate Medical Licensure Compact",
            Self::Nlc => "Nurse Licensure Compact",
            Self::PsypactApit => "PSYPACT telepsychology certificate",
            Self::PsypactTap => "PSYPACT temporary in-person certificate",
            Self::Pa => "PA Licensure Compact",
            Self::Aprn => "APRN Compact",
            Self::Counseling => "Counseling Compact",
            Self::SocialWork => "Social Work Licensure Compact",
            Self::Pt => "Physical Therapy Compact",
            Self::Ot => "Occupational Therapy Licensure Compact",
            Self::Aslp => "Audiology and Speech-Language Pathology Interstate Compact",
            Self::Dietitian => "Dietitian Licensure Compact",
        }
    }
}

/// What a compact gave that does not fit something that its holder is listed as.
pub fn unfit(listed: &[Taxonomy], licences: &[Licence]) -> Option<Compact> {
    let given = licences.iter().filter_map(|licence| match licence.kind {
        LicenceKind::Compact(compact) => Some(compact),
        LicenceKind::Full | LicenceKind::Telehealth => None,
    });
    given.into_iter().find(|compact| {
        let fits = |code: &Taxonomy| compact.professions().contains(&code.profession());
        !listed.iter().all(fits)
    })
}
