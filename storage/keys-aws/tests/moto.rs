//! AWS KMS against the `moto` server from PyPI, an implementation that is not ours.
//!
//! moto opens ciphertexts of disabled keys too, so nothing is said here about disabled keys.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region as AwsRegion};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use residency_policy::{Category, Jurisdiction, PatientId, Region};
use storage_keys::{KeyContext, KeyUse, KmsError, RegionKms};
use storage_keys_aws::{AwsKms, AwsKmsConfig};

struct Moto {
    server: Child,
    endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Where `./dev test` installs the tools, then the search path.
fn moto_server() -> PathBuf {
    let mut folders = Vec::new();
    if let Some(tools) = std::env::var_os("DOMICILE_TOOLS") {
        let tools = PathBuf::from(tools);
        folders.extend([tools.join("bin"), tools]);
    }
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    if let Some(home) = std::env::var_os("HOME") {
        folders.push(PathBuf::from(home).join(".cache/domicile/tools-venv/bin"));
    }
    let found = folders.iter().map(|folder| folder.join("moto_server")).find(|path| path.is_file());
    found.expect("moto_server is missing: run `./dev test`, which installs it, or `pip install 'moto[server]'` and name its folder in DOMICILE_TOOLS")
}

fn start() -> Moto {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let port = port.expect("a free port").port();
    let server = Command::new(moto_server())
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto_server starts");
    let moto = Moto { server, endpoint: format!("http://127.0.0.1:{port}") };
    let deadline = Instant::now() + Duration::from_mins(1);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
        assert!(Instant::now() < deadline, "moto_server does not listen");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    moto
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"))
}

async fn new_key(endpoint: &str, aws_region: &str) -> String {
    let loaded = aws_config::defaults(BehaviorVersion::latest())
        .region(AwsRegion::new(aws_region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(credentials())
        .http_client(
            aws_smithy_http_client::Builder::new()
                .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
                    aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
                ))
                .build_https(),
        )
        .load()
        .await;
    let made = aws_sdk_kms::Client::new(&loaded).create_key().send().await.expect("moto makes a key");
    made.key_metadata.expect("a key has metadata").key_id
}

async fn kms(endpoint: &str, aws_region: &str, key_id: &str) -> AwsKms {
    let config =
        AwsKmsConfig { key_id: key_id.into(), aws_region: aws_region.into(), endpoint: Some(endpoint.into()) };
    AwsKms::connect_as(config, Some(credentials())).await.expect("a client")
}

fn context(patient: u8, jurisdiction: &str) -> KeyContext {
    KeyContext {
        cluster: "test".parse().expect("a label"),
        region: Region(Jurisdiction::from_postal(jurisdiction).expect("a jurisdiction")),
        patient: Some(PatientId::from_bytes([patient; 16])),
        category: Some(Category::General),
        use_: KeyUse::PatientData,
    }
}

#[tokio::test]
async fn a_data_key_opens_only_with_its_own_key_region_and_context() {
    let moto = start();
    let key = new_key(&moto.endpoint, "us-east-2").await;
    let texas = kms(&moto.endpoint, "us-east-2", &key).await;
    let ana = context(1, "TX");

    let (made, wrapped) = texas.generate(&ana).await.expect("a data key");
    let opened = texas.unwrap(&wrapped, &ana).await.expect("the control: it opens where it belongs");
    assert_eq!(made.bytes(), opened.bytes());
    let (other, _) = texas.generate(&ana).await.expect("another data key");
    assert_ne!(made.bytes(), other.bytes());

    for (what, moved) in [
        ("another patient", context(2, "TX")),
        ("another region", context(1, "CA")),
        ("another category", KeyContext { category: Some(Category::SubstanceUse), ..ana }),
        ("another use", KeyContext { use_: KeyUse::BlindIndex, ..ana }),
        ("another cluster", KeyContext { cluster: "other".parse().expect("a label"), ..ana }),
    ] {
        let refused = texas.unwrap(&wrapped, &moved).await.expect_err(what);
        assert!(matches!(refused, KmsError::DoesNotOpen { .. }), "{what}: {refused}");
    }

    let second = new_key(&moto.endpoint, "us-east-2").await;
    let second = kms(&moto.endpoint, "us-east-2", &second).await;
    second.check(&ana).await.expect("the control: the second key is usable");
    // moto says AccessDeniedException where AWS says IncorrectKeyException.
    assert!(second.unwrap(&wrapped, &ana).await.is_err(), "another key of the same AWS region");

    let california = new_key(&moto.endpoint, "us-west-1").await;
    let california = kms(&moto.endpoint, "us-west-1", &california).await;
    california.check(&ana).await.expect("the control: the key of the other AWS region is usable");
    assert!(california.unwrap(&wrapped, &ana).await.is_err(), "a key of another AWS region");

    let mut altered = wrapped.clone();
    *altered.0.last_mut().expect("a wrapped key has bytes") ^= 1;
    assert!(texas.unwrap(&altered, &ana).await.is_err(), "an altered ciphertext");

    texas.check(&ana).await.expect("the check of a usable key");
}

#[tokio::test]
async fn rewrapping_moves_a_data_key_to_the_key_that_is_configured_now() {
    let moto = start();
    let (old, new) = (new_key(&moto.endpoint, "us-east-2").await, new_key(&moto.endpoint, "us-east-2").await);
    let (old, new) =
        (kms(&moto.endpoint, "us-east-2", &old).await, kms(&moto.endpoint, "us-east-2", &new).await);
    let ana = context(1, "TX");
    let (made, wrapped) = old.generate(&ana).await.expect("a data key");

    let again = new.rewrap(&wrapped, &ana).await.expect("a rewrap").expect("a new wrapping");
    assert_eq!(new.unwrap(&again, &ana).await.expect("it opens").bytes(), made.bytes());
    assert!(old.unwrap(&again, &ana).await.is_err(), "the old key no longer opens it");
    assert!(new.rewrap(&wrapped, &context(2, "TX")).await.is_err(), "not under another context");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_words() {
    let moto = start();
    let missing = kms(&moto.endpoint, "us-east-2", "00000000-0000-4000-8000-000000000000").await;
    let said = missing.check(&context(1, "TX")).await.expect_err("there is no such key").to_string();
    assert!(said.contains("no such key") && said.contains("us-east-2"), "{said}");

    let free =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port");
    let nobody = kms(&format!("http://{free}"), "us-east-2", "alias/domicile").await;
    let began = Instant::now();
    let refused = nobody.check(&context(1, "TX")).await.expect_err("nobody listens there");
    assert!(matches!(refused, KmsError::Unreachable { .. }), "{refused}");
    assert!(refused.to_string().contains(&free.to_string()), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(10), "it gives up in time");

    let config = AwsKmsConfig { key_id: String::new(), aws_region: "us-east-2".into(), endpoint: None };
    assert!(AwsKms::connect_as(config, Some(credentials())).await.is_err(), "a key must be named");
}
