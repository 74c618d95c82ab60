//! SQL is a constant of the program: text that was put together cannot reach the database.
use tests::walls::storage::{Error, RegionTx};

pub async fn find(tx: &RegionTx, table: &str) -> Result<u64, Error> {
    #[cfg(not(wall))]
    {
        let _ = table;
        tx.execute("DELETE FROM id_pool", &[]).await
    }
    #[cfg(wall)]
    { tx.execute(&format!("DELETE FROM {table}"), &[]).await } //~ E0716
}
