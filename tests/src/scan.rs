//! Finds a marker in any coding that a program would leave it in: plain in any case, base64 at all three
//! alignments, hex, UTF-16 in both orders, percent-encoded; and a ciphertext, byte for byte, in the same codings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result, ensure};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};

/// Shorter than this, and chance would find it.
const LENGTH_MIN: usize = 6;

/// How many finds are told one by one.
const TOLD_MAX: usize = 20;

/// One thing to look for, in one coding.
#[derive(Debug, Clone)]
struct Needle {
    bytes: Vec<u8>,
    coding: &'static str,
    /// Which field of which canary; never its value.
    what: String,
}

/// Looks for all needles at once.
pub struct Scanner {
    automaton: AhoCorasick,
    needles: Vec<Needle>,
}

/// A find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The file, or whatever else was looked through.
    pub place: String,
    /// How far in.
    pub offset: usize,
    /// How it was coded.
    pub coding: &'static str,
    /// Which field of which canary.
    pub what: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} in {} ({})", self.what, self.offset, self.place, self.coding)
    }
}

/// What was looked through and what was found.
#[derive(Debug, Default)]
pub struct Found {
    /// How many files or other places.
    pub places: usize,
    /// How many bytes.
    pub bytes: usize,
    /// What was found there.
    pub hits: Vec<Hit>,
}

impl Found {
    /// Adds what was found elsewhere.
    pub fn join(&mut self, other: Self) {
        self.places += other.places;
        self.bytes += other.bytes;
        self.hits.extend(other.hits);
    }

    /// Fails, naming places and fields, unless something was looked through and nothing was found.
    pub fn clean(&self, where_: &str) -> Result<()> {
        ensure!(self.places > 0 && self.bytes > 0, "{where_}: nothing was looked through");
        let told: BTreeSet<String> = self.hits.iter().take(TOLD_MAX).map(ToString::to_string).collect();
        ensure!(
            self.hits.is_empty(),
            "{where_}: {} finds in {} places:\n{}",
            self.hits.len(),
            self.places,
            told.into_iter().collect::<Vec<_>>().join("\n")
        );
        Ok(())
    }
}

