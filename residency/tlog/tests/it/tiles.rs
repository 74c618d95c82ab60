//! Tiles, bundles and their paths, as C2SP tlog-tiles has them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use residency_tlog::{
    At, Bundle, ENTRY_BYTES_MAX, Entries, GrowingTree, Malformed, Resource, Tile, Wrong, leaf_hash,
    new_bundles, new_tiles, push_entry, read_tile, tile_root, tiles_of,
};

use crate::support::{Log, data, leaf};

fn tile(level: u8, index: u64, width: u16) -> Tile {
    Tile { level, index, width }
}

#[test]
fn a_tree_of_70_000_has_the_tiles_that_the_specification_lists() {
    let tiles: Vec<Tile> = tiles_of(70_000).collect();
    let full = |level| tiles.iter().filter(|t| t.level == level && t.is_full()).count();
    assert_eq!((full(0), full(1), full(2)), (273, 1, 0));
    let partial: Vec<Tile> = tiles.iter().filter(|t| !t.is_full()).copied().collect();
    assert_eq!(partial, [tile(0, 273, 112), tile(1, 1, 17), tile(2, 0, 1)]);
    assert_eq!(tiles.len(), 277);
    assert_eq!(tiles_of(256).collect::<Vec<_>>(), [tile(0, 0, 256), tile(1, 0, 1)]);
    assert_eq!(tiles_of(0).count(), 0);
    assert_eq!(new_tiles(5, 3).count() + new_tiles(300, 256).count() + new_bundles(5, 3).count(), 0);
}

#[test]
fn what_is_taken_from_a_growing_tree_is_what_is_new() {
    let mut tree = GrowingTree::new();
    let mut size = 0;
    let mut level_1 = Vec::new();
    // Steps that end inside a tile, at its end, and several tiles on.
    for step in [1, 0, 254, 1, 1, 255, 256, 257, 700, 64_000, 6_000] {
        (size..size + step).for_each(|index| tree.append(leaf(index)));
        let taken = tree.take_tiles();
        let named: Vec<Tile> = taken.iter().map(|(tile, _)| *tile).collect();
        assert_eq!(named, new_tiles(size, size + step).collect::<Vec<_>>(), "{size} + {step}");
        for (tile, bytes) in &taken {
            let hashes = read_tile(*tile, bytes).expect("as wide as it says");
            if tile.level == 0 {
                let first = tile.index * 256;
                assert!(hashes.iter().zip(first..).all(|(hash, index)| *hash == leaf(index)));
                level_1.extend(tile.is_full().then(|| (tile.index, tile_root(&hashes))));
            }
            if tile.level == 1 {
                for (hash, index) in hashes.iter().zip(tile.index * 256..) {
                    assert!(level_1.contains(&(index, *hash)), "{index} at level 1");
                }
            }
        }
        size += step;
    }
    assert!(size > 65_536, "a third level was reached");
}

#[test]
fn a_tile_of_another_length_is_refused() {
    let bytes = vec![1; 5 * 32];
    assert!(read_tile(tile(0, 0, 5), &bytes).is_ok());
    let wrong = |width, bytes: &[u8]| read_tile(tile(0, 0, width), bytes).expect_err("another length");
    assert_eq!(wrong(6, &bytes), Malformed { at: At::Byte(160), wrong: Wrong::TooShort });
    assert_eq!(wrong(4, &bytes), Malformed { at: At::Byte(128), wrong: Wrong::Trailing });
    assert_eq!(wrong(5, &bytes[1..]), Malformed { at: At::Byte(159), wrong: Wrong::TooShort });
}

