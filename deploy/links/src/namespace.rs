//! Network namespaces without a name: one lives as long as a process in it or a handle of it. Whatever ends the
//! supervisor ends them, and their devices with them.
//!
//! A namespace belongs to a thread. Children that a thread forks are in its namespace, so that whoever starts programs
//! in one needs a thread of its own for it and no helper program.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use tokio::runtime::Handle;
use tun_rs::{AsyncDevice, DeviceBuilder};

/// The one device by which packets leave.
const DEVICE: &str = "wan";
/// That of Ethernet, as on the roads between data centres.
pub(crate) const MTU: u16 = 1_500;
const TUN: &str = "/dev/net/tun";

/// Why there are no links.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The right is missing.
    #[error("this user may not make network namespaces: CAP_SYS_ADMIN and CAP_NET_ADMIN are needed")]
    Forbidden,
    /// The kernel has no TUN devices.
    #[error("{TUN} is not there or may not be opened: {0}")]
    NoTun(io::Error),
    /// The program that sets addresses is missing.
    #[error("the program `ip` (package iproute2) cannot be run: {0}")]
    NoIp(io::Error),
    /// Something else.
    #[error("{what}: {why}")]
    Other {
        /// What was tried.
        what: &'static str,
        /// What came of it.
        why: io::Error,
    },
}

fn other(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |why| OpenError::Other { what, why }
}

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    handle: File,
}

impl Namespace {
    /// A new one, in which nothing is up yet.
    pub fn create() -> Result<Self, OpenError> {
        let made = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        match made {
            Ok(handle) => Ok(Self { handle }),
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => Err(OpenError::Forbidden),
            Err(why) => Err(OpenError::Other { what: "a network namespace cannot be made", why }),
        }
    }

    /// Moves the calling thread here, for good: what it opens and whom it forks from now on is inside.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.handle, CloneFlags::CLONE_NEWNET)?)
    }

    /// Another handle of the same namespace.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { handle: self.handle.try_clone()? })
    }

    /// Does something inside, in a thread that ends with it.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| act()));
            thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        })
    }

    /// Brings the loopback up, and a TUN device with this address, by which the whole /24 is reached. The device is
    /// read and written on this runtime.
    pub(crate) fn furnish(&self, address: Ipv4Addr, runtime: &Handle) -> Result<AsyncDevice, OpenError> {
        // Otherwise the crate would make the node, which is not ours to decide.
        File::options().read(true).write(true).open(TUN).map_err(OpenError::NoTun)?;
        let furnish = || {
            let _runtime = runtime.enter();
            let device = DeviceBuilder::new()
                .name(DEVICE)
                .mtu(MTU)
                .enable(false)
                .build_async()
                .map_err(other("a TUN device cannot be made"))?;
            // Loopback addresses may come and go by this device only.
            sysctl("ipv4", "route_localnet")?;
            // Nobody here speaks IPv6 over it; a kernel without has nothing to turn off.
            let _ = sysctl("ipv6", "disable_ipv6");
            ip(&format!(
                "link set lo up\n\
                 addr del 127.0.0.1/8 dev lo\n\
                 addr add 127.0.0.1/32 dev lo\n\
                 addr add {address}/24 dev {DEVICE}\n\
                 link set {DEVICE} up\n"
            ))?;
            Ok(device)
        };
        self.within(furnish).map_err(other("a network namespace cannot be entered"))?
    }
}

fn sysctl(family: &str, name: &str) -> Result<(), OpenError> {
    std::fs::write(format!("/proc/sys/net/{family}/conf/{DEVICE}/{name}"), "1")
        .map_err(other("a network setting of a namespace cannot be made"))
}

/// Runs commands of iproute2 in the calling thread's namespace.
fn ip(commands: &str) -> Result<(), OpenError> {
    // An ordinary user's search path often ends before it.
    let program = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].into_iter().find(|p| Path::new(p).exists());
    let mut child = Command::new(program.unwrap_or("ip"))
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(OpenError::NoIp)?;
    let wrong = other("addresses cannot be set");
    if let Some(mut input) = child.stdin.take() {
        input.write_all(commands.as_bytes()).map_err(&wrong)?;
    }
    let output = child.wait_with_output().map_err(&wrong)?;
    if output.status.success() {
        return Ok(());
    }
    Err(wrong(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())))
}
