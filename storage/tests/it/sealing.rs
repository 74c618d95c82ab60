//! Sealed cells open where they belong and nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;

use residency_policy::{Act, Category, Entropy, Label, OrgId, PatientId, Region};
use storage::testing::{PostgresServer, TestEntropy, TestRegion, region_permit, scope};
use storage::{
    Access, AccessAction, Cell, Error, IndexField, OpenError, Phi, RegionPool, RegionTx, Sealed, Seen,
};
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::local::LocalKms;
use storage_keys::{DataKeyId, Envelope, EnvelopeLimits, KeyOwner, KeyRecord, Keyring, Wrapped};

use crate::support::{an_org, read, register, texas};

async fn reading(region: &TestRegion, org: OrgId, patient: PatientId) -> RegionTx {
    let tx = RegionTx::begin(&region.pool, &region.permit(patient, Act::Read), &scope(org), "test.read").await;
    tx.expect("a transaction")
}

fn name_of(patient: PatientId) -> Cell {
    Cell::general("patients", patient.uuid(), "given_name_sealed")
}

async fn stored(tx: &RegionTx, patient: PatientId) -> Sealed {
    let row = tx.query_one("SELECT given_name_sealed FROM patients WHERE id = $1", &[&patient.uuid()]).await;
    row.and_then(|row| row.get("given_name_sealed")).expect("a sealed name")
}

fn text<'a>(phi: &'a Phi<String>, seen: &Seen) -> &'a str {
    phi.open(seen)
}

#[tokio::test]
async fn a_cell_opens_only_in_its_own_place() {
    let region = texas().await;
    let org = an_org();
    let (ana, _) = register(&region, org).await;
    let (ben, seen) = register(&region, org).await;
    let tx = reading(&region, org, ana).await;
    let sealed = stored(&tx, ana).await;
    let opened: Phi<String> = tx.unseal(name_of(ana), ana, &sealed).await.expect("the control: it opens");
    assert_eq!(text(&opened, &seen), "given_name_sealed");

    for (what, cell) in [
        ("another column", Cell { column: "family_name_sealed", ..name_of(ana) }),
        ("another row", name_of(ben)),
        ("another table", Cell { table: "patients_history", ..name_of(ana) }),
        ("another category", Cell { category: Category::SubstanceUse, ..name_of(ana) }),
    ] {
        let refused = tx.unseal::<String>(cell, ana, &sealed).await;
        assert!(matches!(refused, Err(Error::DoesNotOpen { .. })), "{what}: {refused:?}");
    }
    let refused = tx.unseal::<String>(name_of(ben), ben, &sealed).await;
    assert!(matches!(refused, Err(Error::NotPermitted(_))), "another patient than the permit's: {refused:?}");
    tx.commit(&read(ana)).await.expect("a commit");

    let list =
        RegionTx::begin_region(&region.pool, &region_permit(region.region()), &scope(org), "test.list").await;
    let list = list.expect("a transaction");
    list.unseal::<String>(name_of(ana), ana, &sealed).await.expect("the control: a list opens it too");
    for cell in [name_of(ana), name_of(ben)] {
        let refused = list.unseal::<String>(cell, ben, &sealed).await;
        assert!(matches!(refused, Err(Error::DoesNotOpen { .. })), "another patient's context: {refused:?}");
    }
}

#[tokio::test]
async fn an_altered_or_cut_ciphertext_does_not_open() {
    let region = texas().await;
    let org = an_org();
    let (ana, _) = register(&region, org).await;
    let tx = reading(&region, org, ana).await;
    let sealed = stored(&tx, ana).await;
    let length: i32 = tx
        .query_one("SELECT length(given_name_sealed) AS n FROM patients WHERE id = $1", &[&ana.uuid()])
        .await
        .and_then(|row| row.get("n"))
        .expect("a length");
    tx.unseal::<String>(name_of(ana), ana, &sealed).await.expect("the control");
    for at in 0..length {
        let flipped = "SELECT set_byte(given_name_sealed, $2, get_byte(given_name_sealed, $2) # 1) AS cell
            FROM patients WHERE id = $1";
        let altered: Sealed =
            tx.query_one(flipped, &[&ana.uuid(), &at]).await.and_then(|row| row.get("cell")).expect("a cell");
        assert!(tx.unseal::<String>(name_of(ana), ana, &altered).await.is_err(), "byte {at} altered");
        let cut = "SELECT substring(given_name_sealed FOR $2) AS cell FROM patients WHERE id = $1";
        let short: Sealed =
            tx.query_one(cut, &[&ana.uuid(), &at]).await.and_then(|row| row.get("cell")).expect("a cell");
        assert!(tx.unseal::<String>(name_of(ana), ana, &short).await.is_err(), "cut to {at} bytes");
    }
}

