//! Whether a folder may be, or is, a home: what is somebody else's stays as it is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, bail, ensure};

use super::layout::Home;

/// Whether a cluster lives in this folder.
pub fn is_cluster(home: &Home) -> bool {
    home.plan().exists()
}

/// What a home has in it, beside files whose names nobody else uses.
const OURS: [&str; 5] = ["ca", "cluster.json", "regions", "router", "rules"];

/// Whether a cluster may be started here. Other things may lie in the folder, such as a log of this very start; what
/// has one of our names and is not ours may not, and neither may the folder be another user's.
pub fn may_start(home: &Home) -> Result<()> {
    let root = home.root();
    match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) if !root.is_dir() => bail!("{} is not a folder", root.display()),
        Err(error) => {
            // A closed folder is most often another user's, which says more.
            is_ours(home)?;
            return Err(error).with_context(|| format!("cannot look into {}", root.display()));
        }
        Ok(_) if is_cluster(home) => {}
        Ok(entries) => {
            for entry in entries {
                let name = entry?.file_name().to_string_lossy().into_owned();
                ensure!(
                    !OURS.contains(&name.as_str()),
                    "{} is not a cluster's home, and {name} is in it: nothing was changed there",
                    root.display()
                );
            }
        }
    }
    is_ours(home)
}

/// Refuses a home of another user: what we wrote there, they could not read.
pub fn is_ours(home: &Home) -> Result<()> {
    let asked = if is_cluster(home) { home.plan() } else { home.root().to_owned() };
    let Ok(owner) = fs::metadata(asked).map(|m| m.uid()) else { return Ok(()) };
    let us = rustix::process::geteuid().as_raw();
    ensure!(
        owner == us,
        "{} belongs to {}, and this runs as {}: run it as that user",
        home.root().display(),
        name(owner),
        name(us)
    );
    Ok(())
}

fn name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("the user {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_one_of_our_names_and_is_no_home_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = |path: &std::path::Path| Home::at(Some(path)).expect("a home");
        assert!(may_start(&home(&dir.path().join("absent"))).is_ok());
        assert!(may_start(&home(dir.path())).is_ok());
        fs::write(dir.path().join("supervisor.pid"), "").expect("writes");
        assert!(may_start(&home(dir.path())).is_ok(), "a start that went wrong may be repeated");
        fs::write(dir.path().join("up.log"), "").expect("writes");
        assert!(may_start(&home(dir.path())).is_ok(), "a log of the start");
        fs::write(dir.path().join("router"), "somebody else's").expect("writes");
        let error = may_start(&home(dir.path())).expect_err("is refused").to_string();
        assert!(error.contains("router is in it"), "{error}");
        fs::write(dir.path().join("plan.json"), "{}").expect("writes");
        assert!(may_start(&home(dir.path())).is_ok(), "a cluster's home");
        assert!(may_start(&home(&dir.path().join("router"))).is_err(), "no folder");
    }

    #[test]
    fn a_home_of_another_user_is_refused_with_both_names() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        assert!(is_ours(&home).is_ok());
        // Only root can give a folder away.
        if std::os::unix::fs::chown(dir.path(), Some(64_999), None).is_err() {
            return;
        }
        let error = may_start(&home).expect_err("is refused").to_string();
        assert!(error.contains("belongs to the user 64999") && error.contains("runs as root"), "{error}");
    }
}
