//! The node's own signing keys, and what they sign.
//!
//! Each node makes its own and tells the others only the public half, so that no private key is ever sent. A key signs for
//! thirty days and is good for a day longer; the next one is made and published a day before it is needed, so that every
//! node knows it by then.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::{fs, io};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use residency_control::signin::SigningKey;
use residency_policy::{Entropy, Region, SigningKeyId};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use residency_tokens::{Claims, ring_provider};

const DAY: i64 = 86_400;
/// How long a key signs, in seconds.
const SIGNS_SECONDS: i64 = 30 * DAY;
/// How long before that is over the next key is made.
const NEXT_SECONDS: i64 = DAY;
const SUFFIX: &str = ".signing-key";
/// The last part of a name, instead of that of [`SUFFIX`], while the file is being written.
const UNFINISHED: &str = "unfinished";

/// A private key of this node.
struct Own {
    public: SigningKey,
    private: EncodingKey,
}

/// Signs access tokens in the name of one region's node.
pub struct Issuer {
    cluster: String,
    region: Region,
    /// Where the private keys lie.
    dir: PathBuf,
    keys: RwLock<Vec<Own>>,
}

/// Why a node has no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// The folder cannot be read or written.
    #[error("the signing keys in {0} cannot be read or written: {1}")]
    Io(PathBuf, io::Error),
    /// A file holds no key.
    #[error("the signing key {0} is not an Ed25519 key in PKCS #8: remove it, and another one is made")]
    NotAKey(PathBuf),
}

impl Issuer {
    /// Reads the keys that this node made earlier. `cluster` names issuer and audience.
    pub fn open(cluster: String, region: Region, dir: &Path) -> Result<Self, NoKey> {
        ring_provider::install();
        let io = |error| NoKey::Io(dir.to_owned(), error);
        fs::create_dir_all(dir).map_err(io)?;
        let mut keys = Vec::new();
        for entry in fs::read_dir(dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(&path).map_err(|error| NoKey::Io(path, error))?;
                continue;
            }
            let Some(named) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(SUFFIX))
            else {
                continue;
            };
            let wrong = || NoKey::NotAKey(path.clone());
            // `<id>.<first second>`: all that is to be known beside the key itself.
            let (id, from) = named.split_once('.').ok_or_else(wrong)?;
            let (id, from) = (id.parse().map_err(|_| wrong())?, from.parse().map_err(|_| wrong())?);
            let pkcs8 = fs::read(&path).map_err(|error| NoKey::Io(path.clone(), error))?;
            keys.push(own(region, id, from, &pkcs8).ok_or_else(wrong)?);
        }
        Ok(Self { cluster, region, dir: dir.to_owned(), keys: RwLock::new(keys) })
    }

    /// Who issues and for whom.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Makes a key where one will be needed within a day, forgets those of which nothing can be good any more, and gives
    /// back every key that others must know.
    pub fn tend(&self, now: i64, entropy: &dyn Entropy) -> Result<Vec<SigningKey>, NoKey> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for over in keys.iter().filter(|key| key.public.not_after <= now) {
            let path = self.path(over.public.id, over.public.not_before);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(NoKey::Io(path, error)),
                _ => {}
            }
        }
        keys.retain(|key| key.public.not_after > now);
        let signs_until = keys.iter().map(|key| key.public.not_before + SIGNS_SECONDS).max().unwrap_or(now);
        if signs_until <= now + NEXT_SECONDS {
            keys.push(self.make(signs_until.max(now), entropy)?);
        }
        Ok(keys.iter().map(|key| key.public.clone()).collect())
    }

    /// Signs. `known` says of which keys the others have heard. None while there is no key for now.
    pub fn sign(&self, claims: &Claims, known: impl Fn(SigningKeyId) -> bool) -> Option<String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let usable = keys.iter().filter(|key| {
            let from = key.public.not_before;
            (from..from + SIGNS_SECONDS).contains(&claims.iat) && known(key.public.id)
        });
        let key = usable.max_by_key(|key| key.public.not_before)?;
        let header = Header { kid: Some(key.public.id.to_string()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &key.private).ok()
    }

    fn make(&self, from: i64, entropy: &dyn Entropy) -> Result<Own, NoKey> {
        let id = SigningKeyId::random(entropy);
        let path = self.path(id, from);
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let pkcs8 = pkcs8_of(&seed);
        write_closed(&path, &pkcs8).map_err(|error| NoKey::Io(path.clone(), error))?;
        own(self.region, id, from, &pkcs8).ok_or(NoKey::NotAKey(path))
    }

    fn path(&self, id: SigningKeyId, from: i64) -> PathBuf {
        self.dir.join(format!("{id}.{from}{SUFFIX}"))
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

fn own(region: Region, id: SigningKeyId, from: i64, pkcs8: &[u8]) -> Option<Own> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
    let public = pair.public_key().as_ref().try_into().ok()?;
    let not_after = from.checked_add(SIGNS_SECONDS + DAY)?;
    let public = SigningKey { id, region, public, not_before: from, not_after };
    Some(Own { public, private: EncodingKey::from_ed_der(pkcs8) })
}

/// An Ed25519 private key in PKCS #8, version 1 (RFC 8410 section 7): everything before the seed is the same for all.
fn pkcs8_of(seed: &[u8; 32]) -> Vec<u8> {
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    [head.as_slice(), seed].concat()
}

/// Writes a file that only its owner may read, and does not return before it is on disk. Until then it has another name:
/// what a full disk or a power cut leaves behind is never taken for a key.
fn write_closed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let unfinished = path.with_extension(UNFINISHED);
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill(7);
        }
    }

    #[test]
    fn a_key_that_was_never_finished_is_none_and_one_that_was_is_found_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = || {
            let region = Region("US-TX".parse().expect("a jurisdiction"));
            Issuer::open("domicile:test".to_owned(), region, dir.path())
        };
        let id = SigningKeyId::random(&Sevens);
        let unfinished = dir.path().join(format!("{id}.5.{UNFINISHED}"));
        fs::write(&unfinished, [0; 20]).expect("writes");
        let made = open().expect("opens").tend(10, &Sevens).expect("makes one");
        assert!(!unfinished.exists());
        assert_eq!(open().expect("opens").tend(10, &Sevens).expect("has it"), made);
        fs::write(dir.path().join(format!("{id}.5{SUFFIX}")), [0; 20]).expect("writes");
        assert!(matches!(open(), Err(NoKey::NotAKey(_))), "the control");
    }
}
