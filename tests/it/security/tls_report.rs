//! `sslyze`, a program of others, beside Mozilla's server-side TLS settings (https://wiki.mozilla.org/Security/Server_Side_TLS).
//!
//! "Modern" speaks TLS 1.3 only. We also speak TLS 1.2, because callers' programs do, with three suites that have forward
//! secrecy and authenticate what they encrypt; that, and nothing else, is what the report finds.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tests::cluster::{folder, shared};
use tests::tools::tool;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// What TLS 1.2 is spoken with here (RFC 5289, RFC 7905).
const SUITES_OF_1_2: [&str; 3] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// A server that speaks TLS 1.2 with a suite without forward secrecy, on a port of its own choice.
const WEAK: &str = "
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.set_ciphers('ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0')
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
def serve(stream):
    try:
        context.wrap_socket(stream, server_side=True).recv(1)
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()
";

/// What `sslyze` says against a profile: one line for each thing that it finds.
async fn findings(profile: &str, ca: &Path, host: &str) -> Result<Vec<String>> {
    let mut command = tokio::process::Command::new(tool("sslyze")?);
    command.arg("--certinfo_ca_file").arg(ca).arg(format!("--mozilla_config={profile}")).arg(host);
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, said) = text.split_once("COMPLIANCE AGAINST TLS CONFIGURATION").with_context(|| text.clone())?;
    let found: Vec<String> =
        said.lines().filter_map(|line| line.trim().strip_prefix("* ")).map(str::to_owned).collect();
    ensure!(found.is_empty() == said.contains("OK - Compliant"), "{said}");
    ensure!(found.is_empty() == output.status.success(), "{said}");
    Ok(found)
}

#[tokio::test]
async fn an_independent_report_finds_tls_1_2_with_three_suites_and_nothing_else() {
    let cluster = shared().described();
    let ca = shared().home().join("ca/ca.pem");
    let urls = cluster.regions.iter().map(|r| r.url.as_str()).chain([cluster.router.url.as_str()]);
    for host in urls.map(|url| url.trim_start_matches("https://").trim_end_matches('/')) {
        let found = findings("intermediate", &ca, host).await.expect("a report");
        assert_eq!(found, Vec::<String>::new(), "{host}");
        let found = findings("modern", &ca, host).await.expect("a report");
        let [versions, suites] = found.as_slice() else { panic!("{host}: {found:?}") };
        assert!(
            versions.starts_with("tls_versions: ") && versions.contains("{'TLSv1.2'}"),
            "{host}: {versions}"
        );
        let named: Vec<&str> = suites.split('\'').filter(|word| word.starts_with("TLS_")).collect();
        assert!(suites.starts_with("ciphers: ") && named.len() == SUITES_OF_1_2.len(), "{host}: {suites}");
        assert!(SUITES_OF_1_2.iter().all(|suite| named.contains(suite)), "{host}: {suites}");
    }
}

#[tokio::test]
async fn a_weak_server_is_found_out() {
    let ca = shared().home().join("ca/ca.pem");
    let script = folder("weak-tls").expect("a folder").join("weak.py");
    std::fs::write(&script, WEAK).expect("writes");
    let tls = shared().home().join("router/tls");
    let mut server = tokio::process::Command::from(Command::new(tool("python").expect("python")))
        .arg(&script)
        .args([tls.join("public.pem"), tls.join("public.key")])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut port = String::new();
    let mut said = BufReader::new(server.stdout.take().expect("a pipe"));
    said.read_line(&mut port).await.expect("a port");
    let found = findings("intermediate", &ca, &format!("localhost:{}", port.trim())).await.expect("a report");
    assert!(found.iter().any(|one| one.contains("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256")), "{found:?}");
}
