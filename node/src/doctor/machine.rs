//! Ports, room on the disks, open files, and whether the peers are there.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::Report;
use crate::config::keys::KeyringSection;
use crate::config::{Config, ControlSection};

const MIB: u64 = 1 << 20;
const ROOM_MIN: u64 = 100 * MIB;
const ROOM_GOOD: u64 = 1024 * MIB;
const WITHIN: Duration = Duration::from_secs(2);

pub(super) fn ports(config: &Config, report: &mut Report) {
    for (name, at) in [("public", config.listen.public), ("peer", config.listen.peer)] {
        match TcpListener::bind(at) {
            Ok(_) => report.ok("ports", format!("{name} {at} is free")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => report.warn(
                "ports",
                format!("{name} {at} is taken"),
                "nothing, if it is this node that runs; otherwise end the other program or choose another port",
            ),
            Err(error) => report.fail(
                "ports",
                format!("{name} {at} cannot be listened on: {error}"),
                "ports below 1024 need CAP_NET_BIND_SERVICE; the address must be this machine's",
            ),
        }
    }
}

pub(super) fn disk(config: &Config, report: &mut Report) {
    let mut folders = vec![("control plane", config.control.dir.as_path())];
    if let KeyringSection::Embedded { file } = &config.keys.keyring {
        folders.push(("keyring", file.parent().unwrap_or(Path::new("/"))));
    }
    for (name, folder) in folders {
        let Some(there) = folder.ancestors().find(|f| f.exists()) else { continue };
        let room = match rustix::fs::statvfs(there) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            Err(error) => {
                let what = format!("{name}: {} cannot be examined: {error}", there.display());
                report.fail("disk", what, "see that the node's user may come there");
                continue;
            }
        };
        let what = format!("{name}: {} MiB are left at {}", room / MIB, there.display());
        match room {
            ..ROOM_MIN => report.fail("disk", what, "make room: a write that fails stops the node"),
            ROOM_MIN..ROOM_GOOD => report.warn("disk", what, "make room before it is full"),
            _ => report.ok("disk", what),
        }
        let writable = rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
        if let Err(error) = writable {
            let mend = "give the folder to the user that the node runs as";
            report.fail("disk", format!("{name}: {} cannot be written: {error}", there.display()), mend);
        }
    }
}

pub(super) fn files(config: &Config, report: &mut Report) {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return report.ok("open files", "unlimited");
    };
    // A connection is one; the database, peers and stores take the rest.
    let wanted = config.limits.connections_max as u64 + config.database.connections_max as u64 + 256;
    if limit < wanted {
        report.warn(
            "open files",
            format!("{limit} may be open and [limits] connections_max needs {wanted}"),
            format!("LimitNOFILE={wanted} in the unit file, or a smaller connections_max"),
        );
    } else {
        report.ok("open files", format!("{limit} may be open"));
    }
}

/// A node switches its own core dumps off. Its database is another program, and its memory holds PHI as well.
pub(super) fn dumps(on: bool, report: &mut Report) {
    if on {
        report.warn(
            "core dumps",
            "programs started here may leave core files, and a database's holds PHI; a node never does",
            "LimitCORE=0 in the unit files, `ulimit -c 0` in a shell",
        );
    } else {
        report.ok("core dumps", "are off");
    }
}

pub(super) async fn peers(config: &Config, report: &mut Report) {
    let own = ControlSection::own_id(&config.region);
    let others = config.control.members.iter().filter(|m| m.id != own);
    let looks = others.map(|member| async move {
        let address = (member.at.host.as_str().to_owned(), member.at.port);
        let connected = tokio::time::timeout(WITHIN, tokio::net::TcpStream::connect(address)).await;
        (member, matches!(connected, Ok(Ok(_))))
    });
    let looks: Vec<_> = futures::future::join_all(looks).await;
    let voters = looks.iter().filter(|(m, there)| m.votes && *there).count();
    let away: Vec<String> = looks.iter().filter(|(_, there)| !there).map(|(m, _)| m.at.to_string()).collect();
    if away.is_empty() {
        return report.ok("peers", format!("{} answer", looks.len()));
    }
    // This node is one of the quorum when it votes.
    let with_us = voters + usize::from(config.control.voters().contains_key(&own.node));
    let quorum = config.control.voters().len() / 2 + 1;
    let effect =
        if with_us >= quorum { "a quorum is there" } else { "there is no quorum: nothing can be claimed" };
    report.warn(
        "peers",
        format!("{} do not answer; {effect}", away.join(", ")),
        "start them, or open the way to their peer listeners; reads and writes at home go on meanwhile",
    );
}
