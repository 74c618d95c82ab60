//! Somebody else's code (Cloudflare's, for Certificate Transparency) reads what we write, proves what we verify and verifies
//! what we prove.

use std::cell::RefCell;

use residency_tlog::{
    Checkpoint, Hash, KeyKind, Note, Resource, SigningKey, Tile, new_tiles, skey_text, tile_root,
    verify_consistency, verify_inclusion,
};
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{TileHashReader, TileReader};

use crate::support::{Log, ORIGIN, data, leaf, log_key, seed};

fn theirs(hash: Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

fn ours(hash: tlog_tiles::Hash) -> Hash {
    Hash(hash.0)
}

/// The tiles that we published, by the paths that they ask for.
struct Published<'a> {
    log: &'a Log,
    asked: RefCell<usize>,
}

impl TileReader for Published<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path();
            // Theirs are named for trees of any height.
            let path = path.strip_prefix("tile/8/").expect("of height 8");
            let Ok(Resource::Tile(tile)) = Resource::parse(&format!("tile/{path}")) else { panic!("{path}") };
            *self.asked.borrow_mut() += 1;
            self.log.tiles.get(&tile).cloned().expect("published")
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _tiles: &[tlog_tiles::Tile], _data: &[Vec<u8>]) {}
}

fn read_by_them(vkey: &str, note: &str) -> Result<Vec<u8>, signed_note::NoteError> {
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(vkey).expect("a key"))]);
    let note = signed_note::Note::from_bytes(note.as_bytes())?;
    note.verify(&verifiers)?;
    Ok(note.text().to_vec())
}

#[test]
fn they_name_the_same_tiles() {
    for (old, new) in
        [(0, 1), (0, 256), (255, 257), (0, 70_000), (69_999, 70_000), (1, 200_001), (65_535, 65_536)]
    {
        let tiles = tlog_tiles::Tile::new_tiles(8, old, new);
        let paths: Vec<String> = tiles.iter().map(|tile| tile.path().replacen("tile/8/", "tile/", 1)).collect();
        let named: Vec<String> = new_tiles(old, new).map(|tile| Resource::Tile(tile).to_string()).collect();
        assert_eq!(named, paths, "{old} to {new}");
    }
}

#[test]
fn they_open_our_checkpoints_and_we_theirs() {
    let (key, log) = (log_key(), Log::of(613));
    let (vkey, note) = (key.verifier().to_string(), log.note(613, &key).to_string());
    let text = read_by_them(&vkey, &note).expect("it opens");
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(&text).expect("a checkpoint");
    assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, 613));
    assert_eq!(ours(*checkpoint.hash()), log.root(613));
    assert!(read_by_them(&vkey, &note.replacen("\n613\n", "\n614\n", 1)).is_err());

    // With our private key, as text, they sign; we open it.
    let skey = skey_text(ORIGIN, KeyKind::Ed25519, &seed("test seed")).expect("a text");
    let signer = StandardSigner::new(&skey).expect("a key");
    let mut theirs = signed_note::Note::new(&text, &[]).expect("a note");
    theirs.add_sigs(&[&signer]).expect("signs");
    assert_eq!(String::from_utf8(theirs.to_bytes()).expect("a text"), note, "Ed25519 has one signature");
    let known = [key.verifier().clone()];
    let opened = Checkpoint::open(&theirs.to_bytes(), ORIGIN, &known).expect("opens");
    assert_eq!(opened.checkpoint.size, 613);

    // A cosignature beside it does not keep them from reading.
    let witness = SigningKey::from_seed("w.example/1", KeyKind::CosignatureV1, &seed("w")).expect("a key");
    let mut both = Note::parse(note.as_bytes()).expect("a note");
    both.add(both.cosignature(&witness, 1_800_000_000).expect("cosigns")).expect("there is room");
    assert_eq!(read_by_them(&vkey, &both.to_string()).expect("it opens"), text);
}

#[test]
fn they_prove_from_our_tiles_what_we_verify_and_verify_what_we_prove() {
    let log = Log::of(1_000);
    let published = Published { log: &log, asked: RefCell::new(0) };
    for size in [1_u64, 2, 3, 255, 256, 257, 511, 512, 513, 613, 999, 1_000] {
        let root = log.root(size);
        let reader = TileHashReader::new(size, theirs(root), &published);
        for index in [0, 1, size / 3, size / 2, size - 1].into_iter().filter(|index| *index < size) {
            assert_eq!(ours(tlog_tiles::record_hash(&data(index))), leaf(index));
            let proof = tlog_tiles::prove_record(size, index, &reader).expect("a proof");
            let same: Vec<Hash> = proof.iter().map(|hash| ours(*hash)).collect();
            assert_eq!(same, log.inclusion(index, size), "{index} of {size}");
            assert_eq!(verify_inclusion(&leaf(index), index, size, &same, &root), Ok(()));
            tlog_tiles::check_record(&proof, size, theirs(root), index, theirs(leaf(index)))
                .expect("it verifies");
            let other = theirs(leaf(index + 1));
            assert!(tlog_tiles::check_record(&proof, size, theirs(root), index, other).is_err());

            let old = index + 1;
            let proof = tlog_tiles::prove_tree(size, old, &reader).expect("a proof");
            let same: Vec<Hash> = proof.iter().map(|hash| ours(*hash)).collect();
            assert_eq!(same, log.consistency(old, size), "{old} to {size}");
            assert_eq!(verify_consistency(old, &log.root(old), size, &root, &same), Ok(()));
            tlog_tiles::check_tree(&proof, size, theirs(root), old, theirs(log.root(old)))
                .expect("it verifies");
            assert!(tlog_tiles::check_tree(&proof, size, theirs(root), old, other).is_err());
        }
    }
    assert!(*published.asked.borrow() > 100);
}

#[test]
fn they_believe_no_proof_from_a_tile_that_was_changed() {
    let mut log = Log::of(300);
    let root = log.root(300);
    let tile = Tile { level: 0, index: 0, width: 256 };
    log.tiles.get_mut(&tile).expect("published")[40] ^= 1;
    let published = Published { log: &log, asked: RefCell::new(0) };
    let reader = TileHashReader::new(300, theirs(root), &published);
    // What reads tiles for them (0.2.0) checks a tile against the one above only in trees of few subtrees, so it may make a
    // proof; no reader of the proof believes it.
    if let Ok(proof) = tlog_tiles::prove_record(300, 7, &reader) {
        assert!(tlog_tiles::check_record(&proof, 300, theirs(root), 7, theirs(leaf(7))).is_err());
        let same: Vec<Hash> = proof.iter().map(|hash| ours(*hash)).collect();
        assert!(verify_inclusion(&leaf(7), 7, 300, &same, &root).is_err());
    }
    let hashes = residency_tlog::read_tile(tile, &log.tiles[&tile]).expect("as wide as it says");
    assert_ne!(tile_root(&hashes).as_bytes()[..], log.tiles[&Tile { level: 1, index: 0, width: 1 }][..]);
}
