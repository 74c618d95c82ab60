//! The page of metrics that both processes serve: Prometheus' text format, version 0.0.4.
//!
//! The library that counts writes OpenMetrics 1.0 only, where a counter's family has a name without `_total`. Tools of
//! the older format, `promtool check metrics` among them, then see a counter without samples and samples without help.
//! Every scraper reads the older format, so it is the one that is served.

use std::borrow::Cow;

/// The `Content-Type` of [`classic`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics 1.0 as version 0.0.4: a counter's family takes the name of its samples, and the lines that the older
/// format does not have are left out.
pub fn classic(open_metrics: &str) -> String {
    let mut counters: Vec<&str> = Vec::new();
    for line in open_metrics.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter")) {
            counters.push(name);
        }
    }
    let mut page = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        page.push_str(&renamed(line, &counters));
        page.push('\n');
    }
    page
}

fn renamed<'l>(line: &'l str, counters: &[&str]) -> Cow<'l, str> {
    for keyword in ["# HELP ", "# TYPE "] {
        let Some((name, rest)) = line.strip_prefix(keyword).and_then(|tail| tail.split_once(' ')) else {
            continue;
        };
        if counters.contains(&name) {
            return Cow::Owned(format!("{keyword}{name}_total {rest}"));
        }
    }
    Cow::Borrowed(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counters_family_is_named_as_its_samples_and_all_else_stays() {
        let open = "# HELP a_requests Requests.\n# TYPE a_requests counter\na_requests_total{b=\"c\"} 3\n\
                    # HELP a_age_seconds Age.\n# TYPE a_age_seconds gauge\n# UNIT a_age_seconds seconds\n\
                    a_age_seconds 0.5\n# EOF\n";
        let page = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\na_requests_total{b=\"c\"} 3\n\
                    # HELP a_age_seconds Age.\n# TYPE a_age_seconds gauge\na_age_seconds 0.5\n";
        assert_eq!(classic(open), page);
    }
}
