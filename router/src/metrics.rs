//! What is counted, for Prometheus. Every label has a fixed, small set of values: outcomes, regions of the region
//! map, status classes. No id, path or text of a caller is ever a label.

use std::fmt::{self, Write as _};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use residency_policy::{Region, exposition};

use crate::certificates::Certificates;
use crate::listen::Counters;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A home or another region answered.
    Forwarded,
    /// The caller was sent to the home.
    Redirected,
    /// It was refused before any home was asked.
    Refused,
    /// It was over a limit.
    Limited,
    /// The home could not be reached, or did not answer in time.
    Unavailable,
    /// The router answered from itself.
    Here,
    /// The caller went away before there was an answer.
    BrokenOff,
}

impl Outcome {
    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Redirected => "redirected",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
            Self::Here => "here",
            Self::BrokenOff => "broken_off",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct HomeLabel(Option<Region>);

impl EncodeLabelValue for HomeLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self.0 {
            None => encoder.write_str("none"),
            Some(region) => {
                region.0.postal().chars().try_for_each(|letter| encoder.write_char(letter.to_ascii_lowercase()))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct StatusClass(u16);

impl EncodeLabelValue for StatusClass {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{}xx", self.0.clamp(1, 5))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: Outcome,
    home: HomeLabel,
    status_class: StatusClass,
}

/// The router's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Ended, Counter>,
    seconds: Histogram,
    in_flight: Gauge,
    view_age: Gauge<f64, AtomicU64>,
    regions: Gauge,
}

/// What is known at the moment of asking.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Requests at work.
    pub in_flight: usize,
    /// How old the view is.
    pub view_age: Duration,
    /// How many regions the map has.
    pub regions: usize,
}

impl Metrics {
    /// Nothing counted yet, besides what the listener counts.
    pub fn new(listener: &Counters) -> Self {
        // 0.2, 0.3 and 0.5 are what the objectives promise: a ratio is exact only at a bucket's edge.
        let buckets =
            [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 8.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("domicile_router"),
            requests: Family::default(),
            seconds: Histogram::new(buckets),
            in_flight: Gauge::default(),
            view_age: Gauge::default(),
            regions: Gauge::default(),
        };
        let r = &mut metrics.registry;
        r.register("requests", "Requests answered", metrics.requests.clone());
        r.register_with_unit(
            "request",
            "Time to the head of the answer",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        r.register("in_flight", "Requests at work", metrics.in_flight.clone());
        listener.register(r);
        r.register_with_unit(
            "view_age",
            "Age of the view of the directory",
            Unit::Seconds,
            metrics.view_age.clone(),
        );
        r.register("regions", "Regions in the region map", metrics.regions.clone());
        metrics
    }

    /// The same, besides what is known of the certificates.
    #[must_use]
    pub fn with_certificates(mut self, certificates: &Certificates) -> Self {
        certificates.register(&mut self.registry);
        self
    }

    /// Counts one request.
    pub fn ended(&self, outcome: Outcome, home: Option<Region>, status: u16, took: Duration) {
        let labels = Ended { outcome, home: HomeLabel(home), status_class: StatusClass(status / 100) };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// The page, in Prometheus' text format.
    pub fn page(&self, now: Now) -> String {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.in_flight.set(count(now.in_flight as u64));
        self.view_age.set(now.view_age.as_secs_f64());
        self.regions.set(count(now.regions as u64));
        let mut page = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut page, &self.registry);
        exposition::classic(&page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_promised_names_and_bounded_labels() {
        let metrics = Metrics::new(&Counters::default());
        let texas = Region("US-TX".parse().expect("a jurisdiction"));
        metrics.ended(Outcome::Forwarded, Some(texas), 200, Duration::from_millis(3));
        metrics.ended(Outcome::Refused, None, 404, Duration::from_millis(1));
        let page = metrics.page(Now { in_flight: 1, view_age: Duration::from_millis(250), regions: 3 });
        for line in [
            "domicile_router_requests_total{outcome=\"forwarded\",home=\"tx\",status_class=\"2xx\"} 1",
            "domicile_router_requests_total{outcome=\"refused\",home=\"none\",status_class=\"4xx\"} 1",
            "domicile_router_request_seconds_count 2",
            "domicile_router_view_age_seconds 0.25",
            "domicile_router_in_flight 1",
            "domicile_router_connections 0",
        ] {
            assert!(page.contains(line), "{page} has no line {line}");
        }
    }
}
