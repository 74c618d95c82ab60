//! Does the KMS do what is asked of it, is the keyring where it must be, and do the two belong together?

use std::fs::{self, File, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residency_control::system::SystemEntropy;
use residency_policy::Entropy;
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::{KeyContext, KeyOwner, KeyRecord, Keyring, KeyringError, RegionKms};

use super::Report;
use crate::config::keys::{KeyringSection, KmsSection};
use crate::config::{Config, secret_file};
use crate::exit::chain;
use crate::wiring::database::server;
use crate::wiring::keys;

/// What every file of redb begins with.
const REDB: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
const RESTORE: &str = "restore the keyring from its backup before the node is started: it would begin a new one, and \
                       what is sealed under the old keys cannot be opened by it";

/// Looks. `database` is the identity of the PHI's server, when it could be asked.
pub(super) async fn look(config: &Config, database: Option<i64>, entropy: &SystemEntropy, report: &mut Report) {
    let found = keyring(config, database, report).await;
    let kms = kms(config, entropy, matches!(found, Found::Key(_)), report).await;
    match (found, kms) {
        (Found::Key(record), Some(kms)) => fit(config, &*kms, &record, report).await,
        (Found::Nothing, _) if holds_patients(config).await == Some(true) => {
            report.fail("keyring", "holds no key, and the database holds patients", RESTORE);
        }
        _ => {}
    }
}

/// What the keyring holds.
enum Found {
    Key(KeyRecord),
    Nothing,
    /// It could not be told, or has been told to the report.
    Unknown,
}

async fn kms(
    config: &Config,
    entropy: &SystemEntropy,
    wrapped: bool,
    report: &mut Report,
) -> Option<Arc<dyn RegionKms>> {
    let name = "KMS";
    if let KmsSection::Local { file } = &config.keys.kms {
        let mend = "use kind = \"aws\" where real patients are: whoever has the file has the keys";
        report.warn(name, "the master key is a file, which is for development", mend);
        if !file.exists() {
            if wrapped {
                let what =
                    format!("{} is not there, and the keyring holds keys that it wrapped", file.display());
                report.fail(name, what, "restore the master key: a new one opens nothing of this region");
            } else {
                report.ok(name, format!("{} is made at the first start", file.display()));
            }
            return None;
        }
    }
    let entropy: Arc<dyn Entropy> = Arc::new(entropy.clone());
    let kms = match keys::kms(config, &entropy).await {
        Ok(kms) => kms,
        Err(stop) => {
            report.stop(name, stop);
            return None;
        }
    };
    let context = KeyContext::of(config.region.cluster, config.region.region(), KeyOwner::Region);
    match kms.check(&context).await {
        Ok(()) => report.ok(name, format!("{} wraps and opens", kms.describe())),
        Err(error) => {
            report.fail(
                name,
                chain(&error),
                "the key must be enabled and allow GenerateDataKey and Decrypt to this node; see [keys.kms]",
            );
            return None;
        }
    }
    Some(kms)
}

/// Whether the KMS opens what the keyring holds: another region's key wraps and opens its own very well.
async fn fit(config: &Config, kms: &dyn RegionKms, record: &KeyRecord, report: &mut Report) {
    let context = KeyContext::of(config.region.cluster, config.region.region(), record.owner);
    match kms.unwrap(&record.wrapped, &context).await {
        Ok(_) => report.ok("data keys", "the KMS opens what the keyring holds"),
        Err(error) => report.fail(
            "data keys",
            format!("the KMS does not open what the keyring holds: {}", chain(&error)),
            "one of the two is another region's or another cluster's: put this region's own key and keyring back; \
             see [keys]",
        ),
    }
}

/// Whether the database holds patients, if it can be asked.
async fn holds_patients(config: &Config) -> Option<bool> {
    let server = server(config, &config.database.user, &config.database.password_file).ok()?;
    let client = server.connect("domicile-doctor", "-c search_path=public").await.ok()?;
    // The fence and not the patients: no tenant's rows are for the doctor to see.
    client.query_one("SELECT EXISTS (SELECT FROM patient_home)", &[]).await.ok()?.try_get(0).ok()
}

async fn keyring(config: &Config, database: Option<i64>, report: &mut Report) -> Found {
    let name = "keyring";
    match &config.keys.keyring {
        KeyringSection::Embedded { file } if file.exists() => match secret_file::closed(file) {
            Ok(()) => embedded(file, report).await,
            Err(error) => {
                report.fail(name, error.to_string(), format!("run `chmod 600 {}`", file.display()));
                Found::Unknown
            }
        },
        KeyringSection::Embedded { file } => {
            if holds_patients(config).await == Some(true) {
                let what = format!("{} is not there, and the database holds patients", file.display());
                report.fail(name, what, RESTORE);
            } else {
                report.ok(name, format!("{} is made at the first start", file.display()));
            }
            Found::Unknown
        }
        KeyringSection::Postgres { .. } => match keys::keyring(config).await {
            Err(stop) => {
                report.stop(name, stop);
                Found::Unknown
            }
            Ok(keyring) => {
                place(&*keyring, database, report);
                held(&*keyring, report).await
            }
        },
    }
}

fn place(keyring: &dyn Keyring, database: Option<i64>, report: &mut Report) {
    let name = "keyring";
    match (keyring.server_identity(), database) {
        (Some(theirs), Some(ours)) if theirs == ours => report.fail(
            name,
            "is in the Postgres server that holds the PHI: one backup would hold both",
            "use another server, with backups of its own",
        ),
        (Some(_), Some(_)) => report.ok(name, format!("{}, on another server", keyring.describe())),
        _ => report.warn(
            name,
            format!(
                "{} answers; whether it is another server than the database could not be told",
                keyring.describe()
            ),
            "see the findings on the database",
        ),
    }
}

/// Looks into a copy: opening the file itself would lock it and may repair it. One that a node has open changes
/// under the copy, so that only a copy that can be read says something.
async fn embedded(file: &Path, report: &mut Report) -> Found {
    let name = "keyring";
    let running = File::open(file).is_ok_and(|f| matches!(f.try_lock_shared(), Err(TryLockError::WouldBlock)));
    let mut begins = [0; REDB.len()];
    let whole = File::open(file).and_then(|mut f| f.read_exact(&mut begins)).is_ok() && begins == REDB;
    if !whole {
        report.fail(name, format!("{} is not a keyring", file.display()), RESTORE);
        return Found::Unknown;
    }
    let copy = match Copy::of(file) {
        Ok(copy) => copy,
        Err(error) => {
            let what = format!("{} could not be copied, to be looked into: {error}", file.display());
            report.warn(name, what, "make room in /dev/shm or in TMPDIR");
            return Found::Unknown;
        }
    };
    match EmbeddedKeyring::open(&copy.file) {
        Ok(keyring) => {
            report.ok(name, format!("{}, outside the database", file.display()));
            held(&keyring, report).await
        }
        Err(_) if running => {
            report.ok(name, format!("{}, outside the database; the node has it open", file.display()));
            Found::Unknown
        }
        Err(error) => {
            damaged(&error, file, report);
            Found::Unknown
        }
    }
}

fn damaged(error: &KeyringError, file: &Path, report: &mut Report) {
    // The copy's name helps nobody.
    let (KeyringError::Unusable { why, .. } | KeyringError::Unavailable { why, .. }) = error;
    report.fail("keyring", format!("{} cannot be read: {why}", file.display()), RESTORE);
}

/// A key to try: the region's own, or any.
async fn held(keyring: &dyn Keyring, report: &mut Report) -> Found {
    let looked = async {
        for owner in [KeyOwner::BlindIndex, KeyOwner::Region] {
            if let Some(record) = keyring.newest(owner).await? {
                return Ok(Some(record));
            }
        }
        Ok::<_, KeyringError>(keyring.after(None, 1).await?.into_iter().next())
    };
    match looked.await {
        Ok(Some(record)) => Found::Key(record),
        Ok(None) => Found::Nothing,
        Err(error) => {
            report.fail("keyring", format!("cannot be read: {}", chain(&error)), RESTORE);
            Found::Unknown
        }
    }
}

/// A copy for the time of one look, in memory where the machine offers that.
struct Copy {
    folder: PathBuf,
    file: PathBuf,
}

impl Copy {
    fn of(file: &Path) -> std::io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let mut draw = [0; 8];
        SystemEntropy::new().fill(&mut draw);
        let folder = place.join(format!("domicile-doctor-{}", data_encoding::HEXLOWER.encode(&draw)));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let copy = Self { file: folder.join("keyring.redb"), folder };
        fs::copy(file, &copy.file)?;
        fs::set_permissions(&copy.file, fs::Permissions::from_mode(0o600))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left of a look that cannot tidy up holds wrapped keys only.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use storage_keys::local::LocalKms;

    use super::super::Verdict;
    use super::*;

    fn verdicts(report: &Report) -> Vec<Verdict> {
        report.findings.iter().map(|f| f.verdict).collect()
    }

    async fn keep_one(kms: &LocalKms, context: &KeyContext, file: &Path) {
        let (_, wrapped) = kms.generate(context).await.expect("wraps");
        let id = storage_keys::DataKeyId::random(&SystemEntropy::new());
        let record = KeyRecord { id, owner: KeyOwner::Region, version: 1, wrapped };
        EmbeddedKeyring::open(file).expect("opens").insert(record).await.expect("keeps");
        // Its thread closes the file a moment later.
        while File::open(file).expect("opens").try_lock().is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_keyring_is_read_without_a_change_and_garbage_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("keyring.redb");
        let kms = LocalKms::open_or_create(&dir.path().join("master.key"), Arc::new(SystemEntropy::new()))
            .expect("opens");
        let cluster = "dev-1".parse().expect("a label");
        let context = KeyContext::of(
            cluster,
            "US-TX".parse().map(residency_policy::Region).expect("one"),
            KeyOwner::Region,
        );
        keep_one(&kms, &context, &file).await;
        let before = fs::read(&file).expect("reads");
        let mut report = Report::default();
        let found = embedded(&file, &mut report).await;
        let Found::Key(record) = found else { panic!("the key is found") };
        assert!(kms.unwrap(&record.wrapped, &context).await.is_ok());
        assert_eq!(verdicts(&report), [Verdict::Ok]);
        assert!(fs::read(&file).expect("reads") == before, "the file is as it was");

        let mut broken = before;
        broken[20..].fill(0x5a);
        for bytes in [&b"garbage"[..], &broken, b""] {
            fs::write(&file, bytes).expect("writes");
            let mut report = Report::default();
            assert!(matches!(embedded(&file, &mut report).await, Found::Unknown));
            assert_eq!(verdicts(&report), [Verdict::Fail], "{:?}", report.findings);
        }
    }
}
