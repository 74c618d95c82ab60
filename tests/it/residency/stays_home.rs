//! R2: canaries go through every journey and every error path in every region. After that no marker is anywhere in
//! the clear, and outside its home nothing of a canary is at all, not even its ciphertext.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tests::canaries::{Canary, scanner};
use tests::cluster::{Cluster, Described, RegionProcess, Wish, turn};
use tests::scan::{Found, Scanner, base64};
use tests::{operate, postgres};

use super::canary_life::{err, live};

fn wish() -> Wish {
    Wish { name: "canaries", people: 6, more: Vec::new() }
}

/// What belongs to one home: its name, and its canary's ciphertexts and blind indexes.
type AtHome = (String, Scanner);

/// What the processes say of themselves, and what is in the databases once it is decompressed.
async fn look_inside(cluster: &Cluster, scanner: &Scanner) -> Result<Found> {
    let mut found = Found::default();
    for region in &cluster.described().regions {
        found.join(look_into_database(region, scanner).await?);
        let door = cluster.nobody().at(&region.url);
        for path in ["/metrics", "/readyz", "/openapi.json"] {
            let text = door.get(path).await?.text();
            found.join(scanner.bytes(&format!("{} {path}", region.name), text.as_bytes()));
        }
        let status = operate::status(cluster, &region.name).await?.to_string();
        found.join(scanner.bytes(&format!("{} status", region.name), status.as_bytes()));
    }
    let text = cluster.nobody().get("/metrics").await?.text();
    anyhow::ensure!(text.contains("# TYPE"), "{text}");
    found.join(scanner.bytes("router /metrics", text.as_bytes()));
    Ok(found)
}

async fn look_into_database(region: &RegionProcess, scanner: &Scanner) -> Result<Found> {
    postgres::scan(&postgres::inspect(region).await?, scanner, &region.name).await
}

/// Every file of a cluster that does not run, but for one region's own: heap, indexes, write-ahead log, Raft logs and
/// snapshots, keyrings, configurations, logs.
fn look_at_files(described: &Described, home: &Path, scanner: &Scanner, but: Option<&str>) -> Result<Found> {
    let mut left_out: Vec<PathBuf> = Vec::new();
    for region in described.regions.iter().filter(|r| but == Some(r.name.as_str())) {
        left_out.push(home.join("regions").join(&region.name));
        left_out.push(region.data_dir.clone());
    }
    let mut found = scanner.tree(home, &left_out)?;
    for region in &described.regions {
        // A database that could not live in the home folder lives elsewhere.
        if !region.data_dir.starts_with(home) && !left_out.contains(&region.data_dir) {
            found.join(scanner.tree(&region.data_dir, &[])?);
        }
    }
    Ok(found)
}

