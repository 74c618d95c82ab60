//! What a database must be before it is trusted.

use std::sync::Arc;

use residency_policy::{Act, Jurisdiction, Region};
use storage::testing::{PostgresServer, SetClock, TestEntropy, TestRegion, scope};
use storage::{
    APP, Error, MigrateConfig, MigrateError, OWNER, OpenError, PoolConfig, Reading as _, RegionPool,
    RegionRead, RegionTx, Secret, Unavailable, migrate,
};
use storage_keys::Envelope;
use storage_keys::postgres::PostgresKeyring;

use crate::support::{an_org, count, read, register, texas};

async fn open(config: PoolConfig, envelope: &Arc<Envelope>) -> Result<RegionPool, OpenError> {
    RegionPool::open(
        config,
        Arc::clone(envelope),
        Arc::new(SetClock::default()),
        Arc::new(TestEntropy::default()),
    )
    .await
}

fn region(postal: &str) -> Region {
    Region(Jurisdiction::from_postal(postal).expect("a jurisdiction"))
}

#[tokio::test]
async fn a_database_with_another_stamp_is_refused() {
    let texas = texas().await;
    open(texas.config.clone(), &texas.envelope).await.expect("the control: the own region opens");

    let california = region("CA");
    let keys = tempfile::tempdir().expect("a folder");
    let envelope = TestRegion::envelope_in(&keys, california);
    let config = PoolConfig { region: california, ..texas.config.clone() };
    let refused = open(config, &envelope).await.expect_err("another region's database");
    assert!(matches!(refused, OpenError::WrongStamp { .. }), "{refused}");
    assert!(refused.to_string().contains("US-TX") && refused.to_string().contains("US-CA"), "{refused}");

    let server = PostgresServer::shared().server(&texas.dbname, OWNER);
    let refused = migrate(MigrateConfig { server }, california, TestRegion::cluster()).await;
    assert!(matches!(refused, Err(MigrateError::WrongStamp { .. })), "{refused:?}");
}

/// A name may lead to another server after a failover.
#[tokio::test]
async fn every_later_connection_is_looked_at_too() {
    let texas = texas().await;
    let org = an_org();
    let (patient, _) = register(&texas, org).await;
    // One lane: it gives its connection back before it takes the next question, so that question meets the same one.
    let config = PoolConfig { connections_max: 8, ..texas.config.clone() };
    let pool = open(config, &texas.envelope).await.expect("the own region opens");
    let (permit, scope, superuser) = (texas.permit(patient, Act::Read), scope(org), texas.as_superuser().await);
    let stamp = async |region: &str| {
        let changed = superuser.execute("UPDATE region_stamp SET region = $1", &[&region]).await;
        assert_eq!(changed.expect("a stamp"), 1);
    };
    let begin = || RegionTx::begin(&pool, &permit, &scope, "test.stamp");
    let looking = RegionRead::begin(&pool, &permit, &scope, "test.stamp").expect("a read");
    let look = || looking.query("SELECT id FROM patients", &[]);
    let refused = |error: Error| assert!(matches!(error, Error::Unavailable(Unavailable::Connect)), "{error}");

    stamp("US-CA").await;
    refused(begin().await.expect_err("a transaction's connection"));
    stamp("US-TX").await;
    begin().await.expect("the control: the own region").rollback().await;
    stamp("US-CA").await;
    refused(look().await.expect_err("a lane's connection"));
    stamp("US-TX").await;
    assert_eq!(look().await.expect("the control: the own region").len(), 1);
    stamp("US-CA").await;
    let another = RegionRead::begin(&pool, &permit, &scope, "test.stamp").expect("a read");
    another.query("SELECT id FROM patients", &[]).await.expect("on a connection that is there");
    refused(another.disclose(&read(patient)).await.expect_err("the recorder's connection"));
    stamp("US-TX").await;
    looking.disclose(&read(patient)).await.expect("the control: the own region");
    assert_eq!(count(&texas, "SELECT count(*) FROM access_log WHERE act = 'test.stamp'").await, 1);
}

