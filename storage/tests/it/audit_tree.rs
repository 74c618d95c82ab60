//! The log that strangers can check: every committed record gets one place, in order, whatever happens in between.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use residency_policy::{Act, NodeId};
use residency_tlog::{
    Bundle, Edge, Entries, Hash, Tile, TileNodes, leaf_hash, prove_consistency, prove_inclusion, tile_root,
    tiles_of, verify_consistency, verify_inclusion,
};
use storage::audit_tree::{Extended, Held, Point, TreeError};
use storage::testing::{TestRegion, scope};
use storage::{Access, AccessAction, RegionTx};

use crate::support::{an_org, count, register, texas};

const LASTS: Duration = Duration::from_mins(10);
const ONE_RECORD: &str = "INSERT INTO access_log (id, at, org_id, key_id, role, purpose, act, action, entity,
        outcome, request_id)
    VALUES (gen_random_uuid(), now(), gen_random_uuid(), gen_random_uuid(), 'provider', 'TREAT', 'test.one', 'read',
        'patient', 'done', gen_random_uuid())";
/// Records without a leaf, leaves without a record, and leaves that are not where they must be.
const WRONG: &str =
    "SELECT count(*) FROM access_log r FULL JOIN audit_leaves l ON l.xid = r.xid AND l.record_id = r.id
    LEFT JOIN (SELECT xid, id, row_number() OVER (ORDER BY xid, id) - 1 AS place FROM access_log) p
        ON p.xid = r.xid AND p.id = r.id
    WHERE r.id IS NULL OR l.leaf_index IS NULL OR l.leaf_index <> p.place";

fn never(_: Point) -> bool {
    false
}

async fn holder(region: &TestRegion, node: u64) -> Held {
    let held = region.pool.take_audit_lease(NodeId(node), LASTS).await.expect("the database answers");
    held.expect("nobody else holds it")
}

async fn step(region: &TestRegion, held: Held, at_most: u32) -> Extended {
    region.pool.extend_audit_tree(held, None, at_most, &never).await.expect("a step")
}

