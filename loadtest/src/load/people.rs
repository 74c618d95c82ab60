//! The patients of a run: registered by it, and each changed by one writer at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// A patient that this run registered.
#[derive(Debug)]
pub struct Patient {
    /// The id.
    pub id: String,
    /// The jurisdiction of the home.
    pub home: String,
    known: Mutex<Known>,
    busy: AtomicBool,
}

/// What this run knows of a patient.
#[derive(Debug, Clone)]
pub struct Known {
    /// The version that a change has to name; empty when it has to be read first.
    pub etag: String,
    /// The e-mail address, which nobody else has.
    pub email: String,
    /// The family name.
    pub family_name: String,
    /// The day of birth.
    pub birth_date: String,
}

/// Nobody else changes the patient as long as this lives.
#[derive(Debug)]
pub struct Turn(pub Arc<Patient>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Patient {
    /// A patient that was just registered.
    pub fn new(id: String, home: String, known: Known) -> Self {
        Self { id, home, known: Mutex::new(known), busy: AtomicBool::new(false) }
    }

    /// What is known.
    pub fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something else is known now.
    pub fn learn(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// All patients of one jurisdiction.
#[derive(Debug, Default)]
pub struct Ward {
    patients: Mutex<Vec<Arc<Patient>>>,
}

impl Ward {
    /// One more.
    pub fn admit(&self, patient: Arc<Patient>) {
        self.patients.lock().unwrap_or_else(PoisonError::into_inner).push(patient);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.patients.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Patient>> {
        self.patients.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Anybody.
    pub fn anybody(&self, rng: &mut ChaCha8Rng) -> Option<Arc<Patient>> {
        let patients = self.patients.lock().unwrap_or_else(PoisonError::into_inner);
        if patients.is_empty() { None } else { Some(patients[rng.random_range(0..patients.len())].clone()) }
    }

    /// Somebody whom nobody is changing at the moment.
    pub fn turn(&self, rng: &mut ChaCha8Rng) -> Option<Turn> {
        (0..20).find_map(|_| {
            let patient = self.anybody(rng)?;
            (!patient.busy.swap(true, Ordering::AcqRel)).then(|| Turn(patient))
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_patient_is_changed_by_one_at_a_time() {
        let (ward, mut rng) = (Ward::default(), ChaCha8Rng::seed_from_u64(1));
        assert!(ward.anybody(&mut rng).is_none() && ward.is_empty());
        let known = Known {
            etag: "1".into(),
            email: String::new(),
            family_name: String::new(),
            birth_date: String::new(),
        };
        ward.admit(Arc::new(Patient::new("p".into(), "US-TX".into(), known)));
        let turn = ward.turn(&mut rng).expect("a turn");
        assert!(ward.turn(&mut rng).is_none(), "somebody is there already");
        turn.0.learn(|known| known.etag.clear());
        drop(turn);
        assert!(ward.turn(&mut rng).is_some_and(|turn| turn.0.known().etag.is_empty()));
    }
}
