//! What a clinician is: codes of the NUCC Health Care Provider Taxonomy.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A code of the taxonomy: three digits, six of `A-Z 0-9`, and `X`, such as `207Q00000X`. Its shape is checked, not
/// whether the code is in the current list, which changes twice a year; the common ones have a name here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Taxonomy([u8; 10]);

/// The text is not a code of the taxonomy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a taxonomy code: expected ten characters such as 207Q00000X")]
pub struct NotATaxonomy;

/// A profession that compacts tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profession {
    /// MD or DO.
    Physician,
    /// Physician assistant.
    PhysicianAssistant,
    /// Nurse practitioner, nurse specialist, nurse anaesthetist, nurse midwife.
    AdvancedPracticeNurse,
    /// Registered nurse.
    RegisteredNurse,
    /// Licensed practical or vocational nurse.
    PracticalNurse,
    /// Psychologist.
    Psychologist,
    /// Professional or mental health counselor.
    Counselor,
    /// Social worker.
    SocialWorker,
    /// Physical therapist.
    PhysicalTherapist,
    /// Occupational therapist.
    OccupationalTherapist,
    /// Audiologist.
    Audiologist,
    /// Speech-language pathologist.
    SpeechPathologist,
    /// Dietitian.
    Dietitian,
    /// Any other.
    Other,
}

/// The beginning of a code -> the profession. The first that fits counts.
const PROFESSIONS: &[(&str, Profession)] = &[
    ("20", Profession::Physician),
    ("363A", Profession::PhysicianAssistant),
    ("363L", Profession::AdvancedPracticeNurse),
    ("364S", Profession::AdvancedPracticeNurse),
    ("3675", Profession::AdvancedPracticeNurse),
    ("367A", Profession::AdvancedPracticeNurse),
    ("163W", Profession::RegisteredNurse),
    ("164W", Profession::PracticalNurse),
    ("164X", Profession::PracticalNurse),
    ("103G", Profession::Psychologist),
    ("103T", Profession::Psychologist),
    ("101YM", Profession::Counselor),
    ("101YP", Profession::Counselor),
    ("1041", Profession::SocialWorker),
    ("2251", Profession::PhysicalTherapist),
    ("225X", Profession::OccupationalTherapist),
    ("231H", Profession::Audiologist),
    ("235Z", Profession::SpeechPathologist),
    ("133V", Profession::Dietitian),
];

/// Code and name of the common ones, ascending. The names are NUCC's, whose list is free to use with this notice:
/// Health Care Provider Taxonomy code set, copyright American Medical Association; maintained by the NUCC.
const COMMON: &[(&str, &str)] = &[
    ("101YM0800X", "Mental Health Counselor"),
    ("101YP2500X", "Professional Counselor"),
    ("103G00000X", "Clinical Neuropsychologist"),
    ("103T00000X", "Psychologist"),
    ("103TC0700X", "Clinical Psychologist"),
    ("103TC2200X", "Clinical Child & Adolescent Psychologist"),
    ("104100000X", "Social Worker"),
    ("1041C0700X", "Clinical Social Worker"),
    ("106H00000X", "Marriage & Family Therapist"),
    ("111N00000X", "Chiropractor"),
    ("122300000X", "Dentist"),
    ("133V00000X", "Registered Dietitian"),
    ("152W00000X", "Optometrist"),
    ("163W00000X", "Registered Nurse"),
    ("163WC0400X", "Case Management Registered Nurse"),
    ("163WP0808X", "Psychiatric/Mental Health Registered Nurse"),
    ("164W00000X", "Licensed Practical Nurse"),
    ("164X00000X", "Licensed Vocational Nurse"),
    ("183500000X", "Pharmacist"),
    ("207K00000X", "Allergy & Immunology Physician"),
    ("207L00000X", "Anesthesiology Physician"),
    ("207N00000X", "Dermatology Physician"),
    ("207P00000X", "Emergency Medicine Physician"),
    ("207Q00000X", "Family Medicine Physician"),
    ("207QA0505X", "Adult Medicine Physician"),
    ("207QB0002X", "Obesity Medicine (Family Medicine) Physician"),
    ("207QG0300X", "Geriatric Medicine (Family Medicine) Physician"),
    ("207QS0010X", "Sports Medicine (Family Medicine) Physician"),
    ("207R00000X", "Internal Medicine Physician"),
    ("207RB0002X", "Obesity Medicine (Internal Medicine) Physician"),
    ("207RC0000X", "Cardiovascular Disease Physician"),
    ("207RE0101X", "Endocrinology, Diabetes & Metabolism Physician"),
    ("207RG0100X", "Gastroenterology Physician"),
    ("207RG0300X", "Geriatric Medicine (Internal Medicine) Physician"),
    ("207RH0003X", "Hematology & Oncology Physician"),
    ("207RI0200X", "Infectious Disease Physician"),
    ("207RN0300X", "Nephrology Physician"),
    ("207RP1001X", "Pulmonary Disease Physician"),
    ("207RR0500X", "Rheumatology Physician"),
    ("207RS0012X", "Sleep Medicine (Internal Medicine) Physician"),
    ("207T00000X", "Neurological Surgery Physician"),
    ("207V00000X", "Obstetrics & Gynecology Physician"),
    ("207VG0400X", "Gynecology Physician"),
    ("207W00000X", "Ophthalmology Physician"),
    ("207X00000X", "Orthopaedic Surgery Physician"),
    ("207Y00000X", "Otolaryngology Physician"),
    ("208000000X", "Pediatrics Physician"),
    ("2080A0000X", "Pediatric Adolescent Medicine Physician"),
    ("208100000X", "Physical Medicine & Rehabilitation Physician"),
    ("208200000X", "Plastic Surgery Physician"),
    ("2083P0901X", "Public Health & General Preventive Medicine Physician"),
    ("2083X0100X", "Occupational Medicine Physician"),
    ("2084A0401X", "Addiction Medicine (Psychiatry & Neurology) Physician"),
    ("2084N0400X", "Neurology Physician"),
    ("2084P0800X", "Psychiatry Physician"),
    ("2084P0804X", "Child & Adolescent Psychiatry Physician"),
    ("2085R0202X", "Diagnostic Radiology Physician"),
    ("208600000X", "Surgery Physician"),
    ("208800000X", "Urology Physician"),
    ("208D00000X", "General Practice Physician"),
    ("208M00000X", "Hospitalist Physician"),
    ("208VP0000X", "Pain Medicine Physician"),
    ("213E00000X", "Podiatrist"),
    ("225100000X", "Physical Therapist"),
    ("225X00000X", "Occupational Therapist"),
    ("231H00000X", "Audiologist"),
    ("235Z00000X", "Speech-Language Pathologist"),
    ("363A00000X", "Physician Assistant"),
    ("363AM0700X", "Medical Physician Assistant"),
    ("363AS0400X", "Surgical Physician Assistant"),
    ("363L00000X", "Nurse Practitioner"),
    ("363LA2100X", "Acute Care Nurse Practitioner"),
    ("363LA2200X", "Adult Health Nurse Practitioner"),
    ("363LF0000X", "Family Nurse Practitioner"),
    ("363LG0600X", "Gerontology Nurse Practitioner"),
    ("363LP0200X", "Pediatrics Nurse Practitioner"),
    ("363LP0808X", "Psychiatric/Mental Health Nurse Practitioner"),
    ("363LP2300X", "Primary Care Nurse Practitioner"),
    ("363LW0102X", "Women's Health Nurse Practitioner"),
    ("364S00000X", "Clinical Nurse Specialist"),
    ("367500000X", "Certified Registered Nurse Anesthetist"),
    ("367A00000X", "Advanced Practice Midwife"),
];

