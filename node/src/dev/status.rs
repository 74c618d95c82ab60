//! `domicile dev status`: what runs, where and how well.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use links::steer;

use super::cluster_json::{Cluster, RegionEntry, is_ours};
use super::layout::Home;
use super::plan::{Plan, PlannedRegion};
use super::visit::Visitor;
use super::{govern, hold, inspect, keep};
use crate::cli::HomeFolder;
use crate::exit::{Cause, Stop};
use crate::operate::client::Member;
use crate::{lifecycle, tell};

const PATIENTS: &str = "SELECT count(*) FROM patients WHERE deleted_at IS NULL";
const WITHIN: Duration = Duration::from_secs(4);

/// One line of the table.
struct Row {
    name: String,
    url: String,
    pid: Option<u32>,
    /// Why it is not healthy; `None` when it is.
    why_not: Option<String>,
    control: String,
    view: String,
    patients: String,
    postgres: String,
}

/// Shows the table; the exit code says whether everything is up.
pub fn run(folder: &HomeFolder) -> Result<ExitCode, Stop> {
    let stop = |e: anyhow::Error| Stop::new(Cause::Other, format!("{e:#}"), "`./dev up` starts a cluster");
    let home = Home::at(folder.home.as_deref()).map_err(stop)?;
    lifecycle::runtime(2)?.block_on(show(&home)).map_err(stop)
}

async fn show(home: &Home) -> Result<ExitCode> {
    let supervisor = hold::holder(home);
    let (Some(cluster), Some(plan)) = (Cluster::read(home)?, keep::read_json::<Plan>(&home.plan())?) else {
        tell::line(&format!("there is no cluster in {}", home.root().display()));
        return Ok(ExitCode::FAILURE);
    };
    let Some(supervisor) = supervisor else {
        tell::line(&format!(
            "nothing runs in {}; `./dev up` starts it again with its data",
            home.root().display()
        ));
        return Ok(ExitCode::FAILURE);
    };
    let visitor = Visitor::trusting(&home.ca_cert())?;
    let mut rows = join_all(
        cluster
            .regions
            .iter()
            .zip(&plan.regions)
            .map(|(entry, planned)| region(home, &visitor, entry, planned)),
    )
    .await;
    rows.push(Row {
        name: "router".into(),
        url: cluster.router.url.clone(),
        pid: cluster.router.pid,
        why_not: why_not(&visitor, &cluster.router.url).await,
        control: "learner".into(),
        view: String::new(),
        patients: String::new(),
        postgres: String::new(),
    });
    let header = ["REGION", "ENDPOINT", "PID", "HEALTHY", "CONTROL", "VIEW AGE", "PATIENTS", "POSTGRES"];
    tell::line(&table(&header, &rows));
    for (row, why) in rows.iter().filter_map(|row| row.why_not.as_ref().map(|why| (row, why))) {
        tell::line(&format!("{} is not healthy: {why}", row.name));
    }
    let phase = hold::phase(home).map(|phase| format!("{phase:?}").to_lowercase()).unwrap_or_default();
    tell::line(&format!("supervisor {supervisor} ({phase}), home {}", home.root().display()));
    if let Ok(Ok(links)) = steer::order(home.root(), &steer::Order::Show {}) {
        let cut = links.iter().filter(|link| link.shape.cut).count();
        tell::line(&format!("emulated links, {cut} of {} cut: `./dev link` shows them", links.len()));
    }
    let all_well = rows.iter().all(|row| row.why_not.is_none());
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn region(home: &Home, visitor: &Visitor, entry: &RegionEntry, planned: &PlannedRegion) -> Row {
    let (mut why_not, member, patients) = tokio::join!(
        why_not(visitor, &entry.url),
        member(home, planned),
        inspect::count(&entry.postgres, PATIENTS, WITHIN)
    );
    let folders = [entry.data_dir.as_path()];
    let postgres_runs = entry.postgres.pid.is_some_and(|pid| is_ours(pid, &folders));
    if patients.is_err() && postgres_runs {
        why_not.get_or_insert_with(|| "its Postgres lets nobody in".to_owned());
    }
    if !postgres_runs {
        why_not.get_or_insert_with(|| "its Postgres does not run".to_owned());
    }
    Row {
        name: entry.name.to_string(),
        url: entry.url.clone(),
        pid: entry.pid,
        why_not,
        control: member.as_ref().map_or("?".into(), |m| m.standing.clone()),
        view: member.ok().and_then(|m| m.view_age_ms).map_or("?".into(), |ms| format!("{ms} ms")),
        patients: patients.map_or("?".into(), |n| n.to_string()),
        postgres: format!("127.0.0.1:{}{}", entry.postgres.port, if postgres_runs { "" } else { " (down)" }),
    }
}

/// Why it is not ready, in its own words where it has any.
async fn why_not(visitor: &Visitor, url: &str) -> Option<String> {
    match visitor.get(&format!("{url}/readyz"), WITHIN).await {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(said(&answer.body).unwrap_or_else(|| format!("it answers {}", answer.status))),
        Err(error) => Some(format!("it does not answer ({})", error.root_cause())),
    }
}

/// What a page of readiness says is wrong: a node names each part, the router has one reason.
fn said(body: &[u8]) -> Option<String> {
    let page: serde_json::Value = serde_json::from_slice(body).ok()?;
    let parts = page.as_object()?;
    let wrong = parts.iter().filter_map(|(part, state)| Some(format!("{part}: {}", state["wrong"].as_str()?)));
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() {
        let reason = ["reason", "detail"].iter().find_map(|key| page[*key].as_str());
        return reason.map(str::to_owned);
    }
    Some(wrong.join("; "))
}

async fn member(home: &Home, planned: &PlannedRegion) -> Result<Member> {
    govern::operator(home, planned)?.status(WITHIN).await
}

fn table(header: &[&str; 8], rows: &[Row]) -> String {
    let mut lines: Vec<[String; 8]> = vec![header.map(str::to_owned)];
    for row in rows {
        lines.push([
            row.name.clone(),
            row.url.clone(),
            row.pid.map_or("-".into(), |pid| pid.to_string()),
            if row.why_not.is_none() { "yes" } else { "NO" }.to_owned(),
            row.control.clone(),
            row.view.clone(),
            row.patients.clone(),
            row.postgres.clone(),
        ]);
    }
    let width = |i: usize| lines.iter().map(|line| line[i].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let show = |line: &[String; 8]| {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(show).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_the_page_says() {
        let page = br#"{"status":"not-ready","database":{"ok":false,"wrong":"it is away"},"keys":{"ok":true}}"#;
        assert_eq!(said(page).as_deref(), Some("database: it is away"));
        assert_eq!(said(br#"{"detail":"the view is old"}"#).as_deref(), Some("the view is old"));
        assert_eq!(said(b"<html>"), None);
    }

    #[test]
    fn the_table_lines_up_and_shouts_what_is_down() {
        let row = |name: &str, healthy: bool| Row {
            name: name.into(),
            url: "https://localhost:1".into(),
            pid: Some(1),
            why_not: (!healthy).then(|| "it is away".to_owned()),
            control: "leader".into(),
            view: "3 ms".into(),
            patients: "100".into(),
            postgres: String::new(),
        };
        let text = table(&["A", "B", "C", "D", "E", "F", "G", "H"], &[row("ca", true), row("tx", false)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].find('B'), lines[1].find("https"));
        assert!(lines[2].contains("NO"));
    }
}