#[test]
fn a_resource_has_one_path() {
    let bundle = |index, width| Resource::Entries(Bundle { index, width });
    for (path, resource) in [
        ("checkpoint", Resource::Checkpoint),
        ("tile/0/000", Resource::Tile(tile(0, 0, 256))),
        ("tile/0/x001/x234/067", Resource::Tile(tile(0, 1_234_067, 256))),
        ("tile/0/x001/x234/067.p/1", Resource::Tile(tile(0, 1_234_067, 1))),
        ("tile/63/999.p/255", Resource::Tile(tile(63, 999, 255))),
        ("tile/5/x001/000", Resource::Tile(tile(5, 1_000, 256))),
        ("tile/entries/x001/x000/000", bundle(1_000_000, 256)),
        ("tile/entries/007.p/9", bundle(7, 9)),
        ("tile/0/x018/x446/x744/x073/x709/x551/615", Resource::Tile(tile(0, u64::MAX, 256))),
    ] {
        assert_eq!(resource.to_string(), path);
        assert_eq!(Resource::parse(path), Ok(resource));
    }
    for (path, byte) in [
        ("", 0),
        ("checkpoint/", 0),
        ("/checkpoint", 0),
        ("tile", 4),
        ("tile/", 5),
        ("tile/0", 6),
        ("tile/00/000", 5),
        ("tile/64/000", 5),
        ("tile/-1/000", 5),
        ("tile/entry/000", 5),
        ("tile/0/", 7),
        ("tile/0/0", 7),
        ("tile/0/0000", 7),
        ("tile/0/x000/001", 7),
        ("tile/0/x001", 11),
        ("tile/0/001/002", 11),
        ("tile/0/x01/002", 7),
        ("tile/0/+01", 7),
        ("tile/0/00\u{663}", 7),
        ("tile/0/001.p", 12),
        ("tile/0/001.p/", 13),
        ("tile/0/001.p/0", 13),
        ("tile/0/001.p/01", 13),
        ("tile/0/001.p/256", 13),
        ("tile/0/001.p/65537", 13),
        ("tile/0/001.p/1/", 15),
        ("tile/0/x001.p/1", 7),
        ("tile/0/001.p.p/1", 7),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", 37),
    ] {
        assert_eq!(
            Resource::parse(path),
            Err(Malformed { at: At::Byte(byte), wrong: Wrong::Path }),
            "{path:?}"
        );
    }
    let long = format!("tile/0/{}000", "x001/".repeat(20));
    assert_eq!(Resource::parse(&long).map_err(|m| m.wrong), Err(Wrong::TooLong(64)));
}

#[test]
fn bundles_hold_entries_and_say_where_they_are_broken() {
    let mut bytes = Vec::new();
    for index in 0..3 {
        push_entry(&mut bytes, &data(index)).expect("short");
    }
    assert_eq!(bytes[..9], *b"\x00\x07event 0");
    let read = |width, bytes: &[u8]| {
        let entries = Entries::new(Bundle { index: 0, width }, bytes);
        entries.map(|entry| entry.map(leaf_hash)).collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(read(3, &bytes), Ok((0..3).map(leaf).collect()));
    let wrong = |byte, wrong| Err(Malformed { at: At::Byte(byte), wrong });
    assert_eq!(read(4, &bytes), wrong(27, Wrong::TooShort));
    assert_eq!(read(2, &bytes), wrong(18, Wrong::Trailing));
    assert_eq!(read(3, &bytes[..26]), wrong(18, Wrong::TooShort));
    assert_eq!(read(3, &bytes[..19]), wrong(18, Wrong::TooShort));
    assert_eq!(read(3, &[&bytes[..], &[0]].concat()), wrong(27, Wrong::Trailing));
    let mut long = Vec::new();
    push_entry(&mut long, &vec![0; ENTRY_BYTES_MAX]).expect("as long as may be");
    assert_eq!(read(1, &long).map(|entries| entries.len()), Ok(1));
    let before = long.clone();
    assert!(push_entry(&mut long, &vec![0; ENTRY_BYTES_MAX + 1]).is_err());
    assert_eq!(long, before);
    assert_eq!(
        new_bundles(255, 513).map(|b| (b.index, b.width)).collect::<Vec<_>>(),
        [(0, 256), (1, 256), (2, 1)]
    );
}

#[test]
fn a_log_serves_every_tile_that_a_size_needs() {
    let log = Log::of(600);
    for size in 0..=600 {
        assert!(tiles_of(size).all(|tile| log.tiles.contains_key(&tile)), "{size}");
    }
}

proptest! {
    #[test]
    fn a_log_that_grows_in_steps_publishes_what_one_that_leaps_does(mut sizes in prop::collection::vec(0_u64..200_000, 2..6)) {
        sizes.sort_unstable();
        let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
        let stepped: BTreeSet<Tile> = sizes.windows(2).flat_map(|pair| new_tiles(pair[0], pair[1])).collect();
        let leapt: BTreeSet<Tile> = new_tiles(first, last).collect();
        // In between there were only partial tiles that the last size has no more.
        prop_assert!(leapt.is_subset(&stepped));
        prop_assert!(stepped.difference(&leapt).all(|tile| !tile.is_full()));
    }

    #[test]
    fn what_is_new_is_what_was_not_there(old in 0_u64..200_000, more in 0_u64..2_000) {
        let before: BTreeSet<Tile> = tiles_of(old).collect();
        let new: Vec<Tile> = new_tiles(old, old + more).collect();
        let after: BTreeSet<Tile> = tiles_of(old + more).collect();
        prop_assert_eq!(new, after.difference(&before).copied().collect::<Vec<_>>());
    }

    #[test]
    fn any_resource_is_read_as_it_is_written(level in 0_u8..64, index in any::<u64>(), width in 1_u16..=256) {
        for resource in [Resource::Tile(tile(level, index, width)), Resource::Entries(Bundle { index, width })] {
            prop_assert_eq!(Resource::parse(&resource.to_string()), Ok(resource));
        }
    }
}
