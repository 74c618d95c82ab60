//! A clinician is no place for a patient: neither the id nor the name of one fits.
use tests::walls::{residency_control::{Command, Provider, ProviderName}, residency_policy::{PatientId, ProviderId}, storage::Phi};

pub fn put(patient: PatientId, family_name: Phi<String>, provider: Provider, (id, name): (ProviderId, ProviderName)) -> [Command; 2] {
    #[cfg(not(wall))]
    {
        let _ = (patient, family_name);
        let one = Provider { id, ..provider.clone() };
        let other = Provider { name, ..provider };
        [one, other].map(|provider| Command::PutProvider { provider, expected: 0 })
    }
    #[cfg(wall)]
    {
        let _ = (id, name);
        let one = Provider { id: patient, ..provider.clone() }; //~ E0308
        let other = Provider { name: family_name, ..provider }; //~ E0308
        [one, other].map(|provider| Command::PutProvider { provider, expected: 0 })
    }
}