/// Steps until nothing waits. Transactions of other tests' databases hold the horizon back for a moment, too.
async fn all(region: &TestRegion, held: Held, at_most: u32) -> Extended {
    let began = Instant::now();
    loop {
        let extended = step(region, held, at_most).await;
        if extended.waiting == 0 {
            return extended;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{extended:?}");
    }
}

/// A transaction with so many records.
async fn write(region: &TestRegion, records: usize) {
    let org = an_org();
    let (patient, _) = register(region, org).await;
    let permit = region.permit(patient, Act::Read);
    let tx = RegionTx::begin(&region.pool, &permit, &scope(org), "test.many").await.expect("a transaction");
    let access = Access::to(AccessAction::Read, "patient", patient.uuid(), patient);
    tx.commit(&vec![access; records]).await.expect("a commit");
}

async fn entries(region: &TestRegion) -> Vec<Vec<u8>> {
    let sql = "SELECT entry FROM audit_leaves ORDER BY leaf_index";
    let rows = region.as_superuser().await.query(sql, &[]).await.expect("the leaves");
    rows.iter().map(|row| row.get(0)).collect()
}

fn root_over(entries: &[Vec<u8>]) -> Hash {
    let mut edge = Edge::new();
    for entry in entries {
        edge.append(leaf_hash(entry));
    }
    edge.root()
}

/// Every tile that a stranger can fetch.
async fn tiles(region: &TestRegion, size: u64) -> BTreeMap<Tile, Vec<u8>> {
    let mut found = BTreeMap::new();
    for tile in tiles_of(size) {
        let bytes = region.pool.audit_tile(tile).await.expect("the database answers");
        found.insert(tile, bytes.unwrap_or_else(|| panic!("{tile:?} is there")));
    }
    found
}

#[tokio::test]
async fn every_record_gets_one_place_and_whoever_has_the_tiles_can_prove_it() {
    let region = texas().await;
    let held = holder(&region, 1).await;
    write(&region, 300).await;
    let first = all(&region, held, 100).await;
    write(&region, 400).await;
    let second = all(&region, held, 8_192).await;
    assert!(first.size >= 300 && second.size >= first.size + 400, "{first:?} {second:?}");
    assert_eq!(count(&region, WRONG).await, 0);
    assert_eq!(count(&region, "SELECT count(*) FROM audit_leaves").await.unsigned_abs(), second.size);

    let entries = entries(&region).await;
    assert_eq!(root_over(&entries), second.root);
    let known = region.pool.audit_root(first.size).await.expect("the database answers");
    assert_eq!(known, Some(first.root), "it is known what the tree was");

    let tiles = tiles(&region, second.size).await;
    assert!(tiles.keys().any(Tile::is_full) && tiles.keys().any(|tile| tile.level == 1));
    let read = |tile: Tile| Ok::<_, Infallible>(tiles.get(&tile).cloned().unwrap_or_default());
    let mut nodes = TileNodes::new(second.size, read);
    for (index, entry) in (0..).zip(&entries).step_by(37) {
        let proof = prove_inclusion(index, second.size, &mut nodes).expect("tiles").expect("a leaf");
        verify_inclusion(&leaf_hash(entry), index, second.size, &proof, &second.root)
            .expect("it is in the tree");
        let other = leaf_hash(b"another record");
        assert!(verify_inclusion(&other, index, second.size, &proof, &second.root).is_err(), "the control");
    }
    let proof = prove_consistency(first.size, second.size, &mut nodes).expect("tiles").expect("it grew");
    verify_consistency(first.size, &first.root, second.size, &second.root, &proof).expect("it only grew");
    assert!(
        verify_consistency(first.size, &second.root, second.size, &second.root, &proof).is_err(),
        "the control"
    );
}

#[tokio::test]
async fn bundles_hold_what_the_leaves_are_hashes_of() {
    let region = texas().await;
    let held = holder(&region, 1).await;
    write(&region, 300).await;
    let extended = all(&region, held, 8_192).await;
    let entries = entries(&region).await;
    let part = u16::try_from(extended.size - 256).expect("a part");
    for (bundle, wanted) in [
        (Bundle { index: 0, width: 256 }, &entries[..256]),
        (Bundle { index: 1, width: part }, &entries[256..]),
        (Bundle { index: 0, width: 3 }, &entries[..3]),
    ] {
        let bytes = region.pool.audit_entries(bundle).await.expect("the database answers").expect("is there");
        let read: Result<Vec<&[u8]>, _> = Entries::new(bundle, &bytes).collect();
        assert_eq!(read.expect("entries"), wanted, "{bundle:?}");
    }
    for missing in [Bundle { index: 1, width: part + 1 }, Bundle { index: u64::MAX / 3, width: 256 }] {
        assert!(region.pool.audit_entries(missing).await.expect("the database answers").is_none());
    }
    let beyond = [
        Tile { level: 0, index: 1, width: part + 1 },
        Tile { level: 0, index: 1, width: 256 },
        Tile { level: 1, index: 0, width: 2 },
        Tile { level: 7, index: 0, width: 1 },
    ];
    for tile in beyond {
        assert!(region.pool.audit_tile(tile).await.expect("the database answers").is_none(), "{tile:?}");
    }
    let within = Tile { level: 0, index: 0, width: 5 };
    let bytes = region.pool.audit_tile(within).await.expect("the database answers").expect("the control");
    assert_eq!(bytes.len(), 5 * 32, "a part of a tile that is full meanwhile");
}

#[tokio::test]
async fn what_commits_late_is_waited_for_and_not_skipped() {
    let region = texas().await;
    let held = holder(&region, 1).await;
    write(&region, 2).await;
    all(&region, held, 8_192).await;

    let late = region.as_superuser().await;
    late.batch_execute(&format!("BEGIN; {ONE_RECORD}")).await.expect("a transaction under way");
    let xid: String =
        late.query_one("SELECT pg_current_xact_id()::text", &[]).await.expect("its number").get(0);
    write(&region, 3).await;
    let waits = step(&region, held, 8_192).await;
    assert!(waits.waiting >= 3 && waits.waiting_since.is_some(), "{waits:?}");
    let passed = "SELECT count(*) FROM audit_leaves WHERE xid > $1::text::xid8";
    let superuser = region.as_superuser().await;
    let gone: i64 = superuser.query_one(passed, &[&xid]).await.expect("a count").get(0);
    assert_eq!(gone, 0, "nothing passes it");
    // The control: there is something that a cursor over what is visible would go on to.
    let visible = "SELECT count(*) FROM access_log WHERE xid > $1::text::xid8";
    let visible: i64 = superuser.query_one(visible, &[&xid]).await.expect("a count").get(0);
    assert!(visible >= 3, "{visible}");

    late.batch_execute("COMMIT").await.expect("it commits");
    all(&region, held, 8_192).await;
    assert_eq!(count(&region, WRONG).await, 0);
    let there = "SELECT count(*) FROM audit_leaves WHERE xid = $1::text::xid8";
    let there: i64 = superuser.query_one(there, &[&xid]).await.expect("a count").get(0);
    assert_eq!(there, 1, "and it is in its place");
}

#[tokio::test]
async fn whoever_lost_the_lease_adds_and_signs_nothing() {
    let region = texas().await;
    let moment = Duration::ZERO;
    let first = region.pool.take_audit_lease(NodeId(1), moment).await.expect("asked").expect("is free");
    write(&region, 5).await;
    let second = holder(&region, 2).await;
    assert_eq!(second.token, first.token + 1);
    let third = region.pool.take_audit_lease(NodeId(3), LASTS).await.expect("asked");
    assert_eq!(third, None, "it is held");

    let woken = region.pool.extend_audit_tree(first, None, 8_192, &never).await;
    assert!(matches!(woken, Err(TreeError::Fenced)), "{woken:?}");
    let extended = all(&region, second, 8_192).await;
    let head = (extended.size, extended.root);
    let woken = region.pool.keep_audit_checkpoint(first, head, "late").await;
    assert!(matches!(woken, Err(TreeError::Fenced)), "{woken:?}");
    region.pool.keep_audit_checkpoint(second, head, "right").await.expect("the control");

    // It does not rest on the program: an insert that carries the old token is refused by itself.
    let app = region.as_app().await;
    let insert = format!(
        "INSERT INTO audit_leaves SELECT max(leaf_index) + 1, '9000000000000000', gen_random_uuid(),
        decode(repeat('00', 54), 'hex'), {} FROM audit_leaves",
        first.token
    );
    assert!(app.batch_execute(&insert).await.is_err());
    let superuser = region.as_superuser().await;
    superuser
        .batch_execute("ALTER TABLE audit_leaves DISABLE TRIGGER audit_leaves_kept")
        .await
        .expect("planted");
    app.batch_execute(&insert).await.expect("the control: without the trigger it could");

    // A process that starts again is another holder, even on the same node.
    let again = holder(&region, 2).await;
    assert_eq!(again.token, second.token + 1);
}

#[tokio::test]
async fn a_crash_between_any_two_acts_leaves_nothing_to_mend() {
    let region = texas().await;
    let mut before = 0;
    for point in [Point::Locked, Point::Read, Point::Leaves, Point::Tiles, Point::Committed] {
        let held = holder(&region, 1).await;
        write(&region, 260).await;
        // Where the horizon is not past what was written yet, there is nothing to be killed in.
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_mins(1), "{point:?}");
            let crashed = region.pool.extend_audit_tree(held, None, 8_192, &|here| here == point).await;
            let after = count(&region, "SELECT count(*) FROM audit_leaves").await;
            match crashed {
                Ok(nothing) => assert_eq!((nothing.added, after), (0, before), "{point:?}"),
                // What was committed is there, and nothing else.
                Err(_) if point == Point::Committed && after == before => {}
                Err(_) => {
                    assert_eq!(after > before, point == Point::Committed, "{point:?}");
                    break;
                }
            }
        }
        let held = holder(&region, 1).await;
        let extended = all(&region, held, 100).await;
        assert_eq!(count(&region, WRONG).await, 0, "{point:?}");
        assert_eq!(root_over(&entries(&region).await), extended.root, "{point:?}");
        before = count(&region, "SELECT count(*) FROM audit_leaves").await;
    }
}

