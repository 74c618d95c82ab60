use std::fs;
use std::os::unix::fs::PermissionsExt;

use residency_policy::Category;
use storage_keys::local::LocalKms;
use storage_keys::{KeyContext, KeyUse, KmsError, RegionKms, Wrapped};

use crate::{context, entropy, region};

#[tokio::test]
async fn a_data_key_opens_only_under_its_own_context_and_master_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.json");
    let kms = LocalKms::open_or_create(&path, entropy()).expect("a KMS");
    let own = context(1);
    let (key, wrapped) = kms.generate(&own).await.expect("a key");
    let opened = kms.unwrap(&wrapped, &own).await.expect("the control: it opens");
    assert_eq!(key.bytes(), opened.bytes());
    for (what, other) in [
        ("another patient", context(2)),
        ("no patient", KeyContext { patient: None, ..own }),
        ("another region", KeyContext { region: region("CA"), ..own }),
        ("another category", KeyContext { category: Some(Category::SubstanceUse), ..own }),
        ("another use", KeyContext { use_: KeyUse::BlindIndex, ..own }),
        ("another cluster", KeyContext { cluster: "other".parse().expect("a label"), ..own }),
    ] {
        let refused = kms.unwrap(&wrapped, &other).await;
        assert!(matches!(refused, Err(KmsError::DoesNotOpen { .. })), "{what}: {refused:?}");
    }
    let other = LocalKms::open_or_create(&folder.path().join("other.json"), entropy()).expect("another KMS");
    assert!(matches!(other.unwrap(&wrapped, &own).await, Err(KmsError::DoesNotOpen { .. })));
    for at in 0..wrapped.0.len() {
        let mut altered = wrapped.clone();
        altered.0[at] ^= 1;
        assert!(kms.unwrap(&altered, &own).await.is_err(), "byte {at} altered");
        assert!(kms.unwrap(&Wrapped(wrapped.0[..at].to_vec()), &own).await.is_err(), "cut to {at} bytes");
    }
    let again = LocalKms::open_or_create(&path, entropy()).expect("the same KMS again");
    assert_eq!(again.unwrap(&wrapped, &own).await.expect("it opens").bytes(), key.bytes());
}

#[test]
fn a_master_key_file_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.json");
    LocalKms::open_or_create(&path, entropy()).expect("a KMS");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is made for its owner only");
    for mode in [0o640, 0o604, 0o660, 0o620, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
        let refused =
            LocalKms::open_or_create(&path, entropy()).err().expect("others can reach it").to_string();
        assert!(refused.contains("chmod 0600") && refused.contains("master.json"), "{refused}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("own file");
    LocalKms::open_or_create(&path, entropy()).expect("the control: its owner only");
}

#[test]
fn a_broken_master_key_file_is_named_and_never_quoted_nor_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.json");
    LocalKms::open_or_create(&path, entropy()).expect("a KMS");
    let whole = fs::read_to_string(&path).expect("a file");
    let key = whole.split('"').find(|word| word.len() == 44).expect("a key in base64");
    let number = whole.replace("\"format\": 1", "\"format\": 2");
    for broken in ["", "{}", &whole[..whole.len() / 2], &whole.replace(&key[..4], "!!!!"), &number] {
        fs::write(&path, broken).expect("own file");
        let refused = LocalKms::open_or_create(&path, entropy()).err().expect("it is broken").to_string();
        assert!(refused.contains("master.json") && !refused.contains(&key[8..40]), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), broken, "it is left as it is");
    }
    let missing = folder.path().join("no/such/folder/master.json");
    assert!(LocalKms::open_or_create(&missing, entropy()).is_err());
}

#[test]
fn many_at_once_make_one_master_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.json");
    let texts: Vec<String> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    LocalKms::open_or_create(&path, entropy()).expect("a KMS");
                    fs::read_to_string(&path).expect("a file")
                })
            })
            .collect();
        openers.into_iter().map(|opener| opener.join().expect("it ends well")).collect()
    });
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[tokio::test]
async fn a_rotation_wraps_under_the_new_key_and_still_opens_the_old() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.json");
    let before = LocalKms::open_or_create(&path, entropy()).expect("a KMS");
    let (key, old) = before.generate(&context(1)).await.expect("a key");
    assert_eq!(LocalKms::rotate(&path, entropy().as_ref()).expect("a rotation"), 2);
    let after = LocalKms::open(&path, entropy()).expect("a KMS");
    assert_eq!(after.unwrap(&old, &context(1)).await.expect("it opens").bytes(), key.bytes());
    let new = after.rewrap(&old, &context(1)).await.expect("a rewrap").expect("a new wrapping");
    assert_eq!(after.unwrap(&new, &context(1)).await.expect("it opens").bytes(), key.bytes());
    assert_eq!(after.rewrap(&new, &context(1)).await.expect("a rewrap"), None, "once is enough");
    assert!(before.unwrap(&new, &context(1)).await.is_err(), "the control: it is under the new key");
    assert!(after.rewrap(&old, &context(2)).await.is_err(), "not under another context");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_context_has_one_reading() {
    let bytes: std::collections::BTreeSet<Vec<u8>> = [
        context(1),
        context(2),
        KeyContext { patient: None, ..context(1) },
        KeyContext { category: None, ..context(1) },
        KeyContext { use_: KeyUse::RegionData, ..context(1) },
    ]
    .iter()
    .map(KeyContext::to_bytes)
    .collect();
    assert_eq!(bytes.len(), 5);
    assert_eq!(
        context(1).as_pairs().map(|(name, _)| name),
        ["cluster", "region", "patient", "category", "use"]
    );
}
