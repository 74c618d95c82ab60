//! Cases from the law, on both sides of every day, against the file that is shipped.

use jiff::civil::Date;
use residency_policy::Jurisdiction;
use residency_policy::licensure::{
    Compact, Compacts, Lack, Licence, LicenceKind, LicenceSource, LicenceStatus, Membership, Taxonomy,
    authority, unfit,
};

pub(crate) fn at(postal: &str) -> Jurisdiction {
    Jurisdiction::from_postal(postal).expect("a jurisdiction")
}

fn day(text: &str) -> Date {
    text.parse().expect("a day")
}

/// A full licence for that day alone.
pub(crate) fn full(state: Jurisdiction, on: Date) -> Option<Licence> {
    Some(Licence {
        jurisdiction: state,
        kind: LicenceKind::Full,
        number: "T1".parse().ok()?,
        status: LicenceStatus::Active,
        status_since: on,
        from: on,
        until: Some(on),
        source: LicenceSource::StateBoard,
        verified: on,
    })
}

fn licence(postal: &str, kind: LicenceKind) -> Licence {
    let from = day("2021-01-01");
    Licence { kind, from, until: None, status_since: from, ..full(at(postal), from).expect("a licence") }
}

fn compact(postal: &str, compact: Compact) -> Licence {
    licence(postal, LicenceKind::Compact(compact))
}

fn lack(licences: &[Licence], service: &str, on: &str) -> Option<Lack> {
    authority(licences, Compacts::shipped(), at(service), day(on)).err().map(|no| no.lack)
}

#[test]
fn a_full_licence_counts_at_home_and_nowhere_else() {
    let texas = [licence("TX", LicenceKind::Full)];
    assert_eq!(lack(&texas, "TX", "2026-12-01"), None);
    assert_eq!(lack(&texas, "CA", "2026-12-01"), Some(Lack::Missing));
    assert_eq!(lack(&[], "TX", "2026-12-01"), Some(Lack::Missing));
    let florida = [licence("FL", LicenceKind::Telehealth)];
    assert_eq!(lack(&florida, "FL", "2026-12-01"), None);
    assert_eq!(lack(&florida, "GA", "2026-12-01"), Some(Lack::Missing));
}

#[test]
fn a_licence_counts_from_its_first_day_to_its_last() {
    let until = Some(day("2026-11-30"));
    let dated = [Licence { until, ..licence("TX", LicenceKind::Full) }];
    let kind = LicenceKind::Full;
    assert_eq!(lack(&dated, "TX", "2020-12-31"), Some(Lack::NotYet(kind, day("2021-01-01"))));
    assert_eq!(lack(&dated, "TX", "2021-01-01"), None);
    assert_eq!(lack(&dated, "TX", "2026-11-30"), None, "the last day counts");
    assert_eq!(lack(&dated, "TX", "2026-12-01"), Some(Lack::Expired(kind, day("2026-11-30"))));
}

#[test]
fn a_status_takes_authority_away_from_its_day() {
    let kind = LicenceKind::Full;
    let with = |status| [Licence { status, status_since: day("2026-06-01"), ..licence("TX", kind) }];
    for (status, expected) in [
        (LicenceStatus::Suspended, Lack::Suspended(kind, day("2026-06-01"))),
        (LicenceStatus::Revoked, Lack::Revoked(kind, day("2026-06-01"))),
        (LicenceStatus::Surrendered, Lack::Surrendered(kind, day("2026-06-01"))),
        (LicenceStatus::Expired, Lack::Expired(kind, day("2026-05-31"))),
    ] {
        assert_eq!(lack(&with(status), "TX", "2026-05-31"), None, "{status}");
        assert_eq!(lack(&with(status), "TX", "2026-06-01"), Some(expected), "{status}");
        assert_eq!(lack(&with(status), "TX", "2030-01-01"), Some(expected), "{status}");
    }
    assert_eq!(lack(&with(LicenceStatus::Pending), "TX", "2026-05-31"), Some(Lack::Pending(kind)), "never yet");
    assert_eq!(lack(&with(LicenceStatus::Active), "TX", "2026-06-01"), None, "the control");
}

#[test]
fn a_nurses_multistate_licence_counts_in_every_member_state() {
    let nurse = [compact("TX", Compact::Nlc)];
    for state in ["TX", "AZ", "FL", "VA"] {
        assert_eq!(lack(&nurse, state, "2026-12-01"), None, "{state}");
    }
    for state in ["CA", "NY", "IL"] {
        assert_eq!(lack(&nurse, state, "2026-12-01"), Some(Lack::NotAMember(Compact::Nlc, at(state))));
    }
    let uncertain = Some(Lack::MembershipUncertain(Compact::Nlc, at("MA")));
    assert_eq!(lack(&nurse, "MA", "2026-12-01"), uncertain, "unsure is no");
    assert_eq!(lack(&nurse, "PA", "2025-07-06"), Some(Lack::MembershipUncertain(Compact::Nlc, at("PA"))));
    assert_eq!(lack(&nurse, "PA", "2025-07-07"), None);
    let of_california = [compact("CA", Compact::Nlc)];
    let no = Some(Lack::NotAMember(Compact::Nlc, at("CA")));
    assert_eq!(lack(&of_california, "TX", "2026-12-01"), no, "a state that is no member issues none");
}

