//! How much memory an idle node and an idle router hold, beside idle proxies.

use std::time::Duration;

use anyhow::Context as _;

use super::class::Core;
use super::cpu::{self, Memory};
use super::peers::{self, Peer};
use super::running::Running;
use super::series::{Contender, Sample, alternate};
use super::{Bench, Goal, Options, Report, Table};

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "memory", about: "memory of an idle node and router, beside idle proxies", run };

const PSS: &str = "PSS MiB";
const RSS: &str = "RSS MiB";
const MIB: f64 = 1024.0 * 1024.0;

fn run(options: &Options) -> anyhow::Result<Report> {
    let running = Running::find(options, options.size(300, 3))?;
    let node = running.cluster.regions.first().and_then(|region| region.pid).context("a node that runs")?;
    let router = running.cluster.router.pid.context("a router that runs")?;
    let database = running.databases().first().copied().context("a database that runs")?;
    let (haproxy, nginx) = (haproxy(options)?, nginx(options)?);

    let watched = [
        ("node", node),
        ("router", router),
        ("haproxy", haproxy.pid()),
        ("nginx", nginx.pid()),
        ("a region's Postgres", database),
    ];
    let contenders = watched.iter().map(|(name, pid)| {
        Contender::new(*name, |_: Duration| {
            let mib = |counted| super::drive::precise(cpu::memory(&[*pid], counted)) / MIB;
            Ok(Sample::new().with(PSS, mib(Memory::Proportional)).with(RSS, mib(Memory::Resident)))
        })
    });
    // Nothing is loaded, so a turn is one look.
    let series = alternate(&options.plan, contenders.collect())?;

    let mut report = Report::new("Idle memory");
    report.note(format!(
        "Proportional set size (PSS) of the whole process tree: pages that several share are shared out among them. The \
         three nodes of this cluster share their program; one that is alone on its machine holds what RSS says. \
         {} and {}, each with one listener.",
        peers::version("haproxy", "-v"),
        peers::version("nginx", "-v")
    ));
    report.table(Table::of(&series, &[PSS, RSS]));
    report.goal(Goal::at_most("node, PSS in MiB", series.spread("node", PSS), 40.0));
    report.goal(Goal::at_most("router, PSS in MiB", series.spread("router", PSS), 24.0));
    Ok(report)
}

fn haproxy(options: &Options) -> anyhow::Result<Peer> {
    let port = peers::free_port()?;
    let config = format!(
        "global\n    nbthread 2\ndefaults\n    mode http\n    timeout client 30s\n    timeout server 30s\n    \
         timeout connect 5s\nfrontend edge\n    bind 127.0.0.1:{port}\n    http-request return status 200\n"
    );
    peers::haproxy((options, Core::Any), &options.folder("haproxy")?, &config, port)
}

fn nginx(options: &Options) -> anyhow::Result<Peer> {
    let port = peers::free_port()?;
    let config = format!(
        "daemon off;\npid nginx.pid;\nworker_processes 2;\nevents {{}}\nhttp {{\n    access_log off;\n    \
         client_body_temp_path body;\n    proxy_temp_path proxy;\n    fastcgi_temp_path fastcgi;\n    \
         uwsgi_temp_path uwsgi;\n    scgi_temp_path scgi;\n    \
         server {{ listen 127.0.0.1:{port}; return 200; }}\n}}\n"
    );
    peers::nginx((options, Core::Any), &options.folder("nginx")?, &config, port)
}
