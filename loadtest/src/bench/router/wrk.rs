//! The client of these benchmarks: Debian's `wrk`, the same for everybody, because it is lighter than what it loads.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::super::class::Core;
use super::super::cpu::Meter;
use super::super::drive::precise;
use super::super::series::{self, Sample};
use super::super::{Options, directory, peers};

/// So many patients are asked for before they come again: more than fit in a core's own caches.
const ASKED: u64 = 100_000;

/// What wrk is told.
pub(super) struct Wrk {
    script: PathBuf,
    turns: std::cell::Cell<u64>,
}

impl Wrk {
    /// Requests of this key for patients of a directory of so many.
    pub(super) fn new(folder: &Path, api_key: &str, patients: u64) -> anyhow::Result<Self> {
        let (ids, script) = (folder.join("ids"), folder.join("wrk.lua"));
        let mut text = String::new();
        for number in 0..ASKED.min(patients) {
            // Neighbours in time are none in the table.
            let _ = writeln!(text, "{}", directory::id(number.wrapping_mul(7_919) % patients));
        }
        fs::write(&ids, text).with_context(|| ids.display().to_string())?;
        fs::write(&script, lua(&ids, api_key)).with_context(|| script.display().to_string())?;
        Ok(Self { script, turns: std::cell::Cell::new(0) })
    }

    /// One turn on so many connections, with the processor time of the process that is measured. Its handshakes are
    /// in it: one for each connection.
    pub(super) fn turn(
        &self,
        options: &Options,
        (port, pid): (u16, u32),
        connections: usize,
        turn: Duration,
    ) -> anyhow::Result<Sample> {
        let from = self.turns.replace(self.turns.get() + 1) * 12_347;
        let meter = Meter::start(&[pid]);
        // wrk counts in whole seconds.
        let seconds = turn.as_secs().max(1);
        let output = options
            .class
            .command_on(Core::Rest, peers::find("wrk")?)
            .args(["--threads", "1", "--timeout", "10s"])
            .args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
            .arg("--script")
            .arg(&self.script)
            .args([&format!("https://127.0.0.1:{port}/"), "--", &from.to_string()])
            .stdin(Stdio::null())
            .output()
            .context("wrk")?;
        let used = meter.read();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "wrk: {}\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        read(&said, used)
    }
}

fn lua(ids: &Path, api_key: &str) -> String {
    format!(
        r#"local requests, at = {{}}, 0
function init(args)
  local rest = " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api_key}\r\nPurpose-Of-Use: TREAT\r\n\r\n"
  for id in io.lines("{ids}") do requests[#requests + 1] = "GET /v1/patients/" .. id .. rest end
  at = tonumber(args[1]) % #requests
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  local bad = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("FIGURES %d %d %d %d %d %d\n", summary.requests, summary.duration, bad,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"#,
        ids = ids.display()
    )
}

/// What the script wrote at its end: requests, microseconds, errors, and three percentiles in microseconds.
fn read(said: &str, used: Duration) -> anyhow::Result<Sample> {
    let line = said.lines().find_map(|line| line.strip_prefix("FIGURES "));
    let figures: Vec<u64> =
        line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [requests, micros, bad, p50, p95, p99] = figures[..] else {
        anyhow::bail!("wrk gave no figures:\n{said}");
    };
    ensure!(bad == 0, "{bad} requests were refused or not answered:\n{said}");
    ensure!(requests > 0 && micros > 0, "nothing was answered:\n{said}");
    Ok(Sample::new()
        .with(series::RATE, precise(requests) * 1e6 / precise(micros))
        .with(series::CPU, used.as_secs_f64() * 1e6 / precise(requests))
        .with(series::P50, precise(p50))
        .with(series::P95, precise(p95))
        .with(series::P99, precise(p99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_errors_are_no_measurement() {
        let said = "Running 1s test\nFIGURES 40000 1000000 0 1500 3000 9000\n";
        let sample = read(said, Duration::from_millis(800)).expect("figures");
        assert_eq!(sample.get(series::RATE), Some(40_000.0));
        assert_eq!(sample.get(series::CPU), Some(20.0));
        assert_eq!(sample.get(series::P99), Some(9_000.0));
        assert!(read("FIGURES 40000 1000000 1 1500 3000 9000\n", Duration::ZERO).is_err());
        assert!(read("nothing", Duration::ZERO).is_err());
    }
}
