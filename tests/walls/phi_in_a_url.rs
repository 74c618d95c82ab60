//! A URL is pushed together from text.
use tests::walls::{residency_policy::PatientId, storage::Phi};

pub fn path(mut url: String, id: PatientId, name: &Phi<String>) -> (String, PatientId) {
    #[cfg(not(wall))]
    {
        url.push_str(&id.to_string());
        let _ = name;
        (url, id)
    }
    #[cfg(wall)]
    { url.push_str(name); (url, id) } //~ E0308
}
