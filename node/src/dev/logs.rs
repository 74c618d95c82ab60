//! `domicile dev logs`: the log of a node, a database, the router or the supervisor.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use residency_policy::{Jurisdiction, Region};

use super::admit;
use super::layout::Home;
use crate::cli::HomeFolder;
use crate::exit::{Cause, Stop};
use crate::tell;

const EVERY: Duration = Duration::from_millis(200);

/// What to show.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Go on as lines arrive.
    pub follow: bool,
    /// The database's log instead of the node's.
    pub postgres: bool,
    /// How many lines to begin with.
    pub lines: usize,
}

/// Shows a log.
pub fn run(folder: &HomeFolder, of: &str, wish: &Wish) -> Result<ExitCode, Stop> {
    let home = Home::at(folder.home.as_deref())
        .map_err(|e| Stop::new(Cause::Other, format!("{e:#}"), "give another `--home`"))?;
    let path = find(&home, of, wish.postgres)?;
    if !admit::is_cluster(&home) && !home.supervisor_log().exists() {
        let what = format!("there is no cluster in {}", home.root().display());
        return Err(Stop::new(Cause::Other, what, "`./dev up` makes one; `--home` names another folder"));
    }
    let stop = |e: std::io::Error| {
        Stop::new(Cause::Other, format!("cannot read {}: {e}", path.display()), "`./dev up` makes it")
    };
    let mut file = File::open(&path).map_err(stop)?;
    let mut last = VecDeque::new();
    for line in BufReader::new(&mut file).lines() {
        last.push_back(line.map_err(stop)?);
        if last.len() > wish.lines {
            last.pop_front();
        }
    }
    for line in &last {
        tell::line(line);
    }
    if !wish.follow {
        return Ok(ExitCode::SUCCESS);
    }
    // Until Ctrl-C.
    loop {
        std::thread::sleep(EVERY);
        let mut new = String::new();
        file.read_to_string(&mut new).map_err(stop)?;
        new.lines().for_each(tell::line);
        // A log that was made anew is read from its beginning.
        let at = file.stream_position().map_err(stop)?;
        if file.metadata().map_err(stop)?.len() < at {
            file.seek(SeekFrom::Start(0)).map_err(stop)?;
        }
    }
}

fn find(home: &Home, of: &str, postgres: bool) -> Result<PathBuf, Stop> {
    match of {
        "router" | "supervisor" if postgres => Err(Stop::new(
            Cause::Other,
            format!("the {of} has no database"),
            "leave `--postgres` out, or name a state: ./dev logs tx --postgres",
        )),
        "router" => Ok(home.router_log()),
        "supervisor" => Ok(home.supervisor_log()),
        state => {
            let upper = state.to_ascii_uppercase();
            let jurisdiction = Jurisdiction::from_postal(&upper).or_else(|_| upper.parse()).map_err(|_| {
                let what = format!("`{of}` is neither a state, nor `router`, nor `supervisor`");
                Stop::new(Cause::Other, what, "for example: ./dev logs tx")
            })?;
            let region = home.region(Region(jurisdiction));
            Ok(if postgres { region.postgres_log() } else { region.node_log() })
        }
    }
}

/// The last lines of a file, for a message that says why something did not start.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_in_any_spelling_is_found_and_another_word_is_not() {
        let home = Home::at(Some(Path::new("/h"))).expect("a home");
        for name in ["tx", "TX", "us-tx"] {
            assert!(find(&home, name, false).is_ok_and(|p| p.ends_with("regions/tx/node.log")));
        }
        assert!(find(&home, "tx", true).is_ok_and(|p| p.ends_with("regions/tx/postgres.log")));
        assert!(find(&home, "router", false).is_ok_and(|p| p.ends_with("router/router.log")));
        assert!(find(&home, "nowhere", false).is_err());
        assert!(find(&home, "router", true).is_err() && find(&home, "supervisor", true).is_err());
    }

    #[test]
    fn a_tail_is_the_end_of_a_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        assert_eq!(tail(&path, 2), "");
        std::fs::write(&path, "a\nb\nc\n").expect("writes");
        assert_eq!(tail(&path, 2), "b\nc");
    }
}
