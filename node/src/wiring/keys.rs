//! Chooses the KMS and the keyring.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::Entropy;
use storage::Server;
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::local::LocalKms;
use storage_keys::postgres::PostgresKeyring;
use storage_keys::{Envelope, Keyring, RegionKms};
use storage_keys_aws::{AwsKms, AwsKmsConfig};

use crate::config::Config;
use crate::config::keys::{KeyringSection, KmsSection};
use crate::exit::{Cause, Stop, chain};

const CONNECT: Duration = Duration::from_secs(5);

/// Opens the KMS and the keyring and makes one round trip through both.
pub async fn envelope(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Envelope, Stop> {
    let kms = kms(config, &entropy).await?;
    let keyring = keyring(config).await?;
    tracing::info!(kms = kms.describe(), keyring = keyring.describe(), "keys");
    let (cluster, region) = (config.region.cluster, config.region.region());
    let envelope = Envelope::new(kms, keyring, cluster, region, entropy, config.keys.cache.limits());
    envelope.check_kms().await.map_err(|e| {
        Stop::new(
            Cause::Keys,
            chain(&e),
            "the KMS key must allow GenerateDataKey and Decrypt to this node; see [keys]",
        )
    })?;
    Ok(envelope)
}

/// Opens the KMS.
pub async fn kms(config: &Config, entropy: &Arc<dyn Entropy>) -> Result<Arc<dyn RegionKms>, Stop> {
    let stop = |e: storage_keys::KmsError| Stop::new(Cause::Keys, chain(&e), "see [keys.kms]");
    Ok(match &config.keys.kms {
        KmsSection::Local { file } => {
            Arc::new(LocalKms::open_or_create(file, Arc::clone(entropy)).map_err(stop)?)
        }
        KmsSection::Aws { key_id, aws_region, endpoint } => Arc::new(
            AwsKms::connect(AwsKmsConfig {
                key_id: key_id.clone(),
                aws_region: aws_region.clone(),
                endpoint: endpoint.clone(),
            })
            .await
            .map_err(stop)?,
        ),
    })
}

/// Opens the keyring.
pub async fn keyring(config: &Config) -> Result<Arc<dyn Keyring>, Stop> {
    let stop = |e: storage_keys::KeyringError| Stop::new(Cause::Keys, chain(&e), "see [keys.keyring]");
    Ok(match &config.keys.keyring {
        KeyringSection::Embedded { file } => Arc::new(EmbeddedKeyring::open(file).map_err(stop)?),
        KeyringSection::Postgres { host, port, name, user, password_file, ca } => {
            let password = password_file
                .read()
                .map_err(|e| Stop::new(Cause::Keys, e.to_string(), "see [keys.keyring] password_file"))?;
            let server = Server {
                host: host.clone(),
                port: *port,
                dbname: name.clone(),
                user: user.clone(),
                password,
                ca_cert: ca.clone(),
                connect_timeout: CONNECT,
            };
            Arc::new(PostgresKeyring::connect(server).await.map_err(stop)?)
        }
    })
}
