//! Are the certificates this node's, valid, and for the names it is reached by?

use std::path::Path;

use jiff::SignedDuration;
use residency_policy::Clock;

use super::Report;
use crate::certificate::{self, Facts};
use crate::config::{Config, ControlSection};
use crate::wiring::control;

const SOON_DAYS: i64 = 14;

pub(super) fn look(config: &Config, clock: &dyn Clock, report: &mut Report) {
    let name = "public certificate";
    if let Some(facts) = valid(name, &config.tls.certificate, Some(&config.tls.key), clock, report) {
        let host = config.listen.advertise_public.host.as_str();
        let by_address = host.parse().is_ok_and(|ip| facts.ips.contains(&ip));
        if by_address || facts.dns.iter().any(|pattern| covers(pattern, host)) {
            report.ok(name, format!("stands for {host}, valid until {}", facts.until));
        } else {
            report.fail(
                name,
                format!("does not stand for {host}, which [listen] advertise_public tells callers"),
                "have it issued for that name, or correct advertise_public",
            );
        }
    }
    let name = "peer certificate";
    if let Some(facts) = valid(name, &config.peer.certificate, Some(&config.peer.key), clock, report) {
        let own = ControlSection::own_id(&config.region).to_string();
        match control::peer_tls(config) {
            Ok(_) => report.ok(name, format!("is {own}, valid until {}", facts.until)),
            Err(stop) => report.stop(name, stop),
        }
    }
    if let Some(facts) = valid("peers' authority", &config.peer.ca, None, clock, report) {
        report.ok("peers' authority", format!("valid until {}", facts.until));
    }
    if let Some(facts) = valid("database's authority", &config.database.ca, None, clock, report) {
        report.ok("database's authority", format!("valid until {}", facts.until));
    }
}

/// One label for a star, as in RFC 6125 section 6.4.3.
fn covers(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let parent = pattern.strip_prefix("*.").zip(host.split_once('.'));
    parent.is_some_and(|(parent, (_, rest))| parent.eq_ignore_ascii_case(rest))
}

fn valid(
    name: &'static str,
    path: &Path,
    key: Option<&Path>,
    clock: &dyn Clock,
    report: &mut Report,
) -> Option<Facts> {
    let facts = match certificate::read(path) {
        Ok(facts) => facts,
        Err(error) => {
            report.fail(name, error.to_string(), "name a PEM file that the node's user may read");
            return None;
        }
    };
    if let Some(Err(error)) = key.map(|key| certificate::is_pair(path, key)) {
        report.fail(name, error.to_string(), "install the key that belongs to the certificate");
        return None;
    }
    let now = clock.now();
    let (from, until) = (facts.from, facts.until);
    if now < from || now > until {
        report.fail(
            name,
            format!("{} holds from {from} until {until}, and now it is {now}", path.display()),
            "install a new one; a node reads it without a restart. Or set the machine's clock",
        );
        return None;
    }
    if until.duration_since(now) < SignedDuration::from_hours(24 * SOON_DAYS) {
        report.warn(name, format!("{} ends soon, on {until}", path.display()), "install a new one in time");
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("tx.example.com", "TX.example.com"));
        assert!(covers("*.example.com", "tx.example.com"));
        assert!(!covers("*.example.com", "a.tx.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(!covers("ca.example.com", "tx.example.com"));
    }
}
