//! Whatever the bytes are, a parser answers: what it reads it writes back to the same bytes, and nothing makes it panic.

use proptest::prelude::*;
use residency_tlog::commitment::Leaf;
use residency_tlog::witness::{AddCheckpoint, decide};
use residency_tlog::{
    Bundle, Checkpoint, Entries, Hash, Note, ProofFile, Resource, SignatureLine, SigningKey, Tile, Trust,
    VerifierKey, push_entry, read_tile, verify_consistency, verify_inclusion,
};

use crate::support::{Log, ORIGIN, log_key, witness_key};

/// Bytes that are one of these texts with a few of them changed, removed or repeated.
fn mutated(texts: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..5_u8, any::<u8>());
    (prop::sample::select(texts), prop::collection::vec(edit, 0..4)).prop_map(|(mut bytes, edits)| {
        for (at, what, with) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match what {
                0 => bytes[at] = with,
                1 => bytes[at] ^= 1 << (with % 8),
                2 => {
                    bytes.remove(at);
                }
                3 => bytes.insert(at, *b"\n \x00+=0A\xe2".get(usize::from(with % 8)).unwrap_or(&b'\n')),
                _ => {
                    let end = bytes.len().min(at + usize::from(with));
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        bytes
    })
}

fn texts() -> Vec<Vec<u8>> {
    let log = Log::of(40);
    let mut note = log.note(40, &log_key());
    let line = note.cosignature(&witness_key("w.example/1"), 1_800_000_000).expect("cosigns");
    note.add(line.clone()).expect("there is room");
    let file = ProofFile::new(Some(b"more".to_vec()), 9, log.inclusion(9, 40), note.clone()).expect("a file");
    let request = AddCheckpoint::new(13, log.consistency(13, 40), note.clone()).expect("a request");
    let bundle = (0..3).fold(Vec::new(), |mut bundle, n| {
        push_entry(&mut bundle, &crate::support::data(n)).expect("short");
        bundle
    });
    vec![
        note.to_string().into(),
        note.text().into(),
        file.to_string().into(),
        request.to_string().into(),
        format!("{line}\n").into(),
        log_key().verifier().to_string().into(),
        format!("PRIVATE+KEY+{}", log_key().verifier()).into(),
        b"tile/0/x001/x234/067.p/5".to_vec(),
        b"domicile-audit-leaf/v1 and thirty-two bytes are then".to_vec(),
        bundle,
    ]
}

/// Gives the bytes to every parser.
fn read_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let same = |written: String| prop_assert_eq_bytes(written.as_bytes(), bytes);
    let keys = [log_key().verifier().clone(), witness_key("w.example/1").verifier().clone()];
    if let Ok(note) = Note::parse(bytes) {
        same(note.to_string())?;
        let _ = note.open(&keys);
    }
    if let Ok(lines) = SignatureLine::parse_lines(bytes) {
        same(lines.iter().map(|line| format!("{line}\n")).collect())?;
    }
    if let Ok(file) = ProofFile::parse(bytes) {
        same(file.to_string())?;
        let trust = Trust { origin: ORIGIN, log: &keys[..1], witnesses: &keys[1..], required: 1 };
        let _ = file.verify(&crate::support::leaf(9), &trust);
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        same(request.to_string())?;
        let _ = decide(Some(&keys), None, &request);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            same(checkpoint.to_string())?;
        }
        if let Ok(key) = VerifierKey::parse(text) {
            same(key.to_string())?;
        }
        let _ = SigningKey::parse(text);
        if let Ok(resource) = Resource::parse(text) {
            same(resource.to_string())?;
        }
        if let Ok(hash) = Hash::from_base64(text) {
            same(hash.to_string())?;
        }
    }
    if let Ok(leaf) = Leaf::parse(bytes) {
        prop_assert_eq_bytes(leaf.as_bytes(), bytes)?;
    }
    for width in [0, 1, 3, 256, u16::MAX] {
        let entries: Result<Vec<&[u8]>, _> = Entries::new(Bundle { index: u64::MAX, width }, bytes).collect();
        if let (Ok(entries), 1..) = (entries, width) {
            let mut written = Vec::new();
            for entry in entries {
                push_entry(&mut written, entry).expect("it was in one");
            }
            prop_assert_eq_bytes(&written, bytes)?;
        }
        if let Ok(hashes) = read_tile(Tile { level: 255, index: u64::MAX, width }, bytes) {
            prop_assert_eq!(hashes.len(), usize::from(width));
        }
    }
    Ok(())
}

fn prop_assert_eq_bytes(left: &[u8], right: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(left, right);
    Ok(())
}

#[test]
fn the_texts_that_are_changed_are_read_when_they_are_not() {
    let [note, text, file, request, line, vkey, _, path, _, bundle] = &texts()[..] else { panic!("ten") };
    assert!(
        Note::parse(note).is_ok() && ProofFile::parse(file).is_ok() && AddCheckpoint::parse(request).is_ok()
    );
    assert!(
        SignatureLine::parse_lines(line).is_ok()
            && Entries::new(Bundle { index: 0, width: 3 }, bundle).all(|e| e.is_ok())
    );
    let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
    assert!(Checkpoint::parse(&text_of(text)).is_ok() && VerifierKey::parse(&text_of(vkey)).is_ok());
    assert!(Resource::parse(&text_of(path)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes)?;
    }

    #[test]
    fn any_text_is_answered(text in "[\u{2014} +=/a-z0-9A\n.x]{0,200}") {
        read_all(text.as_bytes())?;
    }

    #[test]
    fn what_is_nearly_right_is_answered(bytes in mutated(texts())) {
        read_all(&bytes)?;
    }

    #[test]
    fn any_numbers_are_answered(
        old in any::<u64>(), new in any::<u64>(), level in any::<u8>(), height in any::<u8>(),
        proof in prop::collection::vec(any::<[u8; 32]>(), 0..66),
    ) {
        let proof: Vec<Hash> = proof.into_iter().map(Hash).collect();
        let _ = verify_inclusion(&Hash([0; 32]), old, new, &proof, &Hash([1; 32]));
        let _ = verify_consistency(old, &Hash([0; 32]), new, &Hash([1; 32]), &proof);
        let node = residency_tlog::Node { height, index: old };
        let _ = Tile::holding(node, new);
        prop_assert!(Tile::right_edge(new).len() <= 8);
        let tile = Tile { level, index: old, width: 7 };
        prop_assert!(!Resource::Tile(tile).to_string().is_empty());
        let nodes = residency_tlog::consistency_nodes(old, new);
        prop_assert!(nodes.len() < 128 * 64);
    }
}
