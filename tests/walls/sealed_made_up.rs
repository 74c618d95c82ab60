//! A ciphertext comes from sealing or from the database.
use tests::walls::storage::Sealed;

pub fn sealed(one: Sealed, bytes: Vec<u8>) -> Sealed {
    #[cfg(not(wall))]
    {
        let _ = bytes;
        one
    }
    #[cfg(wall)]
    { let _ = one; Sealed(bytes) } //~ E0423
}