#[tokio::test]
async fn equal_values_seal_differently_and_their_length_is_hidden() {
    let region = texas().await;
    let org = an_org();
    let (ana, _) = register(&region, org).await;
    let tx = reading(&region, org, ana).await;
    let mut nonces = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for word in ["F", "M", "unknown", "F"] {
        for _ in 0..64 {
            let sealed = tx.seal(name_of(ana), &Phi::new(word)).await.expect("a seal");
            let row = tx.query_one("SELECT $1::bytea AS cell", &[&sealed]).await.expect("a row");
            let bytes: &[u8] = row.get("cell").expect("bytes");
            assert!(nonces.insert(bytes[17..29].to_vec()), "a nonce came twice");
            lengths.insert(bytes.len());
        }
    }
    assert_eq!(lengths.len(), 1, "F, M and unknown are told apart by length");
}

async fn blinding(region: &TestRegion, org: OrgId) -> RegionTx {
    let permit = region_permit(region.region());
    RegionTx::begin_region(&region.pool, &permit, &scope(org), "test.blind").await.expect("a transaction")
}

#[tokio::test]
async fn a_blind_index_finds_equal_values_of_one_organisation_only() {
    let region = texas().await;
    let (ours, theirs) = (an_org(), an_org());
    let a = blinding(&region, ours).await;
    let b = blinding(&region, theirs).await;
    let phi = |text: &str| Phi::new(text.to_owned());
    let index = |tx: &RegionTx, field, text| tx.blind(field, &phi(text));
    let found = index(&a, IndexField::FamilyName, "García");
    assert!(found.is_some());
    assert_eq!(index(&a, IndexField::FamilyName, " GARCIA "), found, "another spelling");
    assert_ne!(index(&a, IndexField::FamilyName, "Garza"), found, "another value");
    assert_ne!(index(&b, IndexField::FamilyName, "García"), found, "another organisation");
    assert_ne!(index(&a, IndexField::FullName, "García"), found, "another field");
    assert_eq!(index(&a, IndexField::FamilyName, " -- "), None, "nothing is left of it");

    let elsewhere = TestRegion::new(PostgresServer::shared(), "CA").await;
    let c = blinding(&elsewhere, ours).await;
    assert_ne!(index(&c, IndexField::FamilyName, "García"), found, "another region");
}

#[tokio::test]
async fn destroyed_keys_make_a_patient_unreadable_and_nobody_else() {
    let region = texas().await;
    let org = an_org();
    let (ana, _) = register(&region, org).await;
    let (ben, _) = register(&region, org).await;
    let tx = reading(&region, org, ana).await;
    let sealed = stored(&tx, ana).await;
    tx.unseal::<String>(name_of(ana), ana, &sealed).await.expect("the control: it opens before");
    assert_eq!(region.envelope.destroy(ana).await.expect("a destruction").len(), 1);
    let refused = tx.unseal::<String>(name_of(ana), ana, &sealed).await;
    assert!(matches!(refused, Err(Error::KeyDestroyed(_))), "{refused:?}");
    tx.rollback().await;
    let tx = reading(&region, org, ben).await;
    let theirs = stored(&tx, ben).await;
    tx.unseal::<String>(name_of(ben), ben, &theirs).await.expect("another patient's still opens");
}

