//! What was decided of one entity shows nothing of another.
use tests::walls::node_access::shown::Full;

pub struct Patients;
pub struct Encounters;

pub fn shown(patients: Full<Patients>) -> Full<Patients> {
    #[cfg(wall)]
    let _encounters: Full<Encounters> = patients; //~ E0308
    patients
}