/// Nothing in the clear in any file, and nothing at all outside each home.
fn files_are_clean(described: &Described, home: &Path, markers: &Scanner, sealed: &[AtHome]) -> Result<()> {
    let all = look_at_files(described, home, markers, None)?;
    anyhow::ensure!(all.places > 1_000 && all.bytes > 50_000_000, "{} files, {} bytes", all.places, all.bytes);
    all.clean("the files")?;
    for (region, blobs) in sealed {
        look_at_files(described, home, blobs, Some(region))?.clean(&format!("files outside {region}"))?;
        let at_home = look_at_files(described, home, blobs, None)?;
        anyhow::ensure!(at_home.hits.len() >= 30, "the scan finds {} of {region}'s own", at_home.hits.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_marker_is_in_the_clear_and_nothing_is_outside_its_home() {
    let _turn = turn().await;
    let cluster = Cluster::start(&wish()).expect("it starts");
    let regions = cluster.described().regions.clone();
    let canaries: Vec<Canary> =
        regions.iter().zip(100..).map(|(region, number)| Canary::new(&region.jurisdiction, number)).collect();
    let markers = scanner(&canaries).expect("markers");

    let mut sealed: Vec<AtHome> = Vec::new();
    for (canary, region) in canaries.iter().zip(&regions) {
        let patient = live(&cluster, canary).await.unwrap_or_else(|e| panic!("{}: {e:?}", canary.home));
        err(&cluster, canary, &patient).await.unwrap_or_else(|e| panic!("{}: {e:?}", canary.home));
        let client = postgres::inspect(region).await.expect("the database");
        let blobs = postgres::blobs_of(&client, patient.uuid()).await.expect("its ciphertexts");
        assert!(blobs.len() >= 30, "{} ciphertexts and blind indexes of {}", blobs.len(), canary.home);
        sealed.push((region.name.clone(), Scanner::for_bytes(blobs).expect("a scanner")));
    }

    let inside = look_inside(&cluster, &markers).await.expect("a look inside");
    assert!(inside.places > 1_000, "{} places", inside.places);
    inside.clean("the databases and metrics").expect("no marker in the clear");
    for (home, blobs) in &sealed {
        for region in &regions {
            let found = look_into_database(region, blobs).await.expect("a look");
            if region.name == *home {
                assert!(found.hits.len() >= 30, "the scan finds {} of {home}'s own", found.hits.len());
            } else {
                found.clean(&format!("{home}'s ciphertexts in {}", region.name)).expect("nothing");
            }
        }
    }

    // The databases write everything down when they stop.
    let described = cluster.described().clone();
    let folder = cluster.stop_and_keep().expect("it stops");
    files_are_clean(&described, &folder.join("home"), &markers, &sealed).expect("clean files");

    // The controls, in the same cluster with the same scanners: whatever is planted is found.
    let cluster = Cluster::start_at(&folder, &wish()).expect("it starts again");
    controls(&cluster, &canaries, &markers, &sealed).await.expect("every planted marker is found");
}

async fn controls(cluster: &Cluster, canaries: &[Canary], markers: &Scanner, sealed: &[AtHome]) -> Result<()> {
    let [region, other, ..] = &cluster.described().regions[..] else { anyhow::bail!("too few regions") };
    let name = &canaries[0].person.family_name;
    let found = |found: &Found, coding: &str, place: &str| -> Result<()> {
        let hit = found.hits.iter().any(|h| h.coding == coding && h.place.contains(place));
        anyhow::ensure!(hit, "a planted marker ({coding}) was not found in {place}: {:?}", found.hits);
        Ok(())
    };

    // In a log, as it is and in base64.
    let mut log = std::fs::OpenOptions::new().append(true).open(&region.log)?;
    writeln!(
        log,
        "{{\"message\":\"registered {name}\"}}\n{{\"body\":\"{}\"}}",
        base64(&format!("{{\"n\":\"{name}\"}}"))
    )?;
    let in_log = markers.file(&region.log)?;
    found(&in_log, "plain", "log")?;
    found(&in_log, "base64", "log")?;

    // In a table, compressed, and in its write-ahead log.
    let owner = postgres::as_in(cluster, region, "migrate").await?;
    owner.batch_execute("CREATE TABLE planted (id integer, text text, bytes bytea)").await?;
    let padded = format!("{} {name} {}", "no new symptoms ".repeat(400), "agrees with the plan ".repeat(400));
    owner.execute("INSERT INTO planted VALUES (1, $1, $2)", &[&padded, &name.as_bytes()]).await?;
    let lengths = owner.query_one("SELECT pg_column_size(text), length(text) FROM planted", &[]).await?;
    anyhow::ensure!(lengths.get::<_, i32>(0) < lengths.get::<_, i32>(1) / 4, "the value is not compressed");
    let rows = look_into_database(region, markers).await?;
    found(&rows, "plain", "planted")?;
    found(&rows, "hex", "planted")?;
    found(&markers.tree(&region.data_dir.join("pg_wal"), &[])?, "plain", "pg_wal")?;

    // A ciphertext of one home in another home's database.
    let (home, blobs) =
        sealed.iter().find(|(home, _)| *home == other.name).ok_or_else(|| anyhow::anyhow!("no home"))?;
    let source = postgres::inspect(other).await?;
    let row = source.query_one("SELECT family_name_sealed FROM patients_history LIMIT 1", &[]).await?;
    owner.execute("INSERT INTO planted VALUES (2, '', $1)", &[&row.get::<_, Vec<u8>>(0)]).await?;
    anyhow::ensure!(
        look_into_database(region, blobs).await?.hits.len() == 1,
        "{home}'s ciphertext was not found"
    );
    owner.batch_execute("DROP TABLE planted").await?;
    Ok(())
}
