//! The key that seals authenticators' secrets: one for the whole cluster, so every region's folder has a copy.

use std::fs;

use anyhow::{Context as _, Result};
use residency_policy::Entropy;

use super::keep::{self, Readers};
use super::layout::Home;
use super::plan::Plan;

/// Its name in a region's folder of keys.
pub const FILE: &str = "sealing.key";

/// Makes the key if there is none, and gives each region what the others have.
pub fn share(home: &Home, plan: &Plan, entropy: &dyn Entropy) -> Result<()> {
    let places: Vec<_> = plan.regions.iter().map(|one| home.region(one.region).keys().join(FILE)).collect();
    let key = if let Some(path) = places.iter().find(|path| path.exists()) {
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?
    } else {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        format!("{}\n", data_encoding::HEXLOWER.encode(&bytes)).into_bytes()
    };
    places.iter().filter(|path| !path.exists()).try_for_each(|path| keep::write(path, Readers::Owner, &key))
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::super::plan::{self, Wish};
    use super::*;

    #[test]
    fn every_region_has_the_same_key_and_keeps_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let plan = plan::settle(&home, &Wish::default(), &SystemEntropy::new()).expect("settles");
        let keys: Vec<_> = plan.regions.iter().map(|one| home.region(one.region).keys()).collect();
        for folder in &keys {
            keep::folder(folder, Readers::Owner).expect("makes");
        }
        let read = || keys.iter().map(|folder| fs::read(folder.join(FILE)).expect("reads")).collect::<Vec<_>>();
        share(&home, &plan, &SystemEntropy::new()).expect("shares");
        let first = read();
        assert!(first.len() > 1 && first[0].len() == 65 && first.iter().all(|key| *key == first[0]));
        fs::remove_file(keys[0].join(FILE)).expect("removes");
        share(&home, &plan, &SystemEntropy::new()).expect("shares");
        assert_eq!(read(), first);
    }
}
