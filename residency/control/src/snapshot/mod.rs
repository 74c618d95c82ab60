//! The state as bytes: versioned, checked, and the same bytes for the same state.
//!
//! An image is `"DOMSTATE"`, a version, the parts (each a length and a [`Part`] in postcard, then a length of zero), the
//! directory, and SHA-256 of all that. The directory is the number of ids that are as they were claimed, their keys
//! with their homes (10 bytes each, ascending), the number of the others, and those (22 bytes each, ascending by id).
//! A version or a part that this program does not know is refused: guessing at a newer member's state would be worse
//! than stopping.
//!
//! An image is written and read piece by piece, and no piece is larger than a part.
//!
//! Version 1 had all but the directory in one piece, and whole ids. Its images are still read: a member that was
//! stopped before an upgrade begins from one. What is replicated later gets a part at the end of the list, and no
//! new version.

mod first;
mod parts;

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};

use bytes::Bytes;
use residency_policy::{Epoch, Home, Jurisdiction, PatientId, Placement, PlacementState, Region};
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::directory::{Directory, Filling, Key};
use crate::machine::State;
use parts::Part;

/// The version that [`write`] writes.
pub const VERSION: u16 = 2;
/// The version of the first release.
const FIRST: u16 = 1;

const MAGIC: &[u8; 8] = b"DOMSTATE";
const CLAIMED_LEN: usize = Key::LEN + 1;
const CHANGED_LEN: usize = 22;
/// No part is larger; a length that says so is not one.
const PART_BYTES_MAX: u32 = 256 << 20;
const BUFFER: usize = 64 << 10;

/// Why bytes are not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// They do not begin as a snapshot does.
    #[error("not a snapshot of the control plane")]
    NotASnapshot,
    /// Another version of this program wrote them.
    #[error("a snapshot of version {0}, which this program does not know (it knows {FIRST} to {VERSION})")]
    UnknownVersion(u16),
    /// They are what was written, by a program that replicates more than this one.
    #[error("a snapshot with a part that this program does not know: a newer one wrote it")]
    UnknownPart,
    /// They are not the bytes that were written.
    #[error("the snapshot is damaged")]
    Damaged,
    /// They cannot be read.
    #[error("the snapshot cannot be read: {0}")]
    Unreadable(io::ErrorKind),
}

impl From<io::Error> for SnapshotError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            kind => Self::Unreadable(kind),
        }
    }
}

/// Writes a state.
pub fn write(state: &State, out: &mut impl Write) -> io::Result<()> {
    let mut out = Digested { inner: out, context: Context::new(&SHA256) };
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    for part in parts::of(state) {
        let bytes = postcard::to_allocvec(&part).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= PART_BYTES_MAX);
        let length =
            length.ok_or_else(|| io::Error::other("a part of the state is too large for a snapshot"))?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&bytes)?;
    }
    out.write_all(&0_u32.to_le_bytes())?;
    write_directory(&state.directory, &mut out)?;
    let Digested { inner, context } = out;
    inner.write_all(context.finish().as_ref())
}

fn write_directory(directory: &Directory, out: &mut impl Write) -> io::Result<()> {
    let changed = directory.changed().count();
    out.write_all(&((directory.len() - changed) as u64).to_le_bytes())?;
    for (key, home) in directory.as_claimed() {
        let mut line = [0; CLAIMED_LEN];
        line[..Key::LEN].copy_from_slice(&key.to_bytes());
        line[Key::LEN] = home.0.0.index();
        out.write_all(&line)?;
    }
    out.write_all(&(changed as u64).to_le_bytes())?;
    directory.changed().try_for_each(|placement| out.write_all(&changed_line(&placement)))
}

fn changed_line(placement: &Placement) -> [u8; CHANGED_LEN] {
    let mut line = [0; CHANGED_LEN];
    line[..16].copy_from_slice(&placement.patient.to_bytes());
    line[16] = placement.home.0.0.index();
    line[17..21].copy_from_slice(&placement.epoch.0.to_le_bytes());
    line[21] = match placement.state {
        PlacementState::Active => 0,
        PlacementState::Retired => 1,
    };
    line
}

/// Reads the state that begins where the reader stands. It is read twice, first for the digest: of bytes that are
/// not what was written, nothing is believed.
pub fn read(from: &mut (impl Read + Seek)) -> Result<State, SnapshotError> {
    let start = from.stream_position()?;
    let (version, length) = check(from)?;
    from.seek(SeekFrom::Start(start + (MAGIC.len() + 2) as u64))?;
    let mut body = BufReader::with_capacity(BUFFER, from).take(length - (MAGIC.len() + 2) as u64);
    if version == FIRST { first::read(&mut body) } else { read_body(&mut body) }
}