/// Everything that `bytes` may look like once a program has coded it.
fn codings(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = HEXLOWER.encode(bytes).into_bytes();
    let mut found = vec![("plain", bytes.to_vec()), ("hex", hex)];
    for skipped in 0..3 {
        for (name, coder) in [("base64", BASE64_NOPAD), ("base64url", BASE64URL_NOPAD)] {
            let mut shifted = vec![0; skipped];
            shifted.extend_from_slice(bytes);
            let text = coder.encode(&shifted);
            // What is before and after the marker changes the characters at its edges: only those that the marker
            // alone decides are looked for.
            let first = (skipped * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            found.push((name, text.as_bytes()[first..last].to_vec()));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        found.push(("utf-16le", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        found.push(("utf-16be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        found.push(("percent", percent(bytes, |_| false)));
        found.push(("percent", percent(bytes, |b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))));
    }
    found
}

/// Percent-encoding (RFC 3986 section 2.1) of all bytes but those that are kept.
fn percent(bytes: &[u8], kept: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in bytes {
        if kept(*byte) {
            out.push(*byte);
        } else {
            out.push(b'%');
            out.extend_from_slice(HEXLOWER.encode(&[*byte]).as_bytes());
        }
    }
    out
}

impl Scanner {
    /// Looks for texts: (which field of whom, the text).
    pub fn for_texts<'a>(texts: impl IntoIterator<Item = (String, &'a str)>) -> Result<Self> {
        Self::new(texts.into_iter().map(|(what, text)| (what, text.as_bytes().to_vec())))
    }

    /// Looks for bytes, such as ciphertexts.
    pub fn for_bytes(blobs: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        Self::new(blobs)
    }

    fn new(wanted: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        let mut coded = BTreeMap::new();
        for (what, bytes) in wanted {
            ensure!(bytes.len() >= LENGTH_MIN, "{what} is too short to look for");
            // What looks the same in two codings is told by the first of them.
            for (coding, bytes) in codings(&bytes) {
                coded.entry(bytes).or_insert((coding, what.clone()));
            }
        }
        ensure!(!coded.is_empty(), "there is nothing to look for");
        let needles: Vec<Needle> =
            coded.into_iter().map(|(bytes, (coding, what))| Needle { bytes, coding, what }).collect();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(needles.iter().map(|n| &n.bytes))
            .context("the needles make an automaton")?;
        Ok(Self { automaton, needles })
    }

    /// How many needles there are, all codings counted.
    pub fn needles(&self) -> usize {
        self.needles.len()
    }

    /// Looks through bytes.
    pub fn bytes(&self, place: &str, bytes: &[u8]) -> Found {
        let hits = self
            .automaton
            .find_iter(bytes)
            .map(|hit| {
                let needle = &self.needles[hit.pattern().as_usize()];
                Hit {
                    place: place.to_owned(),
                    offset: hit.start(),
                    coding: needle.coding,
                    what: needle.what.clone(),
                }
            })
            .collect();
        Found { places: 1, bytes: bytes.len(), hits }
    }

    /// Looks through a file. One that vanished meanwhile, as a server's temporary files do, holds nothing.
    pub fn file(&self, path: &Path) -> Result<Found> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(self.bytes(&path.display().to_string(), &bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::default()),
            // A socket has no content of its own.
            Err(error) if error.raw_os_error() == Some(6) => Ok(Found::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Looks through every file of a folder whose path is not left out, and through the names of the files.
    pub fn tree(&self, folder: &Path, left_out: &[PathBuf]) -> Result<Found> {
        let mut found = Found::default();
        let mut next = vec![folder.to_owned()];
        while let Some(path) = next.pop() {
            if left_out.contains(&path) {
                continue;
            }
            let name = path.display().to_string();
            found.hits.extend(self.bytes(&format!("the name {name}"), name.as_bytes()).hits);
            let kind = match std::fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context(name),
            };
            if kind.is_dir() {
                let entries = std::fs::read_dir(&path).with_context(|| name)?;
                next.extend(entries.flatten().map(|entry| entry.path()));
            } else if kind.is_file() {
                found.join(self.file(&path)?);
            }
        }
        Ok(found)
    }
}

/// The base64 of a text with padding, for controls.
pub fn base64(text: &str) -> String {
    BASE64.encode(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "ZZPHI-LAST-7f3a";

    fn finds(haystack: &[u8]) -> Vec<&'static str> {
        let scanner = Scanner::for_texts([("last".to_owned(), MARKER)]).expect("a scanner");
        scanner.bytes("here", haystack).hits.iter().map(|h| h.coding).collect()
    }

    #[test]
    fn a_marker_is_found_in_every_coding() {
        let around = |text: &str| format!("before {text} after").into_bytes();
        assert_eq!(finds(&around(MARKER)), ["plain"]);
        assert_eq!(finds(&around(&MARKER.to_lowercase())), ["plain"]);
        assert_eq!(finds(&around(&MARKER.to_uppercase())), ["plain"]);
        assert_eq!(finds(HEXLOWER.encode(&around(MARKER)).as_bytes()), ["hex"]);
        assert_eq!(finds(HEXLOWER.encode(&around(MARKER)).to_uppercase().as_bytes()), ["hex"]);
        for before in ["", "1", "12", "123"] {
            let text = format!("{before}{MARKER} and more");
            assert_eq!(finds(base64(&text).as_bytes()).len(), 1, "{before:?}");
        }
        let wide: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(finds(&wide), ["utf-16le"]);
        let all = percent(MARKER.as_bytes(), |_| false).to_ascii_uppercase();
        assert_eq!(finds(&all), ["percent"]);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(finds(b"ZZPHI-LAST-7f3b and everything else").is_empty());
    }

    #[test]
    fn a_folder_is_searched_with_its_names_and_without_what_is_left_out() {
        let folder = std::env::temp_dir().join(format!("domicile-scan-{}", std::process::id()));
        let inner = folder.join("inner");
        std::fs::create_dir_all(&inner).expect("a folder");
        std::fs::write(inner.join("log"), format!("a {MARKER}")).expect("a file");
        std::fs::write(folder.join(MARKER), "clean").expect("a file");
        let scanner = Scanner::for_texts([("last".to_owned(), MARKER)]).expect("a scanner");
        let all = scanner.tree(&folder, &[]).expect("it is searched");
        let less = scanner.tree(&folder, &[inner]).expect("it is searched");
        std::fs::remove_dir_all(&folder).expect("it is removed");
        assert_eq!((all.places, all.hits.len()), (2, 2));
        assert_eq!((less.places, less.hits.len()), (1, 1));
        assert!(less.clean("the folder").expect_err("it is not clean").to_string().contains("last at"));
    }

    #[test]
    fn looking_through_nothing_is_not_clean() {
        assert!(Found::default().clean("nowhere").is_err());
    }

    #[test]
    fn what_is_too_short_is_refused() {
        assert!(Scanner::for_texts([("sex".to_owned(), "F")]).is_err());
    }
}
