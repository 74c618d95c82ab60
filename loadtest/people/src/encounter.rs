//! What is written about a visit.

use residency_policy::Jurisdiction;
use serde::Serialize;

use crate::draw::{Draw, For};

/// The text of one encounter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EncounterText {
    /// Why the patient comes, in a few words.
    pub reason: String,
    /// What the clinician writes.
    pub note: String,
    /// An ICD-10-CM code that fits.
    #[serde(skip)]
    pub diagnosis: &'static str,
}

/// (reason, diagnosis, what was found, what is done)
const VISITS: [(&str, &str, &str, &str); 10] = [
    (
        "Burning when passing water since yesterday",
        "N39.0",
        "No fever, no flank pain, no pregnancy. Third episode in two years.",
        "Antibiotic for five days; send a culture if it is not better in 48 hours.",
    ),
    (
        "Sore throat and cough for three days",
        "J06.9",
        "Afebrile, breathing without effort, swallows fluids.",
        "Rest, fluids, return if fever lasts more than three days.",
    ),
    (
        "Follow-up of high blood pressure",
        "I10",
        "Home readings average 138/86 over two weeks, no dizziness.",
        "Dose raised; repeat readings and kidney function in four weeks.",
    ),
    (
        "Follow-up of diabetes",
        "E11.9",
        "HbA1c 7.4 %, no hypoglycaemia, feet checked at home.",
        "Continue; lipid panel and urine albumin ordered.",
    ),
    (
        "Low mood and poor sleep since the summer",
        "F32.1",
        "PHQ-9 score 14, no thoughts of self-harm, works part time.",
        "Talking therapy referral; review in two weeks; crisis numbers given.",
    ),
    (
        "Acne that did not respond to over-the-counter treatment",
        "L70.0",
        "Inflammatory lesions on cheeks and back in the pictures sent, no scarring.",
        "Topical retinoid at night; expectations and sun protection explained.",
    ),
    (
        "Thinning hair",
        "L64.9",
        "Gradual loss at the crown over three years, father alike, thyroid normal last year.",
        "Options discussed; treatment started; photographs again in six months.",
    ),
    (
        "Wants to lose weight",
        "E66.9",
        "BMI 33.1, no pancreatitis, no family history of thyroid cancer.",
        "Diet diary, baseline laboratory panel, decision on medication after results.",
    ),
    (
        "Tired and cold for months",
        "E03.9",
        "TSH 9.8 mIU/L in the panel of last week, heart rate 58.",
        "Replacement started at a low dose; TSH in six weeks.",
    ),
    (
        "Screening after a new partner",
        "Z11.3",
        "No symptoms. Asks for a full panel.",
        "Home kit sent; results explained when they are there.",
    ),
];

/// The text of the encounter at one place of a sequence.
pub fn encounter(seed: u64, index: usize) -> EncounterText {
    let mut draw = Draw::new(seed, None::<Jurisdiction>, For::Encounter, index);
    let (reason, diagnosis, found, done) = *draw.pick(&VISITS);
    let minutes = 6 + draw.below(30);
    let manner = draw.pick(&["video", "telephone", "messages"]);
    let asked = draw.pick(&[
        "Allergies and present medication were gone through.",
        "An interpreter took part.",
        "Consent to telehealth was given at the start.",
        "The patient was alone in a quiet room.",
    ]);
    EncounterText {
        reason: reason.to_owned(),
        note: format!("Visit by {manner}, {minutes} minutes. {asked}\n\nFound: {found}\n\nPlan: {done}"),
        diagnosis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_has_the_same_text_and_others_differ() {
        assert_eq!(encounter(1, 5), encounter(1, 5));
        let texts: std::collections::HashSet<_> = (0..100).map(|i| encounter(1, i).note).collect();
        assert!(texts.len() > 80, "{}", texts.len());
    }
}
