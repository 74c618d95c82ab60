//! A map's key is hashed and compared.
use tests::walls::storage::Phi;
use std::collections::HashMap;

pub fn index(name: Phi<String>) -> usize {
    #[cfg(not(wall))]
    {
        let mut map = HashMap::new();
        map.insert(1_u8, name);
        map.len()
    }
    #[cfg(wall)]
    { let mut map = HashMap::new(); map.insert(name, 1_u8); map.len() } //~ E0277
}
