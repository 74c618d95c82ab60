//! `LocalKms`: a KMS for development, whose master keys are in one file.
//!
//! The file is readable by its owner only, and a file that others can read is refused: its keys must be taken as
//! known. It holds several versions, so that a rotation wraps data keys again without touching what they sealed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use data_encoding::BASE64;
use futures::future::BoxFuture;
use residency_policy::Entropy;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::cipher::{self, NonceBytes};
use crate::{DataKey, KeyContext, KmsError, RegionKms, Wrapped};

/// The first byte of a wrapped key: this backend, this layout.
const LAYOUT: u8 = 0x4c;
/// Layout, master key version, nonce.
const HEADER_LEN: usize = 1 + 4 + 12;

/// A KMS for development.
pub struct LocalKms {
    path: PathBuf,
    masters: BTreeMap<u32, DataKey>,
    newest: u32,
    entropy: Arc<dyn Entropy>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: u32,
    keys: Vec<KeyLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine {
    version: u32,
    key: String,
}

impl Drop for KeyLine {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl LocalKms {
    /// Opens the master key file, or makes it with one master key when there is none.
    pub fn open_or_create(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KmsError> {
        let first = KeyFile { format: 1, keys: vec![new_line(1, entropy.as_ref())] };
        match write_new(path, &first) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(path, &format!("it cannot be made: {error}"))),
        }
        Self::open(path, entropy)
    }

    /// Opens the master key file.
    pub fn open(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KmsError> {
        let file = read(path)?;
        let mut masters = BTreeMap::new();
        for line in &file.keys {
            let bytes = BASE64.decode(line.key.as_bytes()).map(Zeroizing::new);
            let key = bytes.ok().and_then(|bytes| DataKey::from_slice(&bytes));
            let key = key.ok_or_else(|| unusable(path, "a key in it is not 32 bytes in base64"))?;
            if masters.insert(line.version, key).is_some() {
                return Err(unusable(path, "two keys in it have the same version"));
            }
        }
        let newest = *masters.keys().next_back().ok_or_else(|| unusable(path, "it holds no key"))?;
        Ok(Self { path: path.to_owned(), masters, newest, entropy })
    }

    /// Adds a master key to the file. Whoever opens the file from now on wraps under it; [`crate::Envelope::rewrap`]
    /// brings older data keys along. Returns the new version.
    pub fn rotate(path: &Path, entropy: &dyn Entropy) -> Result<u32, KmsError> {
        let mut file = read(path)?;
        let version = file.keys.iter().map(|line| line.version).max().unwrap_or(0) + 1;
        file.keys.push(new_line(version, entropy));
        let beside = path.with_extension("new");
        let written = remove_if_there(&beside)
            .and_then(|()| write_new(&beside, &file))
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| sync_folder(path));
        written.map_err(|error| unusable(path, &format!("it cannot be replaced: {error}")))?;
        Ok(version)
    }

    fn wrap(&self, key: &DataKey, context: &KeyContext) -> Wrapped {
        let mut nonce: NonceBytes = [0; 12];
        self.entropy.fill(&mut nonce);
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.push(LAYOUT);
        header.extend_from_slice(&self.newest.to_be_bytes());
        header.extend_from_slice(&nonce);
        let plain = Zeroizing::new(key.bytes().to_vec());
        // The newest version was taken from this map.
        Wrapped(cipher::seal(&self.masters[&self.newest], nonce, &context.to_bytes(), plain, header))
    }

    fn open_wrapped(&self, wrapped: &Wrapped, context: &KeyContext) -> Result<(u32, DataKey), KmsError> {
        let does_not_open = || KmsError::DoesNotOpen { kms: self.describe() };
        let (header, sealed) = wrapped.0.split_at_checked(HEADER_LEN).ok_or_else(does_not_open)?;
        let (layout, rest) = header.split_at(1);
        let (version, nonce) = rest.split_at(4);
        let version = u32::from_be_bytes(version.try_into().map_err(|_| does_not_open())?);
        let nonce: NonceBytes = nonce.try_into().map_err(|_| does_not_open())?;
        let master = self.masters.get(&version).filter(|_| layout == [LAYOUT]).ok_or_else(does_not_open)?;
        let plain = cipher::open(master, nonce, &context.to_bytes(), sealed).map_err(|_| does_not_open())?;
        DataKey::from_slice(&plain).map(|key| (version, key)).ok_or_else(does_not_open)
    }
}

impl RegionKms for LocalKms {
    fn generate<'a>(&'a self, context: &'a KeyContext) -> BoxFuture<'a, Result<(DataKey, Wrapped), KmsError>> {
        Box::pin(async move {
            let key = DataKey::random(self.entropy.as_ref());
            let wrapped = self.wrap(&key, context);
            Ok((key, wrapped))
        })
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        Box::pin(async move { self.open_wrapped(wrapped, context).map(|(_, key)| key) })
    }

    fn rewrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<Option<Wrapped>, KmsError>> {
        Box::pin(async move {
            let (version, key) = self.open_wrapped(wrapped, context)?;
            Ok((version != self.newest).then(|| self.wrap(&key, context)))
        })
    }

    fn describe(&self) -> String {
        format!("local master key file {} (version {})", self.path.display(), self.newest)
    }
}

fn new_line(version: u32, entropy: &dyn Entropy) -> KeyLine {
    KeyLine { version, key: BASE64.encode(DataKey::random(entropy).bytes()) }
}

fn unusable(path: &Path, why: &str) -> KmsError {
    KmsError::Unusable { why: format!("the master key file {}: {why}", path.display()) }
}

fn read(path: &Path) -> Result<KeyFile, KmsError> {
    let mut file =
        File::open(path).map_err(|error| unusable(path, &format!("it cannot be opened: {error}")))?;
    let about = file.metadata().map_err(|error| unusable(path, &format!("it cannot be examined: {error}")))?;
    if about.mode() & 0o077 != 0 {
        return Err(unusable(
            path,
            "others than its owner can reach it. Take its keys as known: make it readable by its owner only \
             (chmod 0600) and rotate",
        ));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.read_to_end(&mut text).map_err(|error| unusable(path, &format!("it cannot be read: {error}")))?;
    // serde_json's own message may quote what it read, and what it read is keys.
    let file: KeyFile = serde_json::from_slice(&text)
        .map_err(|error| unusable(path, &format!("line {} is not as it was written", error.line())))?;
    if file.format != 1 {
        return Err(unusable(path, "its format is not 1; a newer program wrote it"));
    }
    Ok(file)
}

fn write_new(path: &Path, file: &KeyFile) -> std::io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let text = Zeroizing::new(serde_json::to_vec_pretty(file)?);
    // Written beside and linked into place: a crash leaves either no key file or a whole one.
    let own = format!("part-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let beside = path.with_extension(own);
    remove_if_there(&beside)?;
    let mut part = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    part.write_all(&text)?;
    part.sync_all()?;
    // A link, unlike a rename, does not replace a file that is there.
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    linked?;
    sync_folder(path)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