#[tokio::test]
async fn a_checkpoint_is_of_what_is_committed_and_larger_than_the_last() {
    let region = texas().await;
    let held = holder(&region, 1).await;
    assert_eq!(region.pool.audit_checkpoint().await.expect("asked"), None);
    write(&region, 3).await;
    let small = all(&region, held, 8_192).await;
    write(&region, 3).await;
    let large = all(&region, held, 8_192).await;
    let keep = async |size, root, note: &str| region.pool.keep_audit_checkpoint(held, (size, root), note).await;
    assert!(keep(large.size + 1, large.root, "of leaves that are not there").await.is_err());
    keep(large.size, large.root, "right").await.expect("it is kept");
    keep(large.size, large.root, "the same again").await.expect("nothing happens");
    assert!(keep(large.size, small.root, "another root").await.is_err());
    assert!(keep(small.size, small.root, "smaller").await.is_err());
    let newest = region.pool.audit_checkpoint().await.expect("asked").expect("one");
    assert_eq!((newest.size, newest.root, newest.note.as_str()), (large.size, large.root, "right"));
    assert!(newest.age_seconds >= 0.0, "{newest:?}");
}

#[tokio::test]
async fn the_tree_is_only_ever_added_to_even_by_the_owner() {
    let region = texas().await;
    let held = holder(&region, 1).await;
    write(&region, 300).await;
    let extended = all(&region, held, 8_192).await;
    let newest = (extended.size, extended.root);
    region.pool.keep_audit_checkpoint(held, newest, "kept").await.expect("it is kept");
    let (owner, app) = (region.as_owner().await, region.as_app().await);
    let tables = [("audit_leaves", "token"), ("audit_tiles", "number"), ("audit_checkpoints", "token")];
    for (table, column) in tables {
        for (who, client) in [("owner", &owner), ("app", &app)] {
            for sql in [
                format!("UPDATE {table} SET {column} = {column}"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table}"),
            ] {
                assert!(client.batch_execute(&sql).await.is_err(), "{who}: {sql}");
            }
        }
    }
    assert!(app.batch_execute("UPDATE audit_lease SET token = token - 1").await.is_err(), "no lease goes back");
    assert!(owner.batch_execute("DELETE FROM audit_lease").await.is_err());

    // The control, and what it would come to: a leaf is another, and the root is not what was signed.
    let superuser = region.as_superuser().await;
    let planted = "ALTER TABLE audit_leaves DISABLE TRIGGER audit_leaves_append_only;
        UPDATE audit_leaves SET entry = decode(repeat('00', 54), 'hex')
        WHERE leaf_index = 0 OR leaf_index = (SELECT max(leaf_index) FROM audit_leaves)";
    superuser.batch_execute(planted).await.expect("a planted fault");
    let root = region.pool.audit_root(extended.size).await.expect("asked");
    assert_ne!(root, Some(extended.root), "at the edge the tree's own root tells");
    let tile = Tile { level: 0, index: 0, width: 256 };
    let stored = region.pool.audit_tile(tile).await.expect("asked").expect("is there");
    let entries = entries(&region).await;
    let hashes: Vec<Hash> = entries[..256].iter().map(|entry| leaf_hash(entry)).collect();
    let read = residency_tlog::read_tile(tile, &stored).expect("a tile");
    assert_ne!(tile_root(&hashes), tile_root(&read), "in a full tile the tile does");
}

