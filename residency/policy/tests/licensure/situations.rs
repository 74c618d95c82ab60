//! Licences and memberships, drawn from few enough values that places and days meet often; and the law about them,
//! written a second time.

use std::fmt::Write as _;

use jiff::civil::{Date, date};
use proptest::prelude::*;
use residency_policy::Jurisdiction;
use residency_policy::licensure::{
    Authority, Compact, Compacts, Licence, LicenceKind, LicenceSource, LicenceStatus, NoAuthority, authority,
};

/// One line of a file of memberships, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) compact: Compact,
    pub(crate) state: Jurisdiction,
    pub(crate) from: Date,
    pub(crate) to: Option<Date>,
    pub(crate) certain: bool,
}

/// All that an answer rests on.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) licences: Vec<Licence>,
    pub(crate) lines: Vec<Line>,
    pub(crate) service: Jurisdiction,
    pub(crate) on: Date,
}

pub(crate) type Answer = Result<Authority, NoAuthority>;
pub(crate) type Decider = fn(&Situation) -> Answer;

pub(crate) fn ours(situation: &Situation) -> Answer {
    let Situation { licences, lines, service, on } = situation;
    authority(licences, &compacts(lines), *service, *on)
}

/// The lines as the crate reads them; of several about the same state and compact the first.
pub(crate) fn compacts(lines: &[Line]) -> Compacts {
    let mut text = "version = 1\n".to_owned();
    for (at, line) in lines.iter().enumerate() {
        if lines[..at].iter().any(|other| same(other, line)) {
            continue;
        }
        let to = line.to.map_or(String::new(), |to| format!("effective_to = {to}\n"));
        let why = if line.certain { "" } else { "why_uncertain = 'a test'\n" };
        write!(
            text,
            "[[membership]]\ncompact = '{}'\nstates = ['{}']\neffective_from = {}\n{to}certain = {}\n{why}\
             citation = 'a test'\n",
            line.compact.treaty_name(),
            line.state,
            line.from,
            line.certain,
        )
        .expect("writes to memory");
    }
    Compacts::parse(&text).expect("generated lines are well formed")
}

fn same(a: &Line, b: &Line) -> bool {
    a.compact.treaty() == b.compact.treaty() && a.state == b.state
}

/// Whether the situation gives authority: the law of `residency_policy::licensure`, written a second time.
pub(crate) fn may(situation: &Situation) -> bool {
    let Situation { licences, lines, service, on } = situation;
    let member = |compact: Compact, state: Jurisdiction| {
        let line = lines.iter().find(|line| line.compact.treaty() == compact.treaty() && line.state == state);
        line.is_some_and(|line| line.certain && line.from <= *on && line.to.is_none_or(|to| *on < to))
    };
    let good = |licence: &Licence| {
        let taken = licence.status != LicenceStatus::Active && licence.status_since <= *on;
        let dated = licence.from <= *on && licence.until.is_none_or(|until| *on <= until);
        licence.status != LicenceStatus::Pending && !taken && dated
    };
    let full_in = |state: Jurisdiction| {
        licences.iter().any(|l| l.kind == LicenceKind::Full && l.jurisdiction == state && good(l))
    };
    licences.iter().filter(|licence| good(licence)).any(|licence| {
        let home = licence.jurisdiction;
        match licence.kind {
            LicenceKind::Full | LicenceKind::Telehealth => home == *service,
            LicenceKind::Compact(compact) => match compact {
                Compact::Imlc => home == *service && member(compact, home),
                Compact::Nlc | Compact::Aprn | Compact::SocialWork => {
                    member(compact, home) && member(compact, *service)
                }
                Compact::PsypactApit => member(compact, home) && member(compact, *service) && full_in(home),
                Compact::PsypactTap => false,
                _ => {
                    let others = Jurisdiction::all().filter(|other| *other != *service);
                    let base = others.filter(|other| member(compact, *other)).any(full_in);
                    home == *service && member(compact, home) && base
                }
            },
        }
    })
}

pub(crate) fn state() -> impl Strategy<Value = Jurisdiction> {
    prop::sample::select(vec!["US-TX", "US-CA", "US-AZ"]).prop_map(|code| code.parse().expect("a jurisdiction"))
}

pub(crate) fn day() -> impl Strategy<Value = Date> {
    (1..=9_i8).prop_map(|day| date(2026, 6, day))
}

fn early() -> impl Strategy<Value = Date> {
    (1..=5_i8).prop_map(|day| date(2026, 6, day))
}

fn kind() -> impl Strategy<Value = LicenceKind> {
    let compact = prop::sample::select(vec![
        Compact::Imlc,
        Compact::Nlc,
        Compact::PsypactApit,
        Compact::PsypactTap,
        Compact::Pa,
    ]);
    prop_oneof![3 => Just(LicenceKind::Full), 1 => Just(LicenceKind::Telehealth), 5 => compact.prop_map(LicenceKind::Compact)]
}

pub(crate) fn status() -> impl Strategy<Value = LicenceStatus> {
    prop_oneof![
        5 => Just(LicenceStatus::Active),
        2 => prop::sample::select(LicenceStatus::ALL.to_vec()),
    ]
}

pub(crate) fn licence() -> impl Strategy<Value = Licence> {
    (state(), kind(), status(), day(), early(), prop::option::of(0..8_i8)).prop_map(
        |(jurisdiction, kind, status, status_since, from, length)| Licence {
            jurisdiction,
            kind,
            number: "T1".parse().expect("a number"),
            status,
            status_since,
            from,
            until: length.map(|days| date(2026, 6, from.day() + days)),
            source: LicenceSource::StateBoard,
            verified: date(2026, 6, 1),
        },
    )
}

pub(crate) fn line() -> impl Strategy<Value = Line> {
    let compact = prop::sample::select(vec![Compact::Imlc, Compact::Nlc, Compact::PsypactApit, Compact::Pa]);
    (compact, state(), early(), prop::option::of(1..8_i8), prop::bool::weighted(0.85)).prop_map(
        |(compact, state, from, length, certain)| {
            let to = length.map(|days| date(2026, 6, from.day() + days));
            Line { compact, state, from, to, certain }
        },
    )
}

pub(crate) fn situation() -> impl Strategy<Value = Situation> {
    let licences = prop::collection::vec(licence(), 0..7);
    // One line at most for each compact and state: a file says nothing twice.
    let lines = prop::collection::vec(line(), 0..24).prop_map(|lines| {
        let mut kept: Vec<Line> = Vec::new();
        for line in lines {
            if !kept.iter().any(|other| same(other, &line)) {
                kept.push(line);
            }
        }
        kept
    });
    (licences, lines, state(), day()).prop_map(|(licences, lines, service, on)| Situation {
        licences,
        lines,
        service,
        on,
    })
}