#[test]
fn an_expedited_licence_is_one_of_its_state() {
    let physician = [compact("TX", Compact::Imlc)];
    assert_eq!(lack(&physician, "TX", "2026-12-01"), None);
    assert_eq!(lack(&physician, "AZ", "2026-12-01"), Some(Lack::Missing), "membership itself gives nothing");
    assert_eq!(lack(&physician, "TX", "2021-06-01"), Some(Lack::NotAMember(Compact::Imlc, at("TX"))));
}

#[test]
fn a_telepsychology_certificate_counts_while_the_home_licence_does() {
    let certificate = compact("TX", Compact::PsypactApit);
    let home = licence("TX", LicenceKind::Full);
    let none = Some(Lack::NoHomeLicence(Compact::PsypactApit));
    assert_eq!(lack(&[certificate], "AZ", "2026-12-01"), none);
    assert_eq!(lack(&[certificate, home], "AZ", "2026-12-01"), None);
    let over = Licence { until: Some(day("2026-11-30")), ..home };
    assert_eq!(lack(&[certificate, over], "AZ", "2026-12-01"), none);
    let elsewhere = licence("AZ", LicenceKind::Full);
    assert_eq!(lack(&[certificate, elsewhere], "CO", "2026-12-01"), none, "the home state's own");
    let member = Some(Lack::NotAMember(Compact::PsypactApit, at("CA")));
    assert_eq!(lack(&[certificate, home], "CA", "2026-12-01"), member);
    let in_person = compact("AZ", Compact::PsypactTap);
    let tap = Some(Lack::InPersonOnly(Compact::PsypactTap));
    assert_eq!(lack(&[in_person, home], "AZ", "2026-12-01"), tap);
}

#[test]
fn a_privilege_counts_in_its_state_while_another_members_licence_does() {
    let privilege = compact("AZ", Compact::Pt);
    let home = licence("TX", LicenceKind::Full);
    assert_eq!(lack(&[privilege, home], "AZ", "2026-12-01"), None);
    assert_eq!(lack(&[privilege, home], "CO", "2026-12-01"), Some(Lack::Missing), "one state each");
    let none = Some(Lack::NoHomeLicence(Compact::Pt));
    assert_eq!(lack(&[privilege], "AZ", "2026-12-01"), none);
    assert_eq!(lack(&[privilege, licence("NY", LicenceKind::Full)], "AZ", "2026-12-01"), none, "of no member");
    let assistant = [compact("UT", Compact::Pa), licence("WA", LicenceKind::Full)];
    let unsure = Some(Lack::MembershipUncertain(Compact::Pa, at("UT")));
    assert_eq!(lack(&assistant, "UT", "2026-12-01"), unsure, "not vouched for yet");
}

#[test]
fn what_comes_closest_is_named_and_says_what_is_missing() {
    let over = Licence { until: Some(day("2026-03-01")), ..licence("TX", LicenceKind::Full) };
    let nurse = compact("CA", Compact::Nlc);
    let no =
        authority(&[nurse, over], Compacts::shipped(), at("TX"), day("2026-12-01")).expect_err("is refused");
    assert_eq!(
        no.to_string(),
        "no authority to practise in Texas: the full licence expired, its last day was 2026-03-01"
    );
    assert_eq!(no.lack.code(), "licence-expired");
    let no = authority(&[], Compacts::shipped(), at("NY"), day("2026-12-01")).expect_err("is refused");
    assert_eq!(no.to_string(), "no authority to practise in New York: there is no licence for it");
}

#[test]
fn what_a_compact_gives_fits_everything_its_holder_is_listed_as() {
    let code = |text: &str| text.parse::<Taxonomy>().expect("a code");
    let nurse = [compact("TX", Compact::Nlc)];
    assert_eq!(unfit(&[code("163W00000X")], &nurse), None);
    assert_eq!(unfit(&[code("363LF0000X")], &nurse), Some(Compact::Nlc), "an RN's is none for an NP");
    assert_eq!(unfit(&[code("163W00000X"), code("363LF0000X")], &nurse), Some(Compact::Nlc));
    assert_eq!(unfit(&[code("363LF0000X")], &[licence("TX", LicenceKind::Full)]), None);
    for compact in Compact::ALL {
        let fits = Taxonomy::common().filter(|code| compact.professions().contains(&code.profession()));
        assert!(fits.count() > 0, "{compact} is for nobody");
    }
}

#[test]
fn the_shipped_file_can_be_read_and_knows_every_compact() {
    let shipped = Compacts::shipped();
    assert!(shipped.version() >= 1, "it was read");
    for compact in Compact::ALL {
        assert!(shipped.lines().any(|(of, ..)| of == compact.treaty()), "{compact} has no line");
    }
    for (compact, state, from, _, certain, _) in shipped.lines() {
        let is = |on| matches!(shipped.membership(compact, state, on), Membership::Member { .. });
        assert!(!is(from.yesterday().expect("a day")), "{compact} {state} a day early");
        assert_eq!(is(from), certain, "{compact} {state}");
    }
    let certain = shipped.lines().filter(|(.., certain, _)| *certain).count();
    assert!(certain > 100 && certain < shipped.lines().count(), "{certain} lines are vouched for");
}