struct Keys {
    folder: tempfile::TempDir,
    keyring: Arc<EmbeddedKeyring>,
    entropy: Arc<dyn Entropy>,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = Arc::new(EmbeddedKeyring::open(&folder.path().join("keyring.redb")).expect("a keyring"));
        Self { folder, keyring, entropy: Arc::new(TestEntropy::default()) }
    }

    fn master(&self) -> std::path::PathBuf {
        self.folder.path().join("master.json")
    }

    fn envelope(&self, cluster: Label, region: Region) -> Arc<Envelope> {
        let kms = LocalKms::open_or_create(&self.master(), Arc::clone(&self.entropy)).expect("a KMS");
        let keyring = Arc::clone(&self.keyring) as Arc<dyn Keyring>;
        let limits = EnvelopeLimits::default();
        Arc::new(Envelope::new(Arc::new(kms), keyring, cluster, region, Arc::clone(&self.entropy), limits))
    }
}

async fn reopen(region: &TestRegion, envelope: Arc<Envelope>) -> Result<RegionPool, OpenError> {
    let clock = Arc::clone(&region.clock) as Arc<dyn residency_policy::Clock>;
    RegionPool::open(region.config.clone(), envelope, clock, Arc::new(TestEntropy::default())).await
}

/// A region whose keyring outlives its envelope.
async fn texas_with(keys: &Keys) -> TestRegion {
    let region = Region(residency_policy::Jurisdiction::from_postal("TX").expect("a jurisdiction"));
    let envelope = keys.envelope(TestRegion::cluster(), region);
    let own = tempfile::tempdir().expect("a folder");
    TestRegion::with_envelope(PostgresServer::shared(), region, own, envelope).await
}

#[tokio::test]
async fn another_regions_kms_key_opens_nothing() {
    let keys = Keys::new();
    let region = texas_with(&keys).await;
    reopen(&region, keys.envelope(TestRegion::cluster(), region.region()))
        .await
        .expect("the control: the own key");
    std::fs::remove_file(keys.master()).expect("the own key is taken away");
    let refused = reopen(&region, keys.envelope(TestRegion::cluster(), region.region())).await;
    assert!(matches!(refused, Err(OpenError::Keys(_))), "{refused:?}");
}

