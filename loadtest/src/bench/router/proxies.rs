//! The router and its peers, each on a core of its own, in front of the same home.
//!
//! All of them end TLS for callers with the same certificate, check the home's certificate and show it one. HAProxy
//! speaks HTTP/2 to the home, as the router does, and shares a few connections among all callers. Debian's nginx can
//! speak only HTTP/1.1 to it, over connections that it keeps.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::super::Options;
use super::super::class::Core;
use super::super::peers::{self, Peer, Pem};
use super::home::{ROUTER, Ready, VOTER};

/// Somebody between callers and the home.
pub(super) struct Proxy {
    peer: Peer,
    port: u16,
}

impl Proxy {
    /// Where it listens, and which process it is.
    pub(super) fn at(&self) -> (u16, u32) {
        (self.port, self.peer.pid())
    }
}

/// The router itself: its own binary, with every limit, metrics, and a line in its log for each request.
pub(super) fn router(
    options: &Options,
    folder: &Path,
    (public, member): (&Pem, &Pem),
    (home, voter, hears): (&Ready, u16, u16),
) -> anyhow::Result<Proxy> {
    let port = peers::free_port()?;
    // The configuration takes relative paths from its own folder.
    fs::write(folder.join("us.toml"), residency_policy::ruleset::SHIPPED)?;
    fs::write(folder.join("policy.pub"), &home.verify_key)?;
    let config = format!(
        "listen = '127.0.0.1:{port}'\ningress = 'US-CA'\n\
         [tls]\ncert = '{cert}'\nkey = '{key}'\n\
         [peer]\nlisten = '127.0.0.1:{hears}'\nca = '{ca}'\ncert = '{own}'\nkey = '{own_key}'\n\
         [rules]\nfile = 'us.toml'\nverify_key = 'policy.pub'\n\
         [control]\nid = {ROUTER}\ndir = 'control'\n\
         [[control.peers]]\nid = {VOTER}\nregion = 'US-TX'\nat = 'localhost:{voter}'\n\
         [rates]\nservice = {{ per_minute = 60000000, burst = 1000000 }}\n\
         address = {{ per_minute = 60000000, burst = 1000000 }}\n",
        cert = public.cert.display(),
        key = public.key.display(),
        ca = member.ca.display(),
        own = member.cert.display(),
        own_key = member.key.display(),
    );
    let path = folder.join("router.toml");
    fs::write(&path, config)?;
    let program = options.program("domicile-router")?;
    let path = path.display().to_string();
    let mut peer = Peer::start("router", (options, Core::Measured), folder, &program, &["--config", &path])?;
    peer.until_listening(port)?;
    Ok(Proxy { peer, port })
}

/// Certificate and key in one file, as HAProxy wants them.
fn joined(pem: &Pem, path: &Path) -> anyhow::Result<String> {
    let text = [fs::read_to_string(&pem.cert)?, fs::read_to_string(&pem.key)?].concat();
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(path.display().to_string())
}

/// HAProxy. With `log`, it writes a line for each request, as the router does.
pub(super) fn haproxy(
    options: &Options,
    folder: &Path,
    (public, member): (&Pem, &Pem),
    home: &Ready,
    log: bool,
) -> anyhow::Result<Proxy> {
    let port = peers::free_port()?;
    let (public_file, member_file) =
        (joined(public, &folder.join("public.pem"))?, joined(member, &folder.join("member.pem"))?);
    let (to, option) = if log {
        ("    log stdout format raw local0\n", "    option httplog\n    log global\n")
    } else {
        ("", "")
    };
    let config = format!(
        "global\n    nbthread 1\n    maxconn 400\n{to}\
         defaults\n    mode http\n    timeout client 60s\n    timeout server 60s\n    timeout connect 5s\n{option}\
         frontend edge\n    bind 127.0.0.1:{port} ssl crt {public_file} alpn h2,http/1.1\n    \
         http-request return status 200 content-type text/plain string ok if {{ path /healthz }}\n    \
         default_backend home\n\
         backend home\n    http-reuse always\n    \
         server tx 127.0.0.1:{mutual} ssl verify required ca-file {ca} crt {member_file} alpn h2 \
         sni str(localhost) verifyhost localhost\n",
        mutual = home.mutual,
        ca = member.ca.display(),
    );
    let peer = peers::haproxy((options, Core::Measured), folder, &config, port)?;
    Ok(Proxy { peer, port })
}

/// nginx.
pub(super) fn nginx(
    options: &Options,
    folder: &Path,
    (public, member): (&Pem, &Pem),
    home: &Ready,
) -> anyhow::Result<Proxy> {
    let port = peers::free_port()?;
    let config = format!(
        "daemon off;\npid nginx.pid;\nworker_processes 1;\nevents {{ worker_connections 400; }}\nhttp {{\n    \
         access_log off;\n    client_body_temp_path body;\n    proxy_temp_path proxy;\n    \
         fastcgi_temp_path fastcgi;\n    uwsgi_temp_path uwsgi;\n    scgi_temp_path scgi;\n    \
         keepalive_requests 100000000;\n    \
         upstream home {{ server 127.0.0.1:{mutual}; keepalive 128; keepalive_requests 100000000; }}\n    \
         server {{\n        listen 127.0.0.1:{port} ssl http2;\n        ssl_certificate {cert};\n        \
         ssl_certificate_key {key};\n        ssl_protocols TLSv1.2 TLSv1.3;\n        \
         location = /healthz {{ return 200 ok; }}\n        \
         location / {{\n            proxy_pass https://home;\n            proxy_http_version 1.1;\n            \
         proxy_set_header Connection \"\";\n            proxy_ssl_certificate {own};\n            \
         proxy_ssl_certificate_key {own_key};\n            proxy_ssl_trusted_certificate {ca};\n            \
         proxy_ssl_verify on;\n            proxy_ssl_name localhost;\n            proxy_ssl_server_name on;\n            \
         proxy_ssl_protocols TLSv1.3;\n        }}\n    }}\n}}\n",
        mutual = home.mutual,
        cert = public.cert.display(),
        key = public.key.display(),
        own = member.cert.display(),
        own_key = member.key.display(),
        ca = member.ca.display(),
    );
    let peer = peers::nginx((options, Core::Measured), folder, &config, port)?;
    Ok(Proxy { peer, port })
}