#[tokio::test]
async fn nothing_is_added_to_a_database_that_is_behind_what_was_published_or_has_another_tree() {
    let region = texas().await;
    let held = holder(&region, 1).await;
    write(&region, 10).await;
    let extended = all(&region, held, 8_192).await;
    assert_eq!(region.pool.audit_root(extended.size + 1).await.expect("asked"), None);
    assert_eq!(region.pool.audit_root(extended.size).await.expect("asked"), Some(extended.root));
    write(&region, 10).await;
    let add = async |known| region.pool.extend_audit_tree(held, Some(known), 8_192, &never).await;
    let behind = add((extended.size + 1, extended.root)).await;
    assert!(matches!(behind, Err(TreeError::Behind)), "{behind:?}");
    let forked = add((extended.size, root_over(&[]))).await;
    assert!(matches!(forked, Err(TreeError::Forked)), "{forked:?}");
    let leaves = count(&region, "SELECT count(*) FROM audit_leaves").await;
    assert_eq!(leaves.unsigned_abs(), extended.size, "nothing was added meanwhile");
    let grown = all(&region, held, 8_192).await;
    assert!(grown.size >= extended.size + 10, "the control: there was something to add");
    add((extended.size, extended.root))
        .await
        .expect("and a tree that goes on from what is known is gone on with");
}
