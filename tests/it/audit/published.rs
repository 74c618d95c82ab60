//! What is published verifies, grows, is the same at every door, and is cosigned by the other regions.

use http::Method;
use residency_tlog::{
    Bundle, Checkpoint, Entries, Hash, KeyKind, Opened, Resource, VerifierKey, commitment, consistency_nodes,
    inclusion_nodes, leaf_hash, prove_consistency, prove_inclusion, tiles_holding, verify_consistency,
    verify_inclusion,
};
use tests::clinic;
use tests::cluster::shared;
use tests::faults::wait_until;

use super::{Log, another, nodes};

const HOME: &str = "US-TX";
const ORIGIN_END: &str = "/us-tx";

fn texas() -> Log {
    Log::at(shared().nobody().at(&shared().region("tx").url), HOME)
}

async fn newest<'k>(log: &Log, keys: &'k [VerifierKey]) -> Option<Opened<'k>> {
    let note = log.get("checkpoint").await.ok()??;
    Some(Checkpoint::open(&note, keys[0].name(), keys).expect("a checkpoint that the log's key signed"))
}

/// Something that leaves a record.
async fn read_a_chart() {
    let doctor = shared().client("provider", HOME);
    let answer = doctor.ask(Method::GET, "/v1/patients?home=US-TX").send().await.expect("an answer");
    answer.expect(200).expect("a list");
}

#[tokio::test]
async fn a_stranger_can_prove_that_an_entry_is_in_the_log_and_that_the_log_only_grew() {
    let log = texas();
    let keys = log.keys().await.expect("keys");
    assert!(keys[0].name().ends_with(ORIGIN_END) && keys[0].kind() == KeyKind::Ed25519, "{keys:?}");
    let before = wait_until("a checkpoint", async || newest(&log, &keys).await).await.expect("one");
    let before = before.checkpoint;
    read_a_chart().await;
    let grown = async || newest(&log, &keys).await.filter(|now| now.checkpoint.size > before.size);
    let after = wait_until("a larger one", grown).await.expect("one").checkpoint;

    let wanted = tiles_holding(&consistency_nodes(before.size, after.size), after.size);
    let tiles = log.tiles(wanted).await.expect("tiles");
    let proof = prove_consistency(before.size, after.size, &mut nodes(after.size, &tiles));
    let proof = proof.expect("tiles").expect("it grew");
    let verify = |root: &Hash| verify_consistency(before.size, root, after.size, &after.root, &proof);
    verify(&before.root).expect("the newer one goes on from the older one");
    assert!(verify(&another(&before.root)).is_err(), "the control");

    let last = after.size - 1;
    let width = u16::try_from(last % 256 + 1).expect("a width");
    let bundle = Bundle { index: last / 256, width };
    let path = Resource::Entries(bundle).to_string();
    let bytes = log.get(&path).await.expect("an answer").expect("entries");
    let entry = Entries::new(bundle, &bytes).last().expect("one").expect("an entry");
    commitment::Leaf::parse(entry).expect("a commitment and nothing else");
    let tiles = log.tiles(tiles_holding(&inclusion_nodes(last, after.size), after.size)).await.expect("tiles");
    let proof = prove_inclusion(last, after.size, &mut nodes(after.size, &tiles));
    let proof = proof.expect("tiles").expect("a leaf");
    let verify = |leaf| verify_inclusion(&leaf, last, after.size, &proof, &after.root);
    verify(leaf_hash(entry)).expect("it is in the log");
    assert!(verify(leaf_hash(b"another")).is_err(), "the control");
}

#[tokio::test]
async fn every_region_cosigns_what_it_has_seen_to_grow() {
    let log = texas();
    let keys = log.keys().await.expect("keys");
    wait_until("the word of both other regions", async || {
        let note = log.get("cosigned").await.ok()??;
        let keys = log.keys().await.ok()?;
        let opened = Checkpoint::open(&note, keys[0].name(), &keys).expect("signatures that are right");
        let witnesses = opened.signed.iter().filter(|one| one.time.is_some_and(|time| time > 0)).count();
        (opened.signed.len() == 3 && witnesses == 2).then_some(())
    })
    .await
    .expect("they cosign");
    // The control: the log's own checkpoint, opened with the same keys, has no witness.
    let own = wait_until("a checkpoint", async || newest(&log, &keys).await).await.expect("one");
    assert_eq!(own.signed.len(), 1);
}

#[tokio::test]
async fn the_log_is_the_same_at_the_router_and_at_its_own_region_and_nobody_elses() {
    let (own, edge) = (texas(), Log::at(shared().nobody(), HOME));
    let keys = own.keys().await.expect("keys");
    assert_eq!(edge.keys().await.expect("keys")[0], keys[0]);
    let at_edge = wait_until("a checkpoint", async || newest(&edge, &keys).await).await.expect("one");
    let size = at_edge.checkpoint.size;
    let width = u16::try_from(size % 256).expect("a width");
    if width > 0 {
        let tile = residency_tlog::Tile { level: 0, index: size / 256, width };
        let path = Resource::Tile(tile).to_string();
        let (one, other) = (own.get(&path).await, edge.get(&path).await);
        assert_eq!(one.expect("an answer").expect("a tile"), other.expect("an answer").expect("a tile"));
    }
    let elsewhere = Log::at(shared().nobody().at(&shared().region("ca").url), HOME);
    assert!(elsewhere.get("checkpoint").await.expect("an answer").is_none(), "it is not California's to show");
    let nowhere = shared().nobody().get("/v1/audit/log/checkpoint").await.expect("an answer");
    assert_eq!(nowhere.problem(400).expect("a problem"), "bad-parameter");
}

#[tokio::test]
async fn what_never_changes_may_be_kept_and_what_names_nothing_is_not_found() {
    let door = shared().nobody().at(&shared().region("tx").url);
    let checkpoint = wait_until("a checkpoint", async || {
        door.get("/v1/audit/log/checkpoint").await.ok().filter(|answer| answer.status == 200)
    });
    let checkpoint = checkpoint.await.expect("one");
    assert_eq!(checkpoint.header("cache-control"), "no-cache");
    let part = door.get("/v1/audit/log/tile/0/000.p/1").await.expect("an answer").expect(200).expect("a tile");
    assert_eq!((part.header("cache-control"), part.body.len()), ("no-cache", 32));
    wait_until("a full tile", async || {
        clinic::walk(&shared().client("provider", HOME), "/v1/patients?home=US-TX", 200).await.ok()?;
        let full = door.get("/v1/audit/log/tile/0/000").await.ok().filter(|answer| answer.status == 200)?;
        assert!(full.header("cache-control").contains("immutable"), "{:?}", full.headers);
        (full.body.len() == 8_192).then_some(())
    })
    .await
    .expect("it is full after a while");
    for nothing in ["0/0", "0/000.p/0", "0/000.p/257", "00/000", "0/x000/000", "64/000", "entries/999", "0/999"]
    {
        let answer = door.get(&format!("/v1/audit/log/tile/{nothing}")).await.expect("an answer");
        assert_eq!(answer.problem(404).expect("a problem"), "not-found", "{nothing}");
    }
}
