//! `domicile cluster add`: a new member joins, catches up, and votes.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use residency_control::peer::{PeerId, PeerKind};
use residency_control::system::SystemClock;
use residency_control::{CAUGHT_UP_WITHIN, Member, MembershipError, Roster, RosterChange};
use residency_policy::{Clock as _, NodeId};
use tokio::time::Instant;

use super::issue::{self, Authority};
use super::{AddArgs, Through, member, unanswered, voters, worth};
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const PAUSE: Duration = Duration::from_millis(300);
const AGAIN: &str = "run the same command again: what is done stays done";

/// Adds a member and waits until it has caught up. Repeating it is safe.
pub(super) fn run(args: &AddArgs) -> Result<ExitCode, Stop> {
    let through = Through::open(&args.file.config)?;
    certificate(args, &through.config.peer.ca)?;
    lifecycle::runtime(1)?.block_on(add(&through, args)).map(|()| ExitCode::SUCCESS)
}

/// Makes or checks the new member's certificate.
fn certificate(args: &AddArgs, believed: &Path) -> Result<(), Stop> {
    let wrong = |error: anyhow::Error| {
        Stop::new(Cause::Tls, format!("the certificate of {}: {error:#}", args.id), "nothing was changed")
    };
    let now = SystemClock.now();
    if let (Some(dir), Some(certificate), Some(key)) = (&args.issue, &args.authority, &args.authority_key) {
        let authority = Authority { certificate, key };
        let issued = issue::issue(&authority, &args.id, dir, args.days, now).map_err(wrong)?;
        // One of another authority would be made in vain.
        issue::check(&issued.certificate, &args.id, believed, now).map_err(wrong)?;
        tell::line(&format!(
            "certificate {} and key {}, valid until {}: take both to the new machine, the key on a safe way",
            issued.certificate.display(),
            issued.key.display(),
            issued.until.strftime("%Y-%m-%d")
        ));
    }
    if let Some(certificate) = &args.certificate {
        issue::check(certificate, &args.id, believed, now).map_err(wrong)?;
        tell::line(&format!("{} is what {} needs", certificate.display(), args.id));
    }
    Ok(())
}

async fn add(through: &Through, args: &AddArgs) -> Result<(), Stop> {
    let (id, node) = (&args.id, args.id.node);
    let change = RosterChange::Add { node, member: Member::new(id.kind, args.at.clone()) };
    let index = match through.change(&change).await.map_err(|e| unanswered(&e))? {
        Ok(index) => index,
        Err(error) => return Err(refused(id, &error)),
    };
    tell::line(&format!("{id} is a member without a vote, as of log entry {index}"));

    let until = Instant::now() + Duration::from_secs(args.wait);
    let roster = through.roster().await.map_err(|e| unanswered(&e))?;
    if member(&roster, node).is_none_or(|line| line.report.is_none()) {
        tell::line(&how_to_start(&roster, id));
    }
    catch_up(through, node, until).await?;
    if args.learner || matches!(id.kind, PeerKind::Router(_)) {
        tell::line(&format!("{id} has caught up and stays without a vote"));
        return Ok(());
    }
    promote(through, id, until).await?;
    if let Ok(roster) = through.roster().await {
        tell::line(&worth(voters(&roster)));
    }
    Ok(())
}

/// What the new member's own configuration must say of the others.
fn how_to_start(roster: &Roster, id: &PeerId) -> String {
    let mut lines = vec![format!("start it now; its configuration names node {} and these members:", id.node)];
    for line in &roster.members {
        lines.push(match id.kind {
            PeerKind::Region(_) => format!(
                "  [[control.members]]\n  id = \"{}\"\n  at = \"{}\"\n  votes = {}\n",
                line.identity, line.at, line.voter
            ),
            PeerKind::Router(_) if !line.voter => continue,
            PeerKind::Router(_) => format!("  [[control.peers]] for {} at {}", line.identity, line.at),
        });
    }
    lines.join("\n")
}

/// Shows how far the new member has come until it has caught up.
async fn catch_up(through: &Through, node: NodeId, until: Instant) -> Result<(), Stop> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style());
    let mut last = "it was not seen yet".to_owned();
    while Instant::now() < until {
        match through.roster().await {
            Err(error) => last = format!("{error:#}"),
            Ok(roster) => match member(&roster, node) {
                None => return Err(refused_text(node, "it was removed meanwhile")),
                Some(line) => match &line.report {
                    None => {
                        last = line.silent_because.clone().unwrap_or_default();
                        bar.set_message(format!("waiting for node {node} to answer at {}", line.at));
                        bar.tick();
                    }
                    Some(report) => {
                        last = format!("it has {} of {} log entries", report.applied, roster.last_log);
                        bar.set_length(roster.last_log.max(1));
                        bar.set_position(report.applied);
                        bar.set_message(format!("node {node} catches up"));
                        if report.applied > 0
                            && roster.last_log.saturating_sub(report.applied) <= CAUGHT_UP_WITHIN
                        {
                            bar.finish_and_clear();
                            return Ok(());
                        }
                    }
                },
            },
        }
        tokio::time::sleep(PAUSE).await;
    }
    bar.finish_and_clear();
    Err(Stop::new(
        Cause::Other,
        format!("node {node} has not caught up in time: {last}; it stays a member without a vote"),
        format!("see that it runs and that the others reach it, then {AGAIN}"),
    ))
}

fn style() -> ProgressStyle {
    // The template is a constant, and a test draws it.
    ProgressStyle::with_template("{msg} [{bar:32}] {pos} of {len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

async fn promote(through: &Through, id: &PeerId, until: Instant) -> Result<(), Stop> {
    loop {
        match through.change(&RosterChange::Promote(id.node)).await.map_err(|e| unanswered(&e))? {
            Ok(index) => {
                tell::line(&format!("{id} votes, as of log entry {index}"));
                return Ok(());
            }
            // It falls back and catches up again under load; its disk is noted within a second.
            Err(MembershipError::Behind { .. } | MembershipError::Silent(_)) if Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(refused(id, &error)),
        }
    }
}

fn refused(id: &PeerId, error: &MembershipError) -> Stop {
    let mend = match error {
        MembershipError::IdUsed(_) => {
            "take an id that `domicile cluster status` shows neither as there nor as removed"
        }
        MembershipError::OtherMember(_) => "`domicile cluster status` shows who has that id; take another",
        _ => AGAIN,
    };
    Stop::new(Cause::Other, format!("{id} did not join: {error}"), mend)
}

fn refused_text(node: NodeId, why: &str) -> Stop {
    Stop::new(Cause::Other, format!("node {node} did not join: {why}"), "take another id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_drawn_as_it_was_meant() {
        assert!(ProgressStyle::with_template("{msg} [{bar:32}] {pos} of {len}").is_ok());
    }
}
