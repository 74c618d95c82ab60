//! The rules that are shipped, on both sides of every date in them.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;
use residency_policy::ruleset::{AfterDeparture, Departure, Digest, SHIPPED};
use residency_policy::{Category, Home, Ingress, Jurisdiction, Region, Ruleset, TransitMode};

fn shipped() -> Ruleset {
    Ruleset::parse(SHIPPED).expect("the shipped rules can be read")
}

fn at(postal: &str) -> Jurisdiction {
    Jurisdiction::from_postal(postal).expect("a jurisdiction")
}

fn home(postal: &str) -> Home {
    Home(Region(at(postal)))
}

fn day(text: &str) -> Date {
    text.parse().expect("a day")
}

/// The mode and what is cited for it.
fn transit<'a>(
    rules: &'a Ruleset,
    to: &str,
    from: &str,
    category: Category,
    on: &str,
) -> Option<(TransitMode, &'a str)> {
    rules.transit(home(to), Ingress(at(from)), category, day(on)).map(|held| (held.says, held.citation))
}

#[test]
fn the_digest_is_that_of_the_file() {
    assert_eq!(shipped().digest(), Digest::of(SHIPPED.as_bytes()));
}

#[test]
fn general_phi_is_forwarded_from_anywhere_to_anywhere() {
    let rules = shipped();
    for to in Jurisdiction::all() {
        for from in Jurisdiction::all() {
            let held = rules.transit(Home(Region(to)), Ingress(from), Category::General, day("2026-11-22"));
            assert_eq!(held.map(|held| held.says), Some(TransitMode::Proxy), "{from} to {to}");
        }
    }
}

#[test]
fn sensitive_phi_is_forwarded_at_home_only() {
    let rules = shipped();
    for category in Category::ALL.into_iter().filter(|category| *category != Category::General) {
        for to in Jurisdiction::all() {
            for from in Jurisdiction::all() {
                let mode = rules.transit(Home(Region(to)), Ingress(from), category, day("2026-11-22"));
                let mode = mode.expect("a rule").says;
                assert_eq!(mode == TransitMode::Proxy, to == from, "{category} from {from} to {to}: {mode:?}");
            }
        }
    }
}

#[test]
fn transit_changes_on_the_days_that_the_acts_name() {
    use Category::{Reproductive, SubstanceUse};
    use TransitMode::{Deny, Redirect};
    let rules = shipped();
    for (to, category, on, mode, cites) in [
        ("MD", Reproductive, "2023-05-31", Redirect, "contract"),
        ("MD", Reproductive, "2023-06-01", Deny, "4-302.5"),
        ("CA", Reproductive, "2023-12-31", Redirect, "contract"),
        ("CA", Reproductive, "2024-01-01", Deny, "56.110"),
        ("CA", Reproductive, "2024-06-30", Deny, "56.110"),
        ("CA", Reproductive, "2024-07-01", Deny, "56.101(c)"),
        ("IL", Reproductive, "2027-06-30", Redirect, "contract"),
        ("IL", Reproductive, "2027-07-01", Deny, "104-0471"),
        ("NY", Reproductive, "2030-01-01", Redirect, "contract"),
        ("TX", SubstanceUse, "2026-02-15", Redirect, "2.16; contract"),
        ("TX", SubstanceUse, "2026-02-16", Redirect, "89 FR 12472"),
    ] {
        let (held, citation) = transit(&rules, to, "NV", category, on).expect("a rule");
        assert_eq!(held, mode, "{to} {on}");
        assert!(citation.contains(cites), "{to} {on}: {citation}");
        let (inside, _) = transit(&rules, to, to, category, on).expect("a rule");
        assert_eq!(inside, TransitMode::Proxy, "{to} {on}: from inside");
    }
    assert_eq!(
        transit(&rules, "CA", "CA", Category::General, "2019-12-31"),
        None,
        "the file does not speak yet"
    );
    assert!(transit(&rules, "CA", "CA", Category::General, "2020-01-01").is_some());
}

