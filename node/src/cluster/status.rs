//! `domicile cluster status`: every member, and what is wrong.

use std::process::ExitCode;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use residency_control::system::SystemClock;
use residency_control::{CAUGHT_UP_WITHIN, MemberLine, Roster, Standing};
use residency_policy::{Clock as _, DiskId, NodeId};
use serde::Serialize;
use tokio::time::Instant;

use super::table::table;
use super::{StatusArgs, Through, may_fail, unanswered, voters};
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

/// How often one looks again while waiting.
const PAUSE: Duration = Duration::from_millis(300);
/// A certificate that ends sooner than this is named. Renewed in time, it is taken without a restart.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One member as it is shown.
#[derive(Debug, Clone, Serialize)]
struct Shown {
    node: NodeId,
    identity: String,
    at: String,
    role: &'static str,
    votes: bool,
    term: Option<u64>,
    applied: Option<u64>,
    lag: Option<u64>,
    view_age_ms: Option<u64>,
    certificate_until: Option<Timestamp>,
    disk: Option<DiskId>,
    silent_because: Option<String>,
}

/// All of it as it is shown.
#[derive(Debug, Clone, Serialize)]
struct View {
    asked: NodeId,
    leader: Option<NodeId>,
    last_log: u64,
    voters: usize,
    may_fail: usize,
    members: Vec<Shown>,
    gone: Vec<NodeId>,
    well: bool,
    wrong: Vec<String>,
}

