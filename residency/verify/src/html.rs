//! The report as a page that a lawyer can read. Nothing in it is loaded from elsewhere.

use std::fmt::Write as _;

use residency_policy::Jurisdiction;

use crate::verdict::{Report, Word};

/// States as tiles, by row: column and postal abbreviation. Where a state lies is rough on purpose.
const TILES: [&[(u8, &str)]; 8] = [
    &[(0, "AK"), (10, "ME")],
    &[(9, "VT"), (10, "NH")],
    &[
        (0, "WA"),
        (1, "ID"),
        (2, "MT"),
        (3, "ND"),
        (4, "MN"),
        (5, "IL"),
        (6, "WI"),
        (7, "MI"),
        (8, "NY"),
        (9, "RI"),
        (10, "MA"),
    ],
    &[
        (0, "OR"),
        (1, "NV"),
        (2, "WY"),
        (3, "SD"),
        (4, "IA"),
        (5, "IN"),
        (6, "OH"),
        (7, "PA"),
        (8, "NJ"),
        (9, "CT"),
    ],
    &[
        (0, "CA"),
        (1, "UT"),
        (2, "CO"),
        (3, "NE"),
        (4, "MO"),
        (5, "KY"),
        (6, "WV"),
        (7, "VA"),
        (8, "MD"),
        (9, "DE"),
    ],
    &[(1, "AZ"), (2, "NM"), (3, "KS"), (4, "AR"), (5, "TN"), (6, "NC"), (7, "SC"), (8, "DC")],
    &[(3, "OK"), (4, "LA"), (5, "MS"), (6, "AL"), (7, "GA")],
    &[(0, "HI"), (3, "TX"), (8, "FL"), (10, "PR")],
];

/// The page.
pub fn page(report: &Report) -> String {
    let passes = report.passes();
    let head = if passes {
        "Everything that was looked at is as it must be"
    } else {
        "Not everything could be confirmed"
    };
    let mut rows = String::new();
    for one in &report.checks {
        let (class, word) = match one.verdict {
            Word::Pass => ("pass", "Confirmed"),
            Word::Fail => ("fail", "Not as it must be"),
            Word::NotCovered => ("open", "Not looked at, or not wholly"),
        };
        let list = |title: &str, lines: &[String]| {
            let items: Vec<String> = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
            if items.is_empty() { String::new() } else { format!("<p>{title}</p><ul>{}</ul>", items.concat()) }
        };
        let _ = writeln!(
            rows,
            "<tr class=\"{class}\"><th scope=\"row\">{}<br><code>{}</code></th><td>{word}</td><td>{}{}{}</td></tr>",
            escaped(one.question),
            one.check,
            list(&format!("Found ({}):", one.found), &one.evidence),
            list("Not looked at:", &one.not_covered),
            list("Looked at:", &one.looked_at),
        );
    }
    let accepted: Vec<String> =
        report.accepted.iter().map(|name| format!(" <code>{}</code>", escaped(name))).collect();
    let accepted = accepted.concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Residency report</title>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <style>body{{font:16px/1.5 serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse;width:100%}}th,td{{border:1px solid #999;padding:.5rem;text-align:left;\
         vertical-align:top}}.pass td:nth-child(2){{background:#e3f3e3}}.fail td:nth-child(2){{background:#f8d7d7}}\
         .open td:nth-child(2){{background:#fbf1cf}}code{{font-size:.85em}}</style></head><body>\n\
         <h1>Where patients' data rests</h1>\n<p><strong>{head}.</strong></p>\n\
         <p>Cluster {}. Made at {} by <code>residency-verify</code>, a program that asks no server of the cluster what is \
         true but reads what is stored. Who lives where was read from {}.</p>\n\
         <h2>Homes</h2>\n{}\n<h2>Checks</h2>\n<table><thead><tr><th>Question</th><th>Verdict</th><th>Details</th></tr>\
         </thead><tbody>\n{rows}</tbody></table>\n<h2>What this does not show</h2>\n\
         <p>That a machine stands in the state that it says is declared by whoever runs it. A sealed value's binding to its \
         place is checked by the cluster whenever it is opened; an auditor, who has no key, sees only whose key sealed it. \
         Checks that the reader of this report accepted as not covered:{}.</p>\n</body></html>\n",
        escaped(report.cluster.as_deref().unwrap_or("unknown")),
        escaped(&report.made_at),
        escaped(&report.directory_read_from),
        map(report),
        if accepted.is_empty() { " none".to_owned() } else { accepted },
    )
}

fn map(report: &Report) -> String {
    let mut tiles = String::new();
    for (row, states) in TILES.iter().enumerate() {
        for (column, postal) in *states {
            let (x, y) = (usize::from(*column) * 44, row * 44);
            let home = report.homes.iter().any(|home| home.strip_prefix("US-") == Some(*postal));
            let fill = if home { "#2b5f8a" } else { "#e5e5e5" };
            let ink = if home { "#fff" } else { "#444" };
            let _ = write!(
                tiles,
                "<rect x=\"{x}\" y=\"{y}\" width=\"40\" height=\"40\" rx=\"4\" fill=\"{fill}\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"14\" fill=\"{ink}\">{postal}</text>",
                x + 20,
                y + 25,
            );
        }
    }
    let names: Vec<&str> = report
        .homes
        .iter()
        .filter_map(|home| home.parse::<Jurisdiction>().ok())
        .map(Jurisdiction::name)
        .collect();
    let names = names.join(", ");
    format!(
        "<p>Homes, as the inventory names them: {}.</p>\n<svg viewBox=\"0 0 484 352\" width=\"484\" role=\"img\" \
         aria-label=\"Map of the states; homes are dark: {}\">{tiles}</svg>",
        escaped(&names),
        escaped(&names),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn every_state_has_one_tile_and_nothing_is_loaded_from_elsewhere() {
        let all: Vec<&str> = TILES.iter().flat_map(|row| row.iter().map(|(_, postal)| *postal)).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (52, 52));
        let report = Report {
            format: "",
            made_at: "now".into(),
            cluster: Some("<script>".into()),
            homes: vec!["US-TX".into()],
            directory_read_from: "the log".into(),
            checks: vec![Verdict::of("a", "Is it?", vec![], vec!["<b>".into()], vec![])],
            accepted: vec![],
        };
        let page = page(&report);
        assert!(page.contains("Texas") && page.contains("&lt;b&gt;") && !page.contains("<script"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
    }
}