impl Taxonomy {
    /// The code.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name, of the common ones.
    pub fn name(&self) -> Option<&'static str> {
        let at = COMMON.binary_search_by(|(code, _)| (*code).cmp(self.as_str())).ok()?;
        COMMON.get(at).map(|(_, name)| *name)
    }

    /// The profession.
    pub fn profession(&self) -> Profession {
        let fits = |(start, _): &&(&str, Profession)| self.as_str().starts_with(start);
        PROFESSIONS.iter().find(fits).map_or(Profession::Other, |(_, profession)| *profession)
    }

    /// The common codes.
    pub fn common() -> impl Iterator<Item = Self> {
        COMMON.iter().filter_map(|(code, _)| code.parse().ok())
    }
}

impl FromStr for Taxonomy {
    type Err = NotATaxonomy;

    fn from_str(text: &str) -> Result<Self, NotATaxonomy> {
        let code: [u8; 10] = text.as_bytes().try_into().map_err(|_| NotATaxonomy)?;
        let fits = code[..3].iter().all(u8::is_ascii_digit)
            && code[3..9].iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            && code[9] == b'X';
        if fits { Ok(Self(code)) } else { Err(NotATaxonomy) }
    }
}

crate::spelt!(Taxonomy, NotATaxonomy);

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Taxonomy {
        text.parse().expect("a code")
    }

    #[test]
    fn the_shape_of_a_code_is_checked() {
        for text in
            ["", "207Q00000", "207Q00000XX", "207q00000X", "207Q00000Y", "X07Q00000X", "207Q 0000X", "ABC"]
        {
            assert_eq!(text.parse::<Taxonomy>(), Err(NotATaxonomy), "{text:?}");
        }
        assert_eq!(code("999Z99999X").name(), None, "a new code is taken, without a name");
    }

    #[test]
    fn the_common_ones_have_a_name_and_stand_in_order() {
        assert!(COMMON.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(Taxonomy::common().count(), COMMON.len(), "each is a code");
        assert!(Taxonomy::common().all(|code| code.name().is_some()));
        assert_eq!(code("207Q00000X").name(), Some("Family Medicine Physician"));
    }

    #[test]
    fn a_profession_follows_from_the_code() {
        for (text, profession) in [
            ("2084P0800X", Profession::Physician),
            ("363AM0700X", Profession::PhysicianAssistant),
            ("363LF0000X", Profession::AdvancedPracticeNurse),
            ("367500000X", Profession::AdvancedPracticeNurse),
            ("163WC0400X", Profession::RegisteredNurse),
            ("164X00000X", Profession::PracticalNurse),
            ("103TC0700X", Profession::Psychologist),
            ("101YM0800X", Profession::Counselor),
            ("1041C0700X", Profession::SocialWorker),
            ("225100000X", Profession::PhysicalTherapist),
            ("225X00000X", Profession::OccupationalTherapist),
            ("183500000X", Profession::Other),
        ] {
            assert_eq!(code(text).profession(), profession, "{text}");
        }
    }
}
