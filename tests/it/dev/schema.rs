//! `domicile migrate --to`, beside nodes that serve.

use storage::schema::MIGRATIONS;
use tests::cluster::{run, shared};
use tests::postgres;

async fn applied() -> Vec<i64> {
    let client = postgres::inspect(shared().region("ny")).await.expect("the database");
    let sql = "SELECT version FROM refinery_schema_history ORDER BY version";
    client.query(sql, &[]).await.expect("the history").iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_way_back_is_refused_while_the_node_serves() {
    let config = shared().home().join("regions/ny/node.toml").display().to_string();
    let migrate = |more: &[&str]| run(&[&["migrate", "--config", &config], more].concat());
    let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let (first, newest) = (versions[0].to_string(), versions[versions.len() - 1].to_string());
    assert_eq!(applied().await, versions);

    let there = migrate(&["--to", &newest]).expect("the control: it is there already");
    assert!(there.contains(&format!("nothing to do: the schema is at version {newest}")), "{there}");
    for more in [&["--to", &*first][..], &["--to", &first, "--lose-data"]] {
        let refused = migrate(more).expect_err("the node serves").to_string();
        assert!(
            refused.contains("connections of nodes are open") && refused.contains("nothing was changed"),
            "{refused}"
        );
    }
    let refused = migrate(&["--to", "1", "--lose-data"]).expect_err("no such version").to_string();
    assert!(refused.contains("1 is no version to go to") && refused.contains(&first), "{refused}");
    assert!(migrate(&["--lose-data"]).expect_err("where to?").to_string().contains("--to"));
    assert_eq!(applied().await, versions);
}
