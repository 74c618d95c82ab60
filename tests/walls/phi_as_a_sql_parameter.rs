//! PHI reaches the database sealed or as a blind index, never as it is.
use tests::walls::storage::{Error, Phi, RegionTx, Sealed};

pub async fn set(tx: &RegionTx, sealed: &Sealed, name: &Phi<String>) -> Result<u64, Error> {
    #[cfg(not(wall))]
    {
        let _ = name;
        tx.execute("UPDATE patients SET given_name_sealed = $1", &[sealed]).await
    }
    #[cfg(wall)]
    { let _ = sealed; tx.execute("UPDATE patients SET given_name_sealed = $1", &[name]).await } //~ E0277
}
