//! The certificates that a process shows, while it runs: read again when their files change, and told of when one ends
//! soon or a new one was refused. One that ends unnoticed takes a region away.
//!
//! A new file is used from the next connection on; connections that stand go on. A file that is not usable, or does not
//! hold now, changes nothing: that is logged, counted, and said by `/readyz`.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use residency_control::peer::{PeerTls, Validity};
use residency_policy::Clock;

use crate::drain::Drain;
use crate::listen::PublicTls;
use crate::reload;

/// A certificate ends soon when less is left than this, or than a third of its life if that is shorter.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One of the two certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Public,
    Peer,
}

impl Which {
    /// The word in logs and metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Peer => "peer",
        }
    }

    const fn label(self) -> Of {
        Of { certificate: self.as_str() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    certificate: &'static str,
}

/// What is known of one.
#[derive(Debug, Clone, Copy)]
struct Known {
    validity: Validity,
    /// Whether the file that is there now was refused.
    refused: bool,
}

/// Both certificates of a process: the one that callers see, and the one between members.
pub struct Certificates {
    public: Arc<PublicTls>,
    peer: PeerTls,
    clock: Arc<dyn Clock>,
    known: Mutex<[Known; 2]>,
    ends: Family<Of, Gauge>,
    refused: Family<Of, Counter>,
}

impl Certificates {
    /// Those that were read when the process started.
    pub fn new(public: Arc<PublicTls>, peer: PeerTls, clock: Arc<dyn Clock>) -> Self {
        let known = [public.validity(), peer.own_validity()].map(|validity| Known { validity, refused: false });
        let new = Self {
            public,
            peer,
            clock,
            known: Mutex::new(known),
            ends: Family::default(),
            refused: Family::default(),
        };
        for (which, known) in [Which::Public, Which::Peer].into_iter().zip(known) {
            new.show(which, known.validity);
            // A counter that is there from the beginning can be watched for its first rise.
            drop(new.refused.get_or_create(&which.label()));
        }
        new
    }

    /// Shows them on a page of metrics.
    pub fn register(&self, on: &mut Registry) {
        on.register_with_unit(
            "certificate_ends_timestamp",
            "When the certificate in use ends, since the Unix epoch",
            Unit::Seconds,
            self.ends.clone(),
        );
        on.register(
            "certificates_refused",
            "New certificates that were not usable, so that the old one stayed in use",
            self.refused.clone(),
        );
    }

    /// What an operator should do about them, if anything. Callers are served meanwhile.
    pub fn wrong(&self) -> Option<&'static str> {
        let known = *self.known();
        let now = self.clock.now();
        if known.iter().any(|one| !one.validity.holds(now)) {
            Some("a certificate has ended: install a new one, which is read without a restart")
        } else if known.iter().any(|one| one.refused) {
            Some("a new certificate is not usable, so the old one is still shown; the log says why")
        } else if known.iter().any(|one| ends_soon(one.validity, now)) {
            Some("a certificate ends soon: install a new one, which is read without a restart")
        } else {
            None
        }
    }

    /// Reads them again on SIGHUP and when their files change, looking so often, until the drain begins.
    pub async fn watch(self: Arc<Self>, every: Duration, drain: Drain) {
        let paths = self.peer.paths();
        let peer = vec![paths.ca.clone(), paths.cert.clone(), paths.key.clone()];
        let public = self.public.files().map(PathBuf::from).to_vec();
        tokio::join!(
            reload::on_change(public, every, drain.clone(), || {
                let read = self.public.reload(self.clock.now());
                self.noted(Which::Public, read.map(|()| self.public.validity()));
            }),
            reload::on_change(peer, every, drain, || {
                let read = self.peer.reload(self.clock.now());
                self.noted(Which::Peer, read.map(|()| self.peer.own_validity()));
            }),
        );
    }

    fn noted(&self, which: Which, read: Result<Validity, impl Display>) {
        match read {
            Ok(validity) => {
                self.known()[which as usize] = Known { validity, refused: false };
                self.show(which, validity);
            }
            Err(error) => {
                self.known()[which as usize].refused = true;
                self.refused.get_or_create(&which.label()).inc();
                tracing::warn!(certificate = which.as_str(), %error, "a new certificate is not usable; the old one stays in use");
            }
        }
    }

    fn show(&self, which: Which, validity: Validity) {
        self.ends.get_or_create(&which.label()).set(validity.until.as_second());
        if ends_soon(validity, self.clock.now()) {
            tracing::warn!(certificate = which.as_str(), until = %validity.until, "a certificate ends soon; install a new one");
        } else {
            tracing::info!(certificate = which.as_str(), until = %validity.until, "a certificate is in use");
        }
    }

    fn known(&self) -> MutexGuard<'_, [Known; 2]> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("known", &self.known).finish_non_exhaustive()
    }
}

fn ends_soon(validity: Validity, now: jiff::Timestamp) -> bool {
    let life = validity.until.duration_since(validity.from);
    validity.until.duration_since(now) < SOON.min(life / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_is_two_weeks_or_a_third_of_a_short_life() {
        let at = |text: &str| text.parse().expect("an instant");
        let of = |from, until| Validity { from: at(from), until: at(until) };
        let year = of("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert!(!ends_soon(year, at("2026-12-17T00:00:00Z")));
        assert!(ends_soon(year, at("2026-12-19T00:00:00Z")));
        let hours = of("2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z");
        assert!(!ends_soon(hours, at("2026-01-01T01:59:00Z")));
        assert!(ends_soon(hours, at("2026-01-01T02:01:00Z")));
    }
}