/// The version, and how long the image is without its digest.
fn check(from: &mut impl Read) -> Result<(u16, u64), SnapshotError> {
    let mut buffer = vec![0; BUFFER];
    let (mut context, mut length, mut version) = (Context::new(&SHA256), 0_u64, None);
    // What was read and may be the digest.
    let mut held = 0;
    loop {
        let read = fill(from, &mut buffer[held..])?;
        let there = held + read;
        if version.is_none() {
            version = Some(version_of(&buffer[..there])?);
        }
        let body = there.saturating_sub(SHA256_OUTPUT_LEN);
        context.update(&buffer[..body]);
        length += body as u64;
        buffer.copy_within(body..there, 0);
        held = there - body;
        if read == 0 {
            break;
        }
    }
    if held != SHA256_OUTPUT_LEN || context.finish().as_ref() != &buffer[..held] {
        return Err(SnapshotError::Damaged);
    }
    let version = version.filter(|_| length >= (MAGIC.len() + 2) as u64).ok_or(SnapshotError::Damaged)?;
    Ok((version, length))
}

/// The version comes before the digest: a later version may place or compute its digest otherwise.
fn version_of(image: &[u8]) -> Result<u16, SnapshotError> {
    let rest = image.strip_prefix(MAGIC).ok_or(SnapshotError::NotASnapshot)?;
    let version = rest.first_chunk().map(|bytes| u16::from_le_bytes(*bytes)).ok_or(SnapshotError::Damaged)?;
    if (FIRST..=VERSION).contains(&version) { Ok(version) } else { Err(SnapshotError::UnknownVersion(version)) }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The digest was right, so what cannot be read is not damaged: this program does not know it.
fn read_body(body: &mut impl Read) -> Result<State, SnapshotError> {
    let mut state = State::default();
    loop {
        let length = u32::from_le_bytes(array(body)?);
        if length == 0 {
            break;
        }
        if length > PART_BYTES_MAX {
            return Err(SnapshotError::Damaged);
        }
        let mut bytes = vec![0; length as usize];
        body.read_exact(&mut bytes)?;
        let part: Part = postcard::from_bytes(&bytes).map_err(|_| SnapshotError::UnknownPart)?;
        parts::put(&mut state, part);
    }
    state.directory = read_directory(body)?;
    let end = body.read(&mut [0])?;
    if end == 0 { Ok(state) } else { Err(SnapshotError::Damaged) }
}

fn read_directory(body: &mut impl Read) -> Result<Directory, SnapshotError> {
    let mut filling = Filling::default();
    for _ in 0..u64::from_le_bytes(array(body)?) {
        let line: [u8; CLAIMED_LEN] = array(body)?;
        let (key, home) = line.split_first_chunk::<{ Key::LEN }>().ok_or(SnapshotError::Damaged)?;
        let key = Key::from_bytes(*key).ok_or(SnapshotError::Damaged)?;
        filling.as_claimed(key, home_of(home[0])?).ok_or(SnapshotError::Damaged)?;
    }
    for _ in 0..u64::from_le_bytes(array(body)?) {
        filling.changed(changed_of(&array(body)?)?).ok_or(SnapshotError::Damaged)?;
    }
    Ok(filling.done())
}

fn home_of(index: u8) -> Result<Home, SnapshotError> {
    Jurisdiction::from_index(index).map(|place| Home(Region(place))).map_err(|_| SnapshotError::Damaged)
}

fn changed_of(line: &[u8; CHANGED_LEN]) -> Result<Placement, SnapshotError> {
    let (id, rest) = line.split_first_chunk().ok_or(SnapshotError::Damaged)?;
    let (epoch, state) = rest[1..].split_first_chunk().ok_or(SnapshotError::Damaged)?;
    let state = match state[0] {
        0 => PlacementState::Active,
        1 => PlacementState::Retired,
        _ => return Err(SnapshotError::Damaged),
    };
    let (home, epoch) = (home_of(rest[0])?, Epoch(u32::from_le_bytes(*epoch)));
    Ok(Placement { patient: PatientId::from_bytes(*id), home, epoch, state })
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A state as bytes in memory: for what is small.
pub fn encode(state: &State) -> Result<Bytes, SnapshotError> {
    let mut image = Vec::new();
    write(state, &mut image)?;
    Ok(image.into())
}

/// The state that bytes in memory are.
pub fn restore(image: &[u8]) -> Result<State, SnapshotError> {
    read(&mut Cursor::new(image))
}

/// Writes on, and keeps the digest of what was written.
struct Digested<'a, W> {
    inner: &'a mut W,
    context: Context,
}

impl<W: Write> Write for Digested<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
