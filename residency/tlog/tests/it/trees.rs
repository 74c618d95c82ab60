//! Every small tree: each leaf's proof, each pair of sizes, and that nothing else is proven.

use proptest::prelude::*;
use residency_tlog::{
    Edge, GrowingTree, Hash, ProofError, SIZE_MAX, Tile, consistency_nodes, inclusion_nodes, leaf_hash,
    new_tiles, node_hash, prove_consistency, prove_inclusion, tiles_holding, verify_consistency,
    verify_inclusion,
};

use crate::support::{Log, Read, leaf};

const SIZES: u64 = 300;

/// RFC 6962 section 2.1, as it is written there.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => residency_tlog::EMPTY_ROOT,
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// RFC 6962 section 2.1.1, as it is written there.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut found, other) =
        if m < left.len() { (path(m, left), mth(right)) } else { (path(m - left.len(), right), mth(left)) };
    found.push(other);
    found
}

/// RFC 6962 section 2.1.2, as it is written there.
fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut found, other) = if m <= left.len() {
        (subproof(m, left, known), mth(right))
    } else {
        (subproof(m - left.len(), right, false), mth(left))
    };
    found.push(other);
    found
}

fn small(n: u64) -> usize {
    usize::try_from(n).expect("small")
}

/// Every proof that is nearly this one.
fn tampered(proof: &[Hash]) -> impl Iterator<Item = Vec<Hash>> + '_ {
    let flipped = (0..proof.len()).map(|at| {
        let mut other = proof.to_vec();
        other[at].0[at % 32] ^= 1;
        other
    });
    let swapped = (1..proof.len()).filter(|at| proof[at - 1] != proof[*at]).map(|at| {
        let mut other = proof.to_vec();
        other.swap(at - 1, at);
        other
    });
    let shorter = (!proof.is_empty()).then(|| proof[1..].to_vec());
    let cut = (!proof.is_empty()).then(|| proof[..proof.len() - 1].to_vec());
    let longer = [proof, &[leaf(0)]].concat();
    let before = [&[leaf(0)], proof].concat();
    flipped.chain(swapped).chain(shorter).chain(cut).chain([longer, before])
}

#[test]
fn every_leaf_of_every_small_tree_is_proven_and_no_other() {
    let log = Log::of(SIZES);
    let leaves: Vec<Hash> = (0..SIZES).map(leaf).collect();
    for size in 0..=SIZES {
        let root = log.root(size);
        assert_eq!(root, mth(&leaves[..small(size)]), "{size}");
        for index in 0..size {
            let proof = log.inclusion(index, size);
            assert_eq!(proof, path(small(index), &leaves[..small(size)]), "{index} of {size}");
            let verify =
                |leaf: &Hash, index, size, proof: &[Hash]| verify_inclusion(leaf, index, size, proof, &root);
            assert_eq!(verify(&leaf(index), index, size, &proof), Ok(()));
            assert!(verify(&leaf(index + 1), index, size, &proof).is_err(), "another leaf");
            assert!(verify(&leaf(index), index + 1, size, &proof).is_err(), "another index");
            assert!(index == 0 || verify(&leaf(index), index - 1, size, &proof).is_err(), "another index");
            let mut other = root;
            other.0[31] ^= 0x80;
            assert_eq!(verify_inclusion(&leaf(index), index, size, &proof, &other), Err(ProofError::Root));
            // Of the rest, a tenth: they are many.
            if (index + size) % 10 == 0 {
                for wrong in tampered(&proof) {
                    assert!(verify(&leaf(index), index, size, &wrong).is_err(), "{index} of {size}: {wrong:?}");
                }
            }
        }
        assert_eq!(prove_inclusion(size, size, &mut log.nodes(size)), Ok::<_, Read>(None));
        let none = verify_inclusion(&leaf(size), size, size, &[], &root);
        assert_eq!(none, Err(ProofError::NotInTree { index: size, size }));
    }
}

#[test]
fn every_small_tree_is_proven_to_begin_with_every_smaller_and_no_other() {
    let log = Log::of(SIZES);
    let leaves: Vec<Hash> = (0..SIZES).map(leaf).collect();
    for new in 0..=SIZES {
        for old in 0..=new {
            let (old_root, new_root) = (log.roots[small(old)], log.roots[small(new)]);
            let proof = log.consistency(old, new);
            if old > 0 {
                assert_eq!(proof, subproof(small(old), &leaves[..small(new)], true), "{old} to {new}");
            }
            let verify = |proof: &[Hash]| verify_consistency(old, &old_root, new, &new_root, proof);
            assert_eq!(verify(&proof), Ok(()), "{old} to {new}");
            let mut other = leaf(0);
            other.0[0] ^= 1;
            assert!(verify_consistency(old, &other, new, &new_root, &proof).is_err(), "{old} to {new}");
            if old > 0 {
                assert!(verify_consistency(old, &old_root, new, &other, &proof).is_err(), "{old} to {new}");
            }
            if old > 0 && old < new {
                assert!(
                    verify_consistency(old - 1, &old_root, new, &new_root, &proof).is_err(),
                    "{old} to {new}"
                );
            }
            if (old + new) % 10 == 0 {
                for wrong in tampered(&proof) {
                    assert!(verify(&wrong).is_err(), "{old} to {new}: {wrong:?}");
                }
            }
        }
        assert_eq!(prove_consistency(new + 1, new, &mut log.nodes(new)), Ok::<_, Read>(None));
        let shrunk = verify_consistency(new + 1, &leaf(0), new, &log.roots[small(new)], &[]);
        assert_eq!(shrunk, Err(ProofError::Shrunk { old: new + 1, new }));
    }
}