#[test]
fn departures_change_on_the_days_that_the_acts_name() {
    use Category::{General, PsychotherapyNotes, Reproductive};
    let rules = shipped();
    for (from, to, category, on, says, cites) in [
        ("FL", "HI", General, "2023-06-30", Departure::Allow, "164.506"),
        ("FL", "HI", General, "2023-07-01", Departure::Deny, "408.051(3)"),
        ("FL", "AK", General, "2023-07-01", Departure::Deny, "408.051(3)"),
        ("FL", "PR", General, "2023-07-01", Departure::Allow, "164.506"),
        ("TX", "CA", General, "2025-12-31", Departure::Allow, "164.506"),
        ("TX", "CA", General, "2026-01-01", Departure::Allow, "183.002"),
        ("MD", "CA", Reproductive, "2023-05-31", Departure::Deny, "contract"),
        ("MD", "CA", Reproductive, "2023-06-01", Departure::Deny, "4-302.5"),
        ("CA", "TX", Reproductive, "2023-12-31", Departure::Deny, "contract"),
        ("CA", "TX", Reproductive, "2024-01-01", Departure::Deny, "56.110"),
        ("CA", "TX", Reproductive, "2024-07-01", Departure::Deny, "56.101(c)"),
        ("IL", "TX", Reproductive, "2027-06-30", Departure::Deny, "contract"),
        ("IL", "TX", Reproductive, "2027-07-01", Departure::Deny, "104-0471"),
        ("NY", "TX", PsychotherapyNotes, "2026-11-22", Departure::Deny, "164.508(a)(2)"),
    ] {
        let held = rules.departure(home(from), home(to), category, day(on)).expect("a rule");
        assert_eq!(held.says, says, "{from} to {to} {on}");
        assert!(held.citation.contains(cites), "{from} to {to} {on}: {}", held.citation);
    }
    assert!(rules.departure(home("TX"), home("CA"), General, day("2019-12-31")).is_none());
}

#[test]
fn every_home_keeps_what_left_for_its_own_time() {
    let rules = shipped();
    let today = day("2026-11-22");
    for jurisdiction in Jurisdiction::all() {
        for category in Category::ALL {
            let held = rules.retention(Home(Region(jurisdiction)), category, today).expect("a rule");
            let (after, years) = held.says;
            assert_eq!(after, AfterDeparture::RetainSealed, "{jurisdiction}");
            assert!((7..=10).contains(&years), "{jurisdiction}: {years}");
        }
    }
    for (postal, years, cites) in [
        ("CA", 10, "14124.1"),
        ("TX", 7, "22 Tex. Admin. Code"),
        ("NY", 7, "424.516(f)"),
        ("FL", 7, "424.516(f)"),
        ("IL", 10, "210 ILCS 85/6.17(c)"),
        ("WY", 10, "422.504(d)"),
    ] {
        let held = rules.retention(home(postal), Category::General, today).expect("a rule");
        assert_eq!(held.says.1, years, "{postal}");
        assert!(held.citation.contains(cites), "{postal}: {}", held.citation);
    }
    assert!(rules.retention(home("CA"), Category::General, day("2019-12-31")).is_none());
    assert!(rules.retention(home("CA"), Category::General, day("2020-01-01")).is_some());
}

/// Every date in the file, with what it changes, must be in a test above: a date that is added there and not here
/// fails this one.
#[test]
fn no_date_in_the_file_is_untested() {
    let tested = [
        "2020-01-01",
        "2023-06-01",
        "2023-07-01",
        "2024-01-01",
        "2024-07-01",
        "2026-01-01",
        "2026-02-16",
        "2027-07-01",
    ];
    let written: BTreeSet<_> = SHIPPED
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| ["effective_from = ", "effective_to = "].map(|key| (line, key)))
        .filter_map(|(line, key)| line.split_once(key).map(|(_, rest)| &rest[..10]))
        .collect();
    assert_eq!(written, BTreeSet::from(tested));
    // The control: each of these days differs from the day before it in something that the file says.
    let rules = shipped();
    for first in tested {
        let before = day(first).saturating_sub(1.day());
        assert_ne!(everything(&rules, day(first)), everything(&rules, before), "{first} changes nothing");
    }
}

/// All that the file says on one day.
fn everything(rules: &Ruleset, on: Date) -> Vec<String> {
    let mut all = Vec::new();
    for one in Jurisdiction::all() {
        for other in ["NV", "HI"].map(at) {
            for category in Category::ALL {
                let here = Home(Region(one));
                all.push(format!("{:?}", rules.transit(here, Ingress(other), category, on)));
                all.push(format!("{:?}", rules.departure(here, Home(Region(other)), category, on)));
                all.push(format!("{:?}", rules.retention(here, category, on)));
            }
        }
    }
    all
}
