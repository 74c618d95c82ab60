//! A log in memory, and the keys of the ones in the vectors.

use std::collections::HashMap;
use std::convert::Infallible;

use residency_tlog::{
    Checkpoint, GrowingTree, Hash, KeyKind, Note, ProveError, SigningKey, Tile, TileNodes, leaf_hash,
    prove_consistency, prove_inclusion, root_of,
};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Why nothing in memory is missing: a test asks for tiles that were published.
pub(crate) type Read = ProveError<Infallible>;

/// The log of `event 0`, `event 1`, ...: what it published.
pub(crate) struct Log {
    pub(crate) tree: GrowingTree,
    pub(crate) tiles: HashMap<Tile, Vec<u8>>,
    pub(crate) roots: Vec<Hash>,
}

impl Log {
    /// A log that published its tiles at every size up to this one.
    pub(crate) fn of(size: u64) -> Self {
        let mut log =
            Self { tree: GrowingTree::new(), tiles: HashMap::new(), roots: vec![GrowingTree::new().root()] };
        for index in 0..size {
            log.tree.append(leaf(index));
            log.tiles.extend(log.tree.take_tiles());
            log.roots.push(log.tree.root());
        }
        log
    }

    /// The complete subtrees of its tree of this size.
    pub(crate) fn nodes(&self, size: u64) -> TileNodes<impl FnMut(Tile) -> Result<Vec<u8>, Infallible> + '_> {
        TileNodes::new(size, |tile| Ok(self.tiles.get(&tile).cloned().unwrap_or_default()))
    }

    pub(crate) fn root(&self, size: u64) -> Hash {
        let root = self.roots[usize::try_from(size).expect("small")];
        assert_eq!(root_of(size, &mut self.nodes(size)), Ok::<_, Read>(root), "the root of {size} from tiles");
        root
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        prove_inclusion(index, size, &mut self.nodes(size)).expect("it reads").expect("it is there")
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        prove_consistency(old, new, &mut self.nodes(new)).expect("it reads").expect("it is older")
    }

    /// The signed checkpoint of this size.
    pub(crate) fn note(&self, size: u64, key: &SigningKey) -> Note {
        signed(&Checkpoint::new(ORIGIN, size, self.root(size)).expect("a checkpoint"), key)
    }
}

/// The log's name.
pub(crate) const ORIGIN: &str = "audit.example/us-east";

pub(crate) fn data(index: u64) -> Vec<u8> {
    format!("event {index}").into_bytes()
}

pub(crate) fn leaf(index: u64) -> Hash {
    leaf_hash(&data(index))
}

/// The seed that is the hash of these words.
pub(crate) fn seed(words: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(digest(&SHA256, words.as_bytes()).as_ref().try_into().expect("32 bytes"))
}

/// The key of the vectors.
pub(crate) fn log_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, KeyKind::Ed25519, &seed("test seed")).expect("a key")
}

pub(crate) fn witness_key(name: &str) -> SigningKey {
    SigningKey::from_seed(name, KeyKind::CosignatureV1, &seed(name)).expect("a key")
}

pub(crate) fn signed(checkpoint: &Checkpoint, key: &SigningKey) -> Note {
    let mut note = checkpoint.to_note().expect("a note");
    note.sign(key).expect("signs");
    note
}