/// Shows every member.
pub(super) fn run(args: &StatusArgs) -> Result<ExitCode, Stop> {
    let through = Through::open(&args.file.config)?;
    let until = Duration::from_secs(args.wait);
    let view = lifecycle::runtime(1)?.block_on(look(&through, until)).map_err(|e| unanswered(&e))?;
    if args.json {
        let text = serde_json::to_string_pretty(&view)
            .map_err(|e| Stop::new(Cause::Other, e.to_string(), "this is a defect"))?;
        tell::line(&text);
    } else {
        tell::line(&view.text());
    }
    Ok(if view.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks until all is well or the time is over.
async fn look(through: &Through, within: Duration) -> anyhow::Result<View> {
    let until = Instant::now() + within;
    loop {
        let roster = through.roster().await;
        let late = Instant::now() >= until;
        match roster.map(|roster| view(&roster, SystemClock.now())) {
            Ok(view) if view.well || late => return Ok(view),
            Err(error) if late => return Err(error),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn view(roster: &Roster, now: Timestamp) -> View {
    let members: Vec<Shown> = roster.members.iter().map(|line| shown(line, roster.last_log)).collect();
    let mut wrong = Vec::new();
    if roster.leader.is_none() {
        wrong.push("nobody leads: changes of the directory are refused until a quorum agrees".to_owned());
    }
    for member in &members {
        wrong.extend(complaints(member, roster, now));
    }
    let voters = voters(roster);
    View {
        asked: roster.asked,
        leader: roster.leader,
        last_log: roster.last_log,
        voters,
        may_fail: may_fail(voters),
        members,
        gone: roster.gone.clone(),
        // What ends soon is said in time, and is well until then.
        well: !wrong.iter().any(|said| !said.ends_with("; renew it in time")),
        wrong,
    }
}

fn shown(line: &MemberLine, last_log: u64) -> Shown {
    let report = line.report.as_ref();
    let role = match report.map(|report| report.standing) {
        None => "away",
        Some(Standing::Leader) => "leader",
        Some(Standing::Candidate) => "candidate",
        Some(Standing::Stopped) => "stopped",
        Some(Standing::Follower | Standing::Learner) if line.voter => "voter",
        Some(Standing::Follower | Standing::Learner) => "learner",
    };
    Shown {
        node: line.node,
        identity: line.identity.clone(),
        at: line.at.clone(),
        role,
        votes: line.voter,
        term: report.map(|report| report.term),
        applied: report.map(|report| report.applied),
        lag: report.map(|report| last_log.saturating_sub(report.applied)),
        view_age_ms: report.and_then(|report| report.view_age_ms),
        certificate_until: report.and_then(|report| Timestamp::from_second(report.certificate_until).ok()),
        disk: line.disk,
        silent_because: line.silent_because.clone(),
    }
}

fn complaints(member: &Shown, roster: &Roster, now: Timestamp) -> Vec<String> {
    let node = member.node;
    let mut wrong = Vec::new();
    if let Some(why) = &member.silent_because {
        wrong.push(format!("node {node} does not answer: {why}"));
        return wrong;
    }
    if member.role == "stopped" {
        wrong.push(format!("node {node} takes no part any more; its log says why"));
    }
    let follows = roster.members.iter().find(|line| line.node == node).and_then(|line| line.report.as_ref());
    if follows.is_some_and(|report| roster.leader.is_some() && report.leader != roster.leader) {
        wrong.push(format!("node {node} does not follow the leader"));
    }
    if let Some(lag) = member.lag.filter(|lag| *lag > CAUGHT_UP_WITHIN) {
        wrong.push(format!("node {node} is {lag} log entries behind"));
    }
    if let Some(until) = member.certificate_until {
        let left = until.duration_since(now);
        if left.is_negative() {
            wrong.push(format!("the certificate of node {node} ended at {until}: nobody lets it in any more"));
        } else if left < SOON {
            wrong.push(format!(
                "the certificate of node {node} ends in {} days; renew it in time",
                left.as_hours() / 24
            ));
        }
    }
    wrong
}

impl View {
    fn text(&self) -> String {
        let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
        let rows: Vec<[String; 9]> = self
            .members
            .iter()
            .map(|member| {
                [
                    member.node.to_string(),
                    member.identity.trim_start_matches("spiffe://domicile/").to_owned(),
                    member.role.to_owned(),
                    number(member.term),
                    number(member.applied),
                    number(member.lag),
                    member.view_age_ms.map_or("-".to_owned(), |ms| format!("{ms} ms")),
                    member
                        .certificate_until
                        .map_or("-".to_owned(), |until| until.strftime("%Y-%m-%d").to_string()),
                    member.at.clone(),
                ]
            })
            .collect();
        let header =
            ["NODE", "IDENTITY", "ROLE", "TERM", "APPLIED", "LAG", "VIEW AGE", "CERTIFICATE UNTIL", "AT"];
        let mut lines = vec![table(header, &rows)];
        let spare = self.may_fail;
        lines.push(format!("{} vote, {spare} of them may fail; as node {} sees it", self.voters, self.asked));
        if !self.gone.is_empty() {
            let gone: Vec<String> = self.gone.iter().map(ToString::to_string).collect();
            lines.push(format!("removed for good: {}", gone.join(", ")));
        }
        lines.extend(self.wrong.iter().cloned());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use residency_control::MemberReport;

    use super::*;

    fn line(node: u64, report: Option<MemberReport>) -> MemberLine {
        let silent_because = report.is_none().then(|| "no answer in time".to_owned());
        let identity = format!("spiffe://domicile/region/us-tx/node/{node}");
        let at = format!("tx{node}:7443");
        MemberLine { node: NodeId(node), identity, at, voter: node != 3, disk: None, report, silent_because }
    }

    fn report(node: u64, applied: u64, until: i64) -> MemberReport {
        MemberReport {
            node: NodeId(node),
            standing: if node == 1 { Standing::Leader } else { Standing::Follower },
            term: 4,
            leader: Some(NodeId(1)),
            applied,
            last_log: applied,
            view_age_ms: Some(12),
            certificate_until: until,
        }
    }

    fn roster(members: Vec<MemberLine>) -> Roster {
        Roster { asked: NodeId(1), leader: Some(NodeId(1)), last_log: 1_000, members, gone: vec![NodeId(9)] }
    }

    const DAY: i64 = 86_400;

    #[test]
    fn what_is_well_is_shown_in_a_table_and_nothing_is_wrong() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let until = now.as_second() + 60 * DAY;
        let all = vec![line(1, Some(report(1, 1_000, until))), line(3, Some(report(3, 998, until)))];
        let view = view(&roster(all), now);
        assert!(view.well, "{:?}", view.wrong);
        let text = view.text();
        assert!(
            text.contains("region/us-tx/node/1") && text.contains("leader") && text.contains("learner"),
            "{text}"
        );
        assert!(text.contains("removed for good: 9"), "{text}");
        let json = serde_json::to_value(&view).expect("JSON");
        assert_eq!((json["members"][1]["lag"].as_u64(), json["voters"].as_u64()), (Some(2), Some(1)), "{json}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let of = |member: MemberLine| view(&roster(vec![member]), now);
        let away = of(line(2, None));
        assert!(!away.well && away.wrong[0].contains("no answer in time"), "{:?}", away.wrong);
        let behind = of(line(2, Some(report(2, 500, now.as_second() + 60 * DAY))));
        assert!(!behind.well && behind.wrong[0].contains("500 log entries behind"), "{:?}", behind.wrong);
        let ended = of(line(2, Some(report(2, 1_000, now.as_second() - DAY))));
        assert!(!ended.well && ended.wrong[0].contains("ended at"), "{:?}", ended.wrong);
        let soon = of(line(2, Some(report(2, 1_000, now.as_second() + 5 * DAY))));
        assert!(soon.well && soon.wrong[0].contains("ends in 5 days"), "{:?}", soon.wrong);
    }
}
