//! Makes the roles and the database of a region, and brings the schema up to date.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use residency_policy::{Entropy, Region};
use storage::{Provision, Secret};
use tokio_postgres::NoTls;

use super::keep::{self, Readers};
use super::layout::Home;
use super::postgres::Server;
use crate::config::Config;
use crate::wiring::migrate;

/// The role for people and tests who only look.
pub const INSPECT: &str = "domicile_inspect";
/// The database.
pub const DBNAME: &str = "domicile";

/// Makes what is missing. May be repeated.
pub async fn provision(home: &Home, region: Region, server: &Server, entropy: &dyn Entropy) -> Result<()> {
    let keys = home.region(region).keys();
    let wanted = Provision {
        dbname: DBNAME.to_owned(),
        owner_password: password(&keys.join("owner.password"), entropy)?,
        app_password: password(&keys.join("app.password"), entropy)?,
    };
    let config = {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&server.socket_dir).port(server.port).user("postgres").dbname("postgres");
        config
    };
    let (superuser, connection) =
        config.connect(NoTls).await.context("the superuser cannot come in by the socket")?;
    let driver = tokio::spawn(connection);
    let made = async {
        storage::provision(&superuser, &wanted).await?;
        superuser.batch_execute(INSPECT_SQL).await?;
        anyhow::Ok(())
    }
    .await;
    drop(superuser);
    // The connection ends with its client; how it ends says nothing more.
    let _ = driver.await;
    made.with_context(|| format!("the database of {region} cannot be made"))
}

/// Brings the schema up to date, as `domicile migrate` does.
pub async fn migrate(home: &Home, region: Region) -> Result<()> {
    let config = Config::load(&home.region(region).node_toml())?;
    migrate::migrate(&config).await?;
    Ok(())
}

/// Reads everything, changes nothing, sees every tenant. Sealed columns stay sealed: it has no keys.
const INSPECT_SQL: &str = "
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'domicile_inspect') THEN
        CREATE ROLE domicile_inspect LOGIN BYPASSRLS;
    END IF;
END $$;
GRANT pg_read_all_data, pg_monitor TO domicile_inspect;
GRANT CONNECT ON DATABASE domicile TO domicile_inspect;
ALTER ROLE domicile_inspect SET default_transaction_read_only = on;
";

fn password(path: &Path, entropy: &dyn Entropy) -> Result<Secret> {
    if !path.exists() {
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes);
        let text = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        keep::write(path, Readers::Owner, format!("{text}\n").as_bytes())?;
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Secret::new(text.trim()))
}
