//! A process that holds keys and PHI must not leave its memory behind: not as a core file, and not to a debugger of
//! another process of its user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use crate::exit::{Cause, Stop};

/// From now on this process is never dumped. The limit of core files binds those written to a folder; a core that is
/// piped to a collector ignores it, so that the process is marked as well.
pub fn never_dump() -> Result<(), Stop> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|e| {
            Stop::new(
                Cause::Other,
                format!("core dumps cannot be switched off: {e}"),
                "see the sandbox: setrlimit and prctl(PR_SET_DUMPABLE) must be allowed",
            )
        })
}

/// Whether programs started from here may leave core files.
pub fn others_dump() -> bool {
    getrlimit(Resource::Core).current != Some(0)
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    const ROLE: &str = "DOMICILE_TEST_NEVER_DUMPS";

    /// Played by a process of its own: what is switched off stays so for the whole process.
    #[test]
    fn a_process_that_is_never_dumped() {
        if std::env::var_os(ROLE).is_some() {
            assert_eq!(dumpable_behavior().expect("asks"), DumpableBehavior::Dumpable, "the control");
            never_dump().expect("switches off");
            assert_eq!(dumpable_behavior().expect("asks"), DumpableBehavior::NotDumpable);
            assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
            assert!(!others_dump());
            let own = format!("/proc/{}", std::process::id());
            for name in ["cmdline", "status", "stat"] {
                // What `domicile dev` and the tests look at.
                std::fs::read(format!("{own}/{name}")).expect("can still be read");
            }
        }
    }

    #[test]
    fn a_node_is_never_dumped() {
        let ended = std::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "hardening::tests::a_process_that_is_never_dumped"])
            .env(ROLE, "1")
            .output()
            .expect("runs");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "it was played");
    }
}
