use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use residency_policy::Category;
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::{DataKeyId, KeyOwner, KeyRecord, Keyring, Wrapped};

use crate::{entropy, patient};

fn record(n: u8) -> KeyRecord {
    KeyRecord {
        id: DataKeyId::random(entropy().as_ref()),
        owner: KeyOwner::Patient(patient(n), Category::General),
        version: 1,
        wrapped: Wrapped(vec![n; 61]),
    }
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).expect("the file").windows(bytes.len()).any(|window| window == bytes)
}

#[tokio::test]
async fn what_was_kept_is_there_after_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys/keyring.redb");
    let keyring = EmbeddedKeyring::open(&path).expect("a keyring");
    let kept = keyring.insert(record(1)).await.expect("it is kept");
    // As after kill -9: what was acknowledged is in the file although nothing was closed.
    let copy = folder.path().join("copy.redb");
    fs::copy(&path, &copy).expect("a copy");
    let copied = EmbeddedKeyring::open(&copy).expect("the copy opens");
    assert_eq!(copied.by_id(kept.id).await.expect("an answer"), Some(kept.clone()));
    drop(keyring);
    let again = open_when_free(&path);
    assert_eq!(again.newest(kept.owner).await.expect("an answer"), Some(kept));
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
}

/// The writing thread lets go of the file a moment after the keyring is dropped.
fn open_when_free(path: &Path) -> EmbeddedKeyring {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match EmbeddedKeyring::open(path) {
            Ok(keyring) => return keyring,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_is_open_elsewhere_or_lies_with_the_phi_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyring.redb");
    let _open = EmbeddedKeyring::open(&path).expect("the control: it opens");
    let refused = EmbeddedKeyring::open(&path).err().expect("it is open already").to_string();
    assert!(refused.contains("keyring.redb") && refused.to_lowercase().contains("open"), "{refused}");

    let data = folder.path().join("data/base");
    fs::create_dir_all(&data).expect("a folder");
    fs::write(folder.path().join("data/PG_VERSION"), "15\n").expect("a file");
    let refused =
        EmbeddedKeyring::open(&data.join("keyring.redb")).err().expect("it lies with the PHI").to_string();
    assert!(refused.contains("Postgres data directory"), "{refused}");

    let garbage = folder.path().join("garbage.redb");
    fs::write(&garbage, vec![0x5a; 8192]).expect("a file");
    assert!(EmbeddedKeyring::open(&garbage).is_err());
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyring.redb");
    drop(EmbeddedKeyring::open(&path).expect("a keyring"));
    drop(open_when_free(&path));
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let refused = EmbeddedKeyring::open(&path).err().expect("others may read it").to_string();
        assert!(refused.contains(&format!("{mode:o}")) && refused.contains("chmod 600"), "{refused}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    drop(open_when_free(&path));
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_byte_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyring.redb");
    let keyring = EmbeddedKeyring::open(&path).expect("a keyring");
    for n in [1, 2, 3] {
        keyring.insert(record(n)).await.expect("it is kept");
    }
    let old = fs::File::open(&path).expect("the old file");
    assert!(holds(&path, &[2; 61]), "the control: a wrapped key is found in the file");
    assert_eq!(keyring.destroy(patient(2)).await.expect("a destruction").len(), 1);
    assert!(!holds(&path, &[2; 61]));
    for n in [1, 3] {
        assert!(holds(&path, &[n; 61]), "the others' are there");
        let owner = KeyOwner::Patient(patient(n), Category::General);
        assert!(keyring.newest(owner).await.expect("an answer").is_some());
    }
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut { old }, &mut left).expect("the old file");
    assert!(left.iter().all(|byte| *byte == 0), "the old file's bytes are overwritten");
    keyring.insert(record(4)).await.expect("it goes on");
    drop(keyring);
    let again = open_when_free(&path);
    assert!(again.newest(KeyOwner::Patient(patient(4), Category::General)).await.expect("an answer").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_all_kept_and_one_of_rivals() {
    let folder = tempfile::tempdir().expect("a folder");
    let keyring = Arc::new(EmbeddedKeyring::open(&folder.path().join("keyring.redb")).expect("a keyring"));
    let mut inserting = Vec::new();
    for n in 0..200u8 {
        let keyring = Arc::clone(&keyring);
        inserting.push(tokio::spawn(async move { keyring.insert(record(n / 2)).await.expect("it is kept") }));
    }
    for (n, kept) in futures::future::join_all(inserting).await.into_iter().enumerate() {
        let kept = kept.expect("it ends well");
        let newest = keyring.newest(kept.owner).await.expect("an answer");
        assert_eq!(newest, Some(kept), "rivals ({n}) are told of the same key");
    }
    assert_eq!(keyring.after(None, 1000).await.expect("a page").len(), 100);
}