#[tokio::test]
async fn keys_of_another_region_are_refused() {
    let texas = texas().await;
    let keys = tempfile::tempdir().expect("a folder");
    let refused = open(texas.config.clone(), &TestRegion::envelope_in(&keys, region("CA"))).await;
    assert!(matches!(refused, Err(OpenError::WrongKeys { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_keyring_that_the_database_was_not_written_with_is_refused() {
    let texas = texas().await;
    let keys = tempfile::tempdir().expect("a folder");
    let refused = open(texas.config.clone(), &TestRegion::envelope_in(&keys, texas.region())).await;
    assert!(matches!(refused, Err(OpenError::WrongKeyring { .. })), "{refused:?}");
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_many_at_once_apply_each_once() {
    let server = PostgresServer::shared();
    let texas = texas().await;
    let config = || MigrateConfig { server: server.server(&texas.dbname, OWNER) };
    let again = migrate(config(), texas.region(), TestRegion::cluster()).await.expect("it migrates");
    assert!(again.applied.is_empty() && !again.stamped, "{again:?}");

    let empty = server.superuser("postgres").connect("test", "").await.expect("a connection");
    empty
        .batch_execute("CREATE DATABASE at_once OWNER domicile_owner TEMPLATE template0")
        .await
        .expect("a database");
    let at_once = || {
        migrate(
            MigrateConfig { server: server.server("at_once", OWNER) },
            texas.region(),
            TestRegion::cluster(),
        )
    };
    let (a, b, c) = tokio::try_join!(at_once(), at_once(), at_once()).expect("all end well");
    let applied: usize = [&a, &b, &c].iter().map(|migrated| migrated.applied.len()).sum();
    assert_eq!(applied, storage::schema::MIGRATIONS.len());
    assert_eq!([a, b, c].iter().filter(|migrated| migrated.stamped).count(), 1);
}

#[tokio::test]
async fn a_schema_that_is_missing_older_or_newer_is_refused_in_words() {
    let server = PostgresServer::shared();
    let texas = texas().await;
    let superuser = server.superuser("postgres").connect("test", "").await.expect("a connection");
    let make = "CREATE DATABASE bare OWNER domicile_owner; GRANT CONNECT ON DATABASE bare TO domicile_app";
    for statement in make.split(';') {
        superuser.batch_execute(statement).await.expect("a database");
    }
    let bare = PoolConfig { server: server.server("bare", APP), ..texas.config.clone() };
    let refused = open(bare, &texas.envelope).await.expect_err("no schema");
    assert!(
        matches!(refused, OpenError::NotMigrated) && refused.to_string().contains("domicile migrate"),
        "{refused}"
    );

    let inside = texas.as_superuser().await;
    let newest = storage::schema::MIGRATIONS.last().expect("a migration").version;
    let rename = "UPDATE refinery_schema_history SET version = version + 1 WHERE version = $1::bigint";
    inside.execute(rename, &[&newest]).await.expect("a newer history");
    let refused = open(texas.config.clone(), &texas.envelope).await;
    assert!(matches!(refused, Err(OpenError::SchemaTooNew { .. })), "{refused:?}");
    let remove = "DELETE FROM refinery_schema_history WHERE version > $1::bigint";
    inside.execute(remove, &[&(newest - 1)]).await.expect("an older history");
    let refused = open(texas.config.clone(), &texas.envelope).await;
    assert!(matches!(refused, Err(OpenError::SchemaTooOld { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_role_that_could_see_everything_is_refused() {
    let server = PostgresServer::shared();
    let texas = texas().await;
    for role in ["postgres", OWNER] {
        let config = PoolConfig { server: server.server(&texas.dbname, role), ..texas.config.clone() };
        let refused = open(config, &texas.envelope).await;
        assert!(matches!(refused, Err(OpenError::RoleTooPowerful { .. })), "{role}: {refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_would_log_values_is_refused() {
    let server = PostgresServer::start(&[]);
    let texas = TestRegion::new(&server, "TX").await;
    let superuser = texas.as_superuser().await;
    superuser.batch_execute("ALTER ROLE domicile_app RESET log_error_verbosity").await.expect("a setting");
    let refused = open(texas.config.clone(), &texas.envelope).await.expect_err("a leaky log");
    assert!(refused.to_string().contains("log_error_verbosity = terse"), "{refused}");
}

#[tokio::test]
async fn what_is_wrong_with_a_connection_is_said_in_words() {
    let texas = texas().await;
    let said = |server: storage::Server| {
        let config = PoolConfig { server, ..texas.config.clone() };
        let envelope = Arc::clone(&texas.envelope);
        async move { open(config, &envelope).await.expect_err("it cannot open").to_string() }
    };
    let own = texas.config.server.clone();
    let wrong = Secret::new("wrong");
    assert!(said(storage::Server { password: wrong, ..own.clone() }).await.contains("password is wrong"));
    let missing = storage::Server { dbname: "nowhere".into(), ..own.clone() };
    assert!(said(missing).await.contains("no such database"));
    let ca_cert = texas.keys.path().join("missing.pem");
    assert!(said(storage::Server { ca_cert, ..own.clone() }).await.contains("missing.pem"));
    let ca_cert = texas.keys.path().join("stranger.pem");
    std::fs::write(&ca_cert, storage::testing::stranger()).expect("a file");
    let text = said(storage::Server { ca_cert: ca_cert.clone(), ..own.clone() }).await;
    assert!(text.contains("certificate"), "another authority's certificate: {text}");
    std::fs::write(&ca_cert, "not PEM").expect("a file");
    assert!(said(storage::Server { ca_cert, ..own.clone() }).await.contains("holds no certificate"));
    for text in [format!("{own:?}"), format!("{:?}", texas.config)] {
        assert!(!text.contains("throw-away"), "the password is never printed");
    }
}

#[tokio::test]
async fn a_keyring_in_the_phi_server_is_refused_and_one_in_another_server_serves() {
    let server = PostgresServer::shared();
    let texas_region = region("TX");
    let dbname = TestRegion::database(server, texas_region).await;
    let config = PoolConfig {
        server: server.server(&dbname, APP),
        cluster: TestRegion::cluster(),
        region: texas_region,
        connections_max: 4,
        timeouts: storage::Timeouts::default(),
    };
    let keys = tempfile::tempdir().expect("a folder");
    let envelope = |keyring| {
        let entropy = Arc::new(TestEntropy::default());
        let kms =
            storage_keys::local::LocalKms::open_or_create(&keys.path().join("master.json"), entropy.clone());
        let limits = storage_keys::EnvelopeLimits::default();
        let kms = Arc::new(kms.expect("a KMS"));
        Arc::new(Envelope::new(kms, Arc::new(keyring), TestRegion::cluster(), texas_region, entropy, limits))
    };
    let admin = server.superuser("postgres").connect("test", "").await.expect("a connection");
    admin.batch_execute("CREATE DATABASE keyring_beside").await.expect("a database");
    let same = PostgresKeyring::connect(server.superuser("keyring_beside")).await.expect("a keyring");
    let refused = open(config.clone(), &envelope(same)).await;
    assert!(matches!(refused, Err(OpenError::KeyringOnSameServer { .. })), "{refused:?}");

    let other = PostgresServer::start_unrelated(&[]);
    let keyring = PostgresKeyring::connect(other.superuser("postgres")).await.expect("a keyring");
    let envelope = envelope(keyring);
    open(config.clone(), &envelope).await.expect("a keyring on another server is accepted");
    crate::sealing::a_keyring_keeps_its_promises(envelope.keyring()).await;
}