#[test]
fn an_edge_that_was_kept_goes_on() {
    let log = Log::of(SIZES);
    for size in 0..SIZES {
        let mut edge = Edge::new();
        (0..size).for_each(|index| edge.append(leaf(index)));
        let mut kept = Edge::from_hashes(size, edge.hashes()).expect("an edge");
        assert_eq!((kept.size(), kept.root()), (size, log.roots[small(size)]));
        kept.append(leaf(size));
        assert_eq!(kept.root(), log.roots[small(size) + 1]);
        assert!(Edge::from_hashes(size, &[edge.hashes(), &[leaf(0)]].concat()).is_err());
    }
    assert!(Edge::from_hashes(1 << 63, &[leaf(0)]).is_err());
    assert!(Edge::from_hashes(SIZE_MAX, &[leaf(0); 63]).is_ok());
}

#[test]
fn a_tree_resumed_from_its_tiles_goes_on() {
    let log = Log::of(SIZES);
    for size in 0..SIZES {
        let mut asked = Vec::new();
        let resumed = GrowingTree::resume(size, |tile| {
            asked.push(tile);
            log.tiles.get(&tile).cloned().ok_or(tile)
        });
        let mut tree = resumed.expect("it reads");
        asked.sort_unstable();
        assert_eq!(asked, Tile::right_edge(size));
        assert_eq!((tree.size(), tree.root()), (size, log.roots[small(size)]));
        assert_eq!(tree.take_tiles(), [], "nothing is new");
        tree.append(leaf(size));
        assert_eq!(tree.root(), log.roots[small(size) + 1]);
        let taken: Vec<Tile> = tree
            .take_tiles()
            .into_iter()
            .map(|(tile, bytes)| {
                assert_eq!(log.tiles.get(&tile), Some(&bytes));
                tile
            })
            .collect();
        assert_eq!(taken, new_tiles(size, size + 1).collect::<Vec<_>>());
    }
    assert!(GrowingTree::resume(1, |_| Ok::<_, Read>(vec![0; 31])).is_err());
    assert!(GrowingTree::resume(1 << 63, |_| Ok::<_, Read>(vec![0; 32])).is_err());
}

#[test]
fn what_a_proof_needs_is_in_the_tiles_that_are_named_beforehand() {
    let log = Log::of(1_000);
    for (index, size) in [(0, 1), (0, 257), (256, 300), (511, 513), (999, 1_000), (3, 1_000)] {
        let nodes = inclusion_nodes(index, size);
        let named = tiles_holding(&nodes, size);
        let mut read = residency_tlog::TileNodes::new(size, |tile| {
            if named.contains(&tile) { Ok(log.tiles[&tile].clone()) } else { Err(tile) }
        });
        let proof = prove_inclusion(index, size, &mut read).expect("no other tile").expect("it is there");
        assert_eq!(proof, log.inclusion(index, size));
        let nodes = consistency_nodes(index, size);
        let named = tiles_holding(&nodes, size);
        let mut read = residency_tlog::TileNodes::new(size, |tile| {
            if named.contains(&tile) { Ok(log.tiles[&tile].clone()) } else { Err(tile) }
        });
        let proof = prove_consistency(index, size, &mut read).expect("no other tile").expect("it is older");
        assert_eq!(proof, log.consistency(index, size));
    }
}

proptest! {
    #[test]
    fn large_trees_are_cut_as_the_rfc_cuts_them(size in 1..=SIZE_MAX, at in any::<u64>()) {
        // The nodes of a proof and the leaf itself cover each leaf of the tree once.
        let index = at % size;
        let leaves = inclusion_nodes(index, size).iter().map(|node| 1_u64 << node.height).sum::<u64>();
        prop_assert_eq!(leaves + 1, size);
        let old = index + 1;
        let nodes = consistency_nodes(old, size);
        prop_assert!(nodes.iter().all(|node| (node.index + 1) << node.height <= size));
        prop_assert_eq!(tiles_holding(&nodes, size).is_empty(), nodes.is_empty());
    }

    #[test]
    fn a_forged_proof_proves_nothing(index in 0_u64..1_000, size in 1_u64..1_000, proof in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let proof: Vec<Hash> = proof.into_iter().map(Hash).collect();
        let root = leaf_hash(b"a root");
        prop_assert!(verify_inclusion(&leaf(index), index, size, &proof, &root).is_err());
        if index > 0 && index != size {
            prop_assert!(verify_consistency(index, &leaf(1), size, &root, &proof).is_err());
        }
    }
}
