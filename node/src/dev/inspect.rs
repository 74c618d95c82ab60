//! Looks into a region's database as the role that reads everything and changes nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_postgres::NoTls;

use super::cluster_json::PostgresEntry;

/// The number that a statement counts.
pub async fn count(at: &PostgresEntry, sql: &str, within: Duration) -> Result<i64> {
    let mut config = tokio_postgres::Config::new();
    config.host(&at.host).port(at.port).dbname(&at.dbname).user(&at.user).connect_timeout(within);
    let count = async {
        let (client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        let row = client.query_one(sql, &[]).await?;
        drop(client);
        let _ = driver.await;
        anyhow::Ok(row.try_get(0)?)
    };
    tokio::time::timeout(within, count).await.context("no answer in time")?
}
