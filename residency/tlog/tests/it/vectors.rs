//! What others computed: the vectors of RFC 6962's reference trees, of C2SP's texts, and of a log of a thousand events.

use residency_tlog::{
    Checkpoint, EMPTY_ROOT, Edge, Hash, KeyKind, Note, SIZE_MAX, SigningKey, VerifierKey, key_id, leaf_hash,
    skey_text,
};

use crate::support::{Log, ORIGIN, log_key, seed};

/// The leaves of the reference tree of Certificate Transparency, and the roots of its first 0 to 8 leaves.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(hash: Hash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_reference_trees_have_their_roots() {
    let mut edge = Edge::new();
    assert_eq!(edge.root(), EMPTY_ROOT);
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(hex(edge.root()), *root, "{size}");
        if let Some(leaf) = LEAVES.get(size) {
            edge.append(leaf_hash(leaf));
        }
    }
}

#[test]
fn a_log_of_a_thousand_events_has_the_roots_that_others_found() {
    let log = Log::of(1_000);
    assert_eq!(log.root(613).to_string(), "aRFGkeJF3wA/btWowu9X61zd4X43mBsQg5Y6kVN3kNk=");
    assert_eq!(log.root(1_000).to_string(), "zzutuPVe00TYre4V0ypbVRktq+Kiw9Chfh5LGuaOApE=");
    assert_eq!(log.inclusion(7, 1_000).len(), 10);
    assert_eq!(log.consistency(613, 1_000).len(), 11);
}

#[test]
fn a_seed_gives_the_key_that_others_found() {
    let key = log_key();
    let vkey = "audit.example/us-east+2558e65d+AWlNgzTuO7A//+iBA1M3T17dvyz9QKYcUSP7rn3bjbir";
    assert_eq!(key.verifier().to_string(), vkey);
    assert_eq!(VerifierKey::parse(vkey).as_ref(), Ok(key.verifier()));
    let skey = skey_text(ORIGIN, KeyKind::Ed25519, &seed("test seed")).expect("a text");
    assert_eq!(SigningKey::parse(&skey).expect("a key").verifier(), key.verifier());
    assert_eq!(format!("{key:?}"), format!("SigningKey({vkey:?})"), "nothing secret is shown");
    // The seed without the public half: the id is of the public one.
    assert_eq!(key_id(ORIGIN, 0x01, key.verifier().public_key()), 0x2558_e65d);
}

#[test]
fn the_example_of_the_signed_note_specification_opens() {
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let known = [VerifierKey::parse(key).expect("a key")];
    let text = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let note = Note::parse(text.as_bytes()).expect("a note");
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.open(&known).expect("opens").len(), 1);
    assert_eq!(note.to_string(), text);
    let other = Note::parse(text.replace("message", "Message").as_bytes()).expect("a note");
    assert!(other.open(&known).is_err());
}

#[test]
fn the_examples_of_checkpoints_and_cosignatures_parse() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa \
        Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 \
        jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let note = Note::parse(text.as_bytes()).expect("a note");
    let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
    assert_eq!((checkpoint.origin(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), note.text());
    assert_eq!(note.to_string(), text);
    let [log, witness] = note.signatures() else { panic!("two signatures") };
    assert_eq!((log.id(), log.bytes().len()), (0x033d_e0ae, 64));
    assert_eq!((witness.id(), witness.bytes().len()), (0x8d66_cf3f, 72));
    assert_eq!(witness.bytes()[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn sizes_go_up_to_what_a_signed_number_holds() {
    let said = |size: &str| Checkpoint::parse(&format!("a\n{size}\n{EMPTY_ROOT}\n")).map(|c| c.size);
    assert_eq!(said("9223372036854775807"), Ok(SIZE_MAX));
    assert!(said("9223372036854775808").is_err());
    assert!(said("18446744073709551616").is_err());
}
