//! Leaves that say nothing until the record and its salt are shown.

use proptest::prelude::*;
use residency_tlog::commitment::{LEAF_BYTES, Leaf, NotItsRecord, Salt, VERSION};
use residency_tlog::{At, Malformed, Wrong, leaf_hash};

#[test]
fn a_leaf_is_what_anybody_can_compute_with_hmac() {
    // RFC 4231 has no case with a key of 32 bytes; this is Python's
    // hmac.new(bytes(range(32)), b"record", "sha256").hexdigest().
    let leaf = Leaf::of(&Salt::new(std::array::from_fn(|n| u8::try_from(n).expect("small"))), b"record");
    let (version, tag) = leaf.as_bytes().split_at(VERSION.len());
    assert_eq!(version, b"domicile-audit-leaf/v1");
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "9dd658fc3b381f0eb2c1b5ce682ed34fee773dea1fc072910c7d5f4549b54b54");
    assert_eq!(leaf.hash(), leaf_hash(leaf.as_bytes()));
    assert_eq!((LEAF_BYTES, Leaf::parse(leaf.as_bytes())), (54, Ok(leaf)));
}

#[test]
fn what_is_not_a_leaf_is_refused_at_its_byte() {
    let leaf = *Leaf::of(&Salt::new([1; 32]), b"record").as_bytes();
    let wrong = |byte, wrong| Err(Malformed { at: At::Byte(byte), wrong });
    assert_eq!(Leaf::parse(b""), wrong(0, Wrong::TooShort));
    assert_eq!(Leaf::parse(&leaf[..5]), wrong(5, Wrong::TooShort));
    assert_eq!(Leaf::parse(&leaf[..53]), wrong(53, Wrong::TooShort));
    assert_eq!(Leaf::parse(&[&leaf[..], b"x"].concat()), wrong(54, Wrong::Trailing));
    let mut other = leaf;
    other[21] = b'2';
    assert_eq!(Leaf::parse(&other), wrong(21, Wrong::LeafVersion));
    assert_eq!(Leaf::parse(b"event 0"), wrong(0, Wrong::LeafVersion));
}

#[test]
fn a_salt_is_not_printed() {
    assert_eq!(format!("{:?}", Salt::new([7; 32])), "Salt(..)");
}

proptest! {
    #[test]
    fn a_leaf_is_of_its_record_and_salt_and_of_no_other(
        salt in any::<[u8; 32]>(), other in any::<[u8; 32]>(),
        record in prop::collection::vec(any::<u8>(), 0..600), at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        prop_assume!(salt != other);
        let leaf = Leaf::of(&Salt::new(salt), &record);
        prop_assert_eq!(leaf.verify(&Salt::new(salt), &record), Ok(()));
        prop_assert_eq!(leaf.verify(&Salt::new(other), &record), Err(NotItsRecord));
        let longer = [&record[..], &[0]].concat();
        prop_assert_eq!(leaf.verify(&Salt::new(salt), &longer), Err(NotItsRecord));
        if !record.is_empty() {
            let mut flipped = record.clone();
            let at = at.index(flipped.len());
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(leaf.verify(&Salt::new(salt), &flipped), Err(NotItsRecord));
        }
    }
}