#[tokio::test]
async fn a_rotated_kms_key_wraps_again_without_touching_a_row() {
    let keys = Keys::new();
    let region = texas_with(&keys).await;
    let org = an_org();
    let (ana, seen) = register(&region, org).await;
    let row = "SELECT xmin::text || ctid::text || md5(p::text) FROM patients p";
    let superuser = region.as_superuser().await;
    let before: String = superuser.query_one(row, &[]).await.expect("a row").get(0);

    let old = std::fs::read_to_string(keys.master()).expect("a key file");
    let version = LocalKms::rotate(&keys.master(), keys.entropy.as_ref()).expect("a rotation");
    assert_eq!(version, 2);
    // What an operator does last: the old master key goes.
    let without_old = |text: &str| {
        let start = text.find("{\n      \"version\": 1").expect("the first key");
        let end = text[start..].find("},").expect("its end") + start + 2;
        format!("{}{}", &text[..start], &text[end..])
    };
    let both = std::fs::read_to_string(keys.master()).expect("a key file");
    assert_ne!(old, both);
    std::fs::write(keys.master(), without_old(&both)).expect("a key file");
    let refused = reopen(&region, keys.envelope(TestRegion::cluster(), region.region())).await;
    assert!(matches!(refused, Err(OpenError::Keys(_))), "the control: not before wrapping again: {refused:?}");

    std::fs::write(keys.master(), &both).expect("a key file");
    let rotated = keys.envelope(TestRegion::cluster(), region.region());
    let done = rotated.rewrap().await.expect("a rewrap");
    assert_eq!((done.again, done.already), (2, 0), "the index key and one patient's");
    assert_eq!(rotated.rewrap().await.expect("a rewrap").already, 2, "once is enough");

    std::fs::write(keys.master(), without_old(&both)).expect("a key file");
    let pool =
        reopen(&region, keys.envelope(TestRegion::cluster(), region.region())).await.expect("only the new key");
    let tx = RegionTx::begin(&pool, &region.permit(ana, Act::Read), &scope(org), "test.read")
        .await
        .expect("a transaction");
    let sealed = stored(&tx, ana).await;
    let opened: Phi<String> = tx.unseal(name_of(ana), ana, &sealed).await.expect("it opens");
    assert_eq!(text(&opened, &seen), "given_name_sealed");
    let after: String = superuser.query_one(row, &[]).await.expect("a row").get(0);
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_new_data_key_seals_what_comes_and_the_old_one_opens_what_was() {
    let region = texas().await;
    let org = an_org();
    let (ana, seen) = register(&region, org).await;
    let tx = RegionTx::begin(&region.pool, &region.permit(ana, Act::Write), &scope(org), "test.rotate").await;
    let tx = tx.expect("a transaction");
    let old = stored(&tx, ana).await;
    region.envelope.rotate(KeyOwner::Patient(ana, Category::General)).await.expect("a rotation");
    let new = tx.seal(name_of(ana), &Phi::new("new")).await.expect("a seal");
    for (sealed, value) in [(&old, "given_name_sealed"), (&new, "new")] {
        let opened: Phi<String> = tx.unseal(name_of(ana), ana, sealed).await.expect("it opens");
        assert_eq!(text(&opened, &seen), value);
    }
    tx.commit(&[Access::to(AccessAction::Update, "patient", ana.uuid(), ana)]).await.expect("a commit");
    assert_eq!(region.envelope.destroy(ana).await.expect("a destruction").len(), 2, "both are destroyed");
}

/// What every keyring must do. Shared with the test that runs it on a Postgres keyring.
pub(crate) async fn a_keyring_keeps_its_promises(keyring: &dyn Keyring) {
    let entropy = TestEntropy::default();
    let ana = PatientId::random(&entropy);
    let ben = PatientId::random(&entropy);
    let record = |patient, category, version| KeyRecord {
        id: DataKeyId::random(&entropy),
        owner: KeyOwner::Patient(patient, category),
        version,
        wrapped: Wrapped(vec![7; 61]),
    };
    keyring.check().await.expect("a new key could be kept");
    let first = record(ana, Category::General, 1);
    assert_eq!(keyring.newest(first.owner).await.expect("an answer"), None);
    assert_eq!(keyring.insert(first.clone()).await.expect("it is kept"), first);
    let rival = record(ana, Category::General, 1);
    assert_eq!(keyring.insert(rival.clone()).await.expect("the first is kept"), first);
    assert_eq!(keyring.by_id(rival.id).await.expect("an answer"), None);
    let second = keyring.insert(record(ana, Category::General, 2)).await.expect("it is kept");
    let notes = keyring.insert(record(ana, Category::PsychotherapyNotes, 1)).await.expect("it is kept");
    let bens = keyring.insert(record(ben, Category::General, 1)).await.expect("it is kept");
    assert_eq!(keyring.newest(first.owner).await.expect("an answer"), Some(second.clone()));
    assert_eq!(keyring.by_id(notes.id).await.expect("an answer"), Some(notes.clone()));

    let (from, to) = (first.wrapped.clone(), Wrapped(vec![8; 61]));
    assert!(keyring.replace(first.id, from.clone(), to.clone()).await.expect("an answer"));
    assert!(
        !keyring.replace(first.id, from, to.clone()).await.expect("an answer"),
        "it is wrapped otherwise now"
    );
    let (mut all, mut after) = (BTreeSet::new(), None);
    loop {
        let page = keyring.after(after, 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && after.is_none_or(|after| after < page[0].id));
        after = Some(last.id);
        all.extend(page.iter().map(|record| record.id));
    }
    assert!([first.id, second.id, notes.id, bens.id].iter().all(|id| all.contains(id)));

    let destroyed: BTreeSet<_> = keyring.destroy(ana).await.expect("a destruction").into_iter().collect();
    assert_eq!(destroyed, BTreeSet::from([first.id, second.id, notes.id]));
    assert_eq!(keyring.newest(first.owner).await.expect("an answer"), None);
    assert_eq!(keyring.by_id(bens.id).await.expect("an answer"), Some(bens));
    assert!(keyring.destroy(ana).await.expect("an answer").is_empty(), "once is enough");
}

#[tokio::test]
async fn the_embedded_keyring_keeps_its_promises() {
    a_keyring_keeps_its_promises(Keys::new().keyring.as_ref()).await;
}
