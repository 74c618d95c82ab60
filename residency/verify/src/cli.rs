//! What is asked on the command line, and the exit code.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::verdict::Report;
use crate::{checks, html, inventory, look, signed};

/// How long after the first look the second one begins.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What to verify, and what to make of it.
#[derive(Debug, clap::Args)]
#[command(
    about = "Check where a cluster's data rests, and take no server's word for it",
    after_help = "Reads the replicated log, every Postgres and every keyring, with roles that change nothing, and says of each\n\
                  check: pass, FAIL with evidence, or not covered and why. Evidence is ids and names, never a value.\n\
                  The exit code is 0 when everything passed (but for checks accepted as not covered), 1 when not, 2 when\n\
                  the question itself is wrong.\n\n\
                  Examples:\n  \
                  residency-verify .domicile/cluster.json                       a cluster of `domicile dev up`\n  \
                  residency-verify inventory.toml --html report.html\n  \
                  residency-verify inventory.toml --json report.json --sign-with auditor.key\n  \
                  residency-verify inventory.toml --accept ciphertext_binding --accept audit_log\n\n\
                  An inventory:\n  \
                  policy_key = \"64 hexadecimal digits\"\n  \
                  rules_file = \"us.toml\"\n  \
                  [[region]]\n  \
                  jurisdiction = \"US-TX\"\n  \
                  control_dir = \"copies/tx/control\"        # log.redb and snapshot\n  \
                  keyring_file = \"copies/tx/keyring.redb\"  # or a section [region.keyring] like [region.postgres]\n  \
                  archive = \"s3://tx-wal\"                   # only where the write-ahead log is archived\n  \
                  [region.postgres]\n  \
                  host = \"db.tx.example.com\"\n  \
                  port = 5432\n  \
                  dbname = \"domicile\"\n  \
                  user = \"domicile_auditor\"\n  \
                  password_file = \"tx.password\"\n  \
                  ca = \"tx-ca.pem\""
)]
pub struct Asked {
    /// What is there: a TOML file, or the cluster.json of a cluster on this machine.
    #[arg(value_name = "INVENTORY")]
    pub inventory: PathBuf,
    /// Write the report as JSON, signed, to this file.
    #[arg(long, value_name = "FILE", requires = "sign_with")]
    pub json: Option<PathBuf>,
    /// The Ed25519 key that signs it: a file of 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    pub sign_with: Option<PathBuf>,
    /// Write the report as a page for people to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// A check that need not be covered. It may not fail all the same, and the report says that it was accepted.
    #[arg(long, value_name = "CHECK")]
    pub accept: Vec<String>,
}

/// Does it. 0: everything passed; 1: not; 2: the inventory, the key or a file to write is wrong.
pub fn run(asked: &Asked) -> ExitCode {
    let said = inventory::read(&asked.inventory).and_then(|inventory| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let report = runtime.block_on(report(&inventory, &asked.accept))?;
        write(asked, &report)?;
        Ok(report)
    });
    match said {
        Ok(report) => ExitCode::from(u8::from(!report.passes())),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "residency-verify: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Looks, and looks again where somebody's work may have been seen half done.
async fn report(inventory: &inventory::Inventory, accepted: &[String]) -> Result<Report> {
    let mut seen = look::look(inventory).await;
    let mut verdicts = checks::all(&seen, inventory);
    if checks::look_again(&verdicts) {
        tokio::time::sleep(AGAIN_AFTER).await;
        seen = look::look(inventory).await;
        verdicts = checks::settled(&verdicts, checks::all(&seen, inventory));
    }
    for name in accepted {
        anyhow::ensure!(
            verdicts.iter().any(|one| one.check == name),
            "--accept {name}: there is no such check"
        );
    }
    #[expect(clippy::disallowed_methods, reason = "a report says when it was made; nothing is decided by it")]
    let now = jiff::Timestamp::now();
    Ok(Report {
        format: "domicile-residency-report/1",
        made_at: now.to_string(),
        cluster: seen.iter().find_map(|one| one.held.as_ref().ok()).map(|held| held.stamp.0.clone()),
        homes: inventory.regions.iter().map(|one| one.jurisdiction.code().to_owned()).collect(),
        directory_read_from: checks::directory_source(&seen),
        checks: verdicts,
        accepted: accepted.to_vec(),
    })
}

fn write(asked: &Asked, report: &Report) -> Result<()> {
    if let (Some(file), Some(key)) = (&asked.json, &asked.sign_with) {
        put(file, &signed::signed(&serde_json::to_string(report)?, key)?)?;
    }
    if let Some(file) = &asked.html {
        put(file, &html::page(report))?;
    }
    // Whoever closed the pipe has read enough.
    let _ = std::io::stdout().write_all(report.text().as_bytes());
    Ok(())
}

fn put(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
