//! What is counted. Labels are methods, route templates and status codes: never an id, a path or a query.

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use residency_policy::exposition;

/// 0.2, 0.3 and 0.5 are what the objectives promise: a ratio is exact only at a bucket's edge.
const SECONDS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 8.0];

/// The labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

/// The labels of a duration. Without the status: a histogram has many series as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

/// The labels of a violation: a directive from a closed list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Violated {
    directive: &'static str,
}

/// The node's metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram>,
    in_flight: Gauge,
    break_glass_grants: Counter,
    obligations_unmet: Counter,
    violations: Family<Violated, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("domicile");
        let requests = Family::<Request, Counter>::default();
        let durations = Family::<Route, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        let in_flight = Gauge::default();
        let break_glass_grants = Counter::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_seconds", "Time to answer a request", durations.clone());
        registry.register("http_requests_in_flight", "Requests under way", in_flight.clone());
        let glass = break_glass_grants.clone();
        registry.register("break_glass_grants", "How often the glass was broken here", glass);
        let obligations_unmet = Counter::default();
        let unmet = obligations_unmet.clone();
        let help = "Refused because an answer was allowed on a condition that nothing here meets";
        registry.register("obligations_unmet", help, unmet);
        let violations = Family::<Violated, Counter>::default();
        registry.register("csp_violations", "What browsers refused by our policies", violations.clone());
        let registry = Mutex::new(registry);
        Self { registry, requests, durations, in_flight, break_glass_grants, obligations_unmet, violations }
    }
}

impl Metrics {
    /// Lets another part of the node add its own.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The page, in Prometheus' text format.
    pub fn exposition(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &registry);
        exposition::classic(&out)
    }

    /// Counts a request as under way until the guard is dropped, which also happens when the caller goes away.
    pub(crate) fn started(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts that the glass was broken: whoever watches is told by it.
    pub fn glass_broken(&self) {
        self.break_glass_grants.inc();
    }

    /// Counts what was refused because the policies allow it on a condition that nothing here meets: whoever wrote them
    /// and whoever runs this release mean different things.
    pub(crate) fn obligation_unmet(&self) {
        self.obligations_unmet.inc();
    }

    /// Counts that a browser reported a violation of a content security policy, and says how many there were by now.
    pub(crate) fn policy_violated(&self, directive: &'static str) -> u64 {
        self.violations.get_or_create(&Violated { directive }).inc() + 1
    }

    pub(crate) fn answered(&self, method: &http::Method, route: &str, status: u16, seconds: f64) {
        let method = bounded(method);
        let route = route.to_owned();
        self.durations.get_or_create(&Route { method, route: route.clone() }).observe(seconds);
        self.requests.get_or_create(&Request { method, route, status }).inc();
    }
}

/// One request under way.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A caller may invent methods; a label may not grow with them.
pub(crate) fn bounded(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::POST => "POST",
        http::Method::PATCH => "PATCH",
        http::Method::PUT => "PUT",
        http::Method::DELETE => "DELETE",
        http::Method::HEAD => "HEAD",
        http::Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_makes_no_new_series() {
        let metrics = Metrics::default();
        for name in ["BREW", "PROPFIND", "X1"] {
            let _in_flight = metrics.started();
            assert!(metrics.exposition().contains("domicile_http_requests_in_flight 1"));
            metrics.answered(&name.parse().expect("a method"), "/v1/orgs", 405, 0.001);
        }
        let text = metrics.exposition();
        assert!(text.contains(r#"method="other",route="/v1/orgs",status="405"} 3"#), "{text}");
        assert!(!text.contains("BREW"));
        assert!(text.contains("domicile_http_requests_in_flight 0"), "{text}");
    }
}
