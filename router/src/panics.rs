//! What a panic says: where it was, and never what was in hand. The text of a panic may quote a value, such as the
//! `Debug` of an error or the string that an index fell inside of, and values are PHI until proven otherwise.

use std::io::Write as _;
use std::panic::PanicHookInfo;

/// From now on a panic anywhere in the process leaves one line with its place. First thing in a program.
pub fn say_only_where() {
    std::panic::set_hook(Box::new(say));
}

fn say(panic: &PanicHookInfo<'_>) {
    let location =
        panic.location().map_or_else(|| "unknown".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::dispatcher::has_been_set() {
        tracing::error!(location, thread, "panic");
    } else {
        // If nobody listens any more, there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(line(&location, thread).as_bytes());
    }
}

/// The line before the log is up, in the log's own form but for the time.
fn line(location: &str, thread: &str) -> String {
    let line = serde_json::json!({
        "level": "ERROR", "target": "panic", "message": "panic", "location": location, "thread": thread,
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "Ximena-Canary-1948-02-30";
    const ROLE: &str = "DOMICILE_TEST_PANICS_ON_PURPOSE";

    /// Played by a process of its own: a hook is the whole process's.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test process is told its role by its environment")]
    fn a_process_that_panics() {
        match std::env::var(ROLE).as_deref() {
            Ok("said as always") => {}
            Ok("before the log") => say_only_where(),
            Ok("with the log") => {
                say_only_where();
                let clock = std::sync::Arc::new(residency_control::system::SystemClock);
                let level = tracing_subscriber::filter::LevelFilter::INFO;
                let _flush = crate::telemetry::start(level, clock, None, std::io::stdout()).expect("starts");
                let ended = std::thread::spawn(|| panic!("{CANARY}")).join();
                assert!(ended.is_err(), "it has panicked");
                return;
            }
            _ => return,
        }
        panic!("{CANARY}");
    }

    fn said(role: &str) -> String {
        let output = std::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "panics::tests::a_process_that_panics", "--nocapture"])
            .env(ROLE, role)
            .output()
            .expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    #[test]
    fn a_panic_says_where_and_never_what() {
        for role in ["before the log", "with the log"] {
            let said = said(role);
            let line =
                said.lines().find(|line| line.contains("\"location\"")).unwrap_or_else(|| panic!("{said}"));
            let line: serde_json::Value =
                serde_json::from_str(&line[line.find('{').unwrap_or(0)..]).expect("is JSON");
            assert!(line["location"].as_str().is_some_and(|at| at.contains("panics.rs:")), "{line}");
            assert_eq!(line["level"], "ERROR");
            assert!(!said.contains(CANARY), "{said}");
        }
        assert!(said("said as always").contains(CANARY), "the control: without the hook it is said");
    }

    #[test]
    fn a_line_is_json_whatever_the_thread_is_called() {
        let line: serde_json::Value = serde_json::from_str(&line("a.rs:1", "a \"b\"\n")).expect("is JSON");
        assert_eq!(line["thread"], "a \"b\"\n");
    }
}
