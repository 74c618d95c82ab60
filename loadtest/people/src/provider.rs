//! Synthetic clinicians: what they are, and where they may practise, with the licences that make a guard work hard.
//!
//! Their NPIs begin with 1000: they fit their check digit, and the register's own numbering began after them, so that
//! they are nobody's. They are marked as synthetic all the same, and must never leave for a real register.

use jiff::ToSpan;
use jiff::civil::Date;
use residency_policy::licensure::{
    Compact, Licence, LicenceKind, LicenceNumber, LicenceSource, LicenceStatus, Taxonomy,
};
use residency_policy::{Entropy, Jurisdiction, Npi, ProviderId};

use crate::draw::{Draw, For};
use crate::names;

/// The first nine digits of the first NPI.
const FIRST: u32 = 100_000_000;

/// In every block of so many clinicians there is one of each [`Cast`].
pub const CAST: usize = 12;

/// Somebody who does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticProvider {
    /// The id, which follows from the seed, so that a cluster that is set up twice has each of them once.
    pub id: ProviderId,
    /// The NPI.
    pub npi: Npi,
    /// The public name.
    pub name: String,
    /// What they are.
    pub taxonomy: Vec<Taxonomy>,
    /// Which languages they speak, as BCP 47 tags.
    pub languages: Vec<&'static str>,
    /// What they may practise on.
    pub licences: Vec<Licence>,
    /// The clinician with whom they collaborate, by place in the row: always an earlier one, and a physician.
    pub collaborating: Option<usize>,
}

/// What somebody of a block is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// A family physician with full licences in every state that is served.
    Everywhere,
    /// An internist with licences in one to five states.
    Internist,
    /// A nurse practitioner who collaborates with the first of the block.
    NursePractitioner,
    /// A registered nurse with a multistate licence.
    Nurse,
    /// A psychologist with a telepsychology certificate.
    Psychologist,
    /// A family physician one of whose licences has expired.
    Expired,
    /// A family physician whose licence is suspended.
    Suspended,
    /// A physician assistant who collaborates with the first of the block.
    Assistant,
    /// A family physician of another clinic, in every state that is served.
    OtherClinic,
    /// A psychiatrist with a telehealth registration.
    Psychiatrist,
    /// A dermatologist with licences through the physicians' compact.
    Expedited,
    /// A family physician whose licence ends today.
    LastDay,
}

/// The cast in the order in which a block has it.
const ORDER: [Cast; CAST] = [
    Cast::Everywhere,
    Cast::Internist,
    Cast::NursePractitioner,
    Cast::Nurse,
    Cast::Psychologist,
    Cast::Expired,
    Cast::Suspended,
    Cast::Assistant,
    Cast::OtherClinic,
    Cast::Psychiatrist,
    Cast::Expedited,
    Cast::LastDay,
];

/// What the clinician at a place of the row is there for.
pub fn cast(index: usize) -> Cast {
    ORDER[index % CAST]
}

/// The clinician at a place of the row, for a cluster that serves these states. At least one state is named.
pub fn provider(seed: u64, index: usize, states: &[Jurisdiction], today: Date) -> SyntheticProvider {
    let mut draw = Draw::new(seed, None, For::Provider, index);
    let id = ProviderId::random(&Once(draw.bytes()));
    let sex = if draw.happens(500) { "female" } else { "male" };
    let given = names::given(&mut draw, sex);
    let family = names::family(&mut draw);
    let (code, title) = listed(index);
    let mut licences = Issuing { index, today, all: Vec::new() };
    match cast(index) {
        Cast::Everywhere | Cast::OtherClinic => states.iter().for_each(|state| licences.full(*state)),
        Cast::Internist => some(&mut draw, states).for_each(|state| licences.full(state)),
        Cast::NursePractitioner | Cast::Assistant => {
            some(&mut draw, states).take(2).for_each(|state| licences.full(state));
        }
        Cast::Nurse => licences.of(home(states, &NURSES), LicenceKind::Compact(Compact::Nlc)),
        Cast::Psychologist => {
            let home = home(states, &PSYCHOLOGISTS);
            licences.full(home);
            licences.of(home, LicenceKind::Compact(Compact::PsypactApit));
        }
        Cast::Expired => {
            some(&mut draw, states).for_each(|state| licences.full(state));
            let over = today.saturating_sub(30.days());
            let first = &mut licences.all[0];
            (first.status, first.status_since, first.until) =
                (LicenceStatus::Expired, over.saturating_add(1.day()), Some(over));
        }
        Cast::Suspended => {
            licences.full(states[index / CAST % states.len()]);
            let first = &mut licences.all[0];
            (first.status, first.status_since) = (LicenceStatus::Suspended, today.saturating_sub(10.days()));
        }
        Cast::Psychiatrist => {
            licences.full(states[index / CAST % states.len()]);
            licences.of(code_of("US-FL"), LicenceKind::Telehealth);
        }
        Cast::Expedited => {
            licences.full(home(states, &PHYSICIANS));
            for state in PHYSICIANS.map(code_of) {
                if licences.all.iter().all(|licence| licence.jurisdiction != state) {
                    licences.of(state, LicenceKind::Compact(Compact::Imlc));
                }
            }
        }
        Cast::LastDay => {
            licences.full(states[index / CAST % states.len()]);
            licences.all[0].until = Some(today);
        }
    }
    let languages =
        if draw.happens(400) { vec!["en", draw.weighed(&LANGUAGES, |one| one.1).0] } else { vec!["en"] };
    let collaborating = matches!(cast(index), Cast::NursePractitioner | Cast::Assistant);
    SyntheticProvider {
        id,
        npi: npi(index),
        name: format!("{given} {family}, {title}"),
        taxonomy: vec![code],
        languages,
        licences: licences.all,
        collaborating: collaborating.then_some(index - index % CAST),
    }
}

/// Languages besides English, with how often they are spoken.
const LANGUAGES: [(&str, u32); 6] =
    [("es", 60), ("es-MX", 10), ("zh-Hant", 10), ("vi", 8), ("ko", 6), ("ase", 6)];

/// Members of the compacts, of which a home is taken where no state that is served is one.
const NURSES: [&str; 3] = ["US-TX", "US-AZ", "US-NC"];
const PSYCHOLOGISTS: [&str; 3] = ["US-TX", "US-AZ", "US-IL"];
const PHYSICIANS: [&str; 4] = ["US-TX", "US-IL", "US-CO", "US-AZ"];

fn code_of(code: &str) -> Jurisdiction {
    // The constants above are codes, as the tests see.
    code.parse().unwrap_or_else(|_| unreachable!())
}

fn home(states: &[Jurisdiction], members: &[&str]) -> Jurisdiction {
    let served = states.iter().find(|state| members.contains(&state.code()));
    served.copied().unwrap_or_else(|| code_of(members[0]))
}

/// One to five of the states that are served and of others, the first of them served.
fn some<'d>(draw: &'d mut Draw, states: &'d [Jurisdiction]) -> impl Iterator<Item = Jurisdiction> + 'd {
    let mut all = vec![*draw.pick(states)];
    let others: Vec<Jurisdiction> = Jurisdiction::all().collect();
    for _ in 0..draw.below(5) {
        let next = if draw.happens(600) { *draw.pick(states) } else { *draw.pick(&others) };
        if !all.contains(&next) {
            all.push(next);
        }
    }
    all.into_iter()
}

fn listed(index: usize) -> (Taxonomy, &'static str) {
    let (code, title) = match cast(index) {
        Cast::Internist => ("207R00000X", "MD"),
        Cast::NursePractitioner => ("363LF0000X", "FNP-BC"),
        Cast::Nurse => ("163W00000X", "RN"),
        Cast::Psychologist => ("103TC0700X", "PsyD"),
        Cast::Assistant => ("363A00000X", "PA-C"),
        Cast::Psychiatrist => ("2084P0800X", "MD"),
        Cast::Expedited => ("207N00000X", "MD"),
        Cast::Everywhere | Cast::Expired | Cast::Suspended | Cast::OtherClinic | Cast::LastDay => {
            ("207Q00000X", "MD")
        }
    };
    // They are taxonomy codes, as the tests see.
    (code.parse().unwrap_or_else(|_| unreachable!()), title)
}

/// The NPI at a place of the row. There are two hundred million places.
/// The number of the clinician at a place of the row, in every cluster.
pub fn npi(index: usize) -> Npi {
    let place = u32::try_from(index).unwrap_or(u32::MAX) % 200_000_000;
    // No more than nine digits, whatever the place.
    Npi::from_nine(FIRST + place).unwrap_or_else(|_| unreachable!())
}

/// Licences of one clinician.
struct Issuing {
    index: usize,
    today: Date,
    all: Vec<Licence>,
}

impl Issuing {
    fn full(&mut self, state: Jurisdiction) {
        self.of(state, LicenceKind::Full);
    }

    fn of(&mut self, jurisdiction: Jurisdiction, kind: LicenceKind) {
        let Self { index, today, .. } = *self;
        let prefix = match kind {
            LicenceKind::Full => "SYN",
            LicenceKind::Telehealth => "SYN-T",
            LicenceKind::Compact(_) => "SYN-C",
        };
        let number = format!("{prefix}-{}-{index}", jurisdiction.postal());
        // Letters, digits and hyphens, and shorter than the bound.
        let Ok(number) = number.parse::<LicenceNumber>() else { return };
        let months = i64::try_from(6 + (index + self.all.len()) % 18).unwrap_or(6);
        let source = match kind {
            LicenceKind::Compact(Compact::Nlc) => LicenceSource::Nursys,
            LicenceKind::Compact(Compact::Imlc) => LicenceSource::Fsmb,
            LicenceKind::Compact(_) => LicenceSource::CompactCommission,
            LicenceKind::Full | LicenceKind::Telehealth => LicenceSource::StateBoard,
        };
        let from = today.saturating_sub(700.days());
        self.all.push(Licence {
            jurisdiction,
            kind,
            number,
            status: LicenceStatus::Active,
            status_since: from,
            from,
            until: Some(today.saturating_add(months.months())),
            source,
            verified: today.saturating_sub(5.days()),
        });
    }
}

/// Gives these bytes.
struct Once([u8; 16]);

impl Entropy for Once {
    fn fill(&self, dest: &mut [u8]) {
        dest.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::civil::date;
    use residency_policy::licensure::{Compacts, Lack, Licences, authority, unfit};

    use super::*;

    const TODAY: Date = date(2026, 11, 22);

    fn states() -> Vec<Jurisdiction> {
        ["US-CA", "US-NY", "US-TX"].map(code_of).to_vec()
    }

    fn row(seed: u64, count: usize) -> Vec<SyntheticProvider> {
        (0..count).map(|index| provider(seed, index, &states(), TODAY)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_clinicians_and_no_two_are_one() {
        assert_eq!(row(1, 60), row(1, 60));
        assert_ne!(row(1, 12), row(2, 12));
        let all = row(1, 3_000);
        assert_eq!(all.iter().map(|p| p.id).collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|p| p.npi).collect::<HashSet<_>>().len(), all.len());
        assert!(all.iter().all(|p| p.npi.as_str().starts_with("1000")), "nobody's numbers");
        let ids = row(2, 12).iter().map(|p| p.id).collect::<HashSet<_>>();
        assert!(row(1, 12).iter().all(|p| !ids.contains(&p.id)), "another seed, other ids");
    }

    #[test]
    fn each_is_what_the_directory_takes() {
        for one in row(7, 600) {
            let licences = Licences::new(one.licences.clone()).unwrap_or_else(|e| panic!("{e}: {one:?}"));
            assert_eq!(unfit(&one.taxonomy, &licences), None, "{one:?}");
            assert!(!licences.is_empty() && one.name.chars().count() <= 80, "{one:?}");
            assert!(one.taxonomy.iter().all(|code| code.name().is_some()), "{one:?}");
        }
    }

    #[test]
    fn the_cast_is_what_it_is_called() {
        let may = |index: usize, code: &str, on: Date| {
            let one = provider(1, index, &states(), TODAY);
            authority(&one.licences, Compacts::shipped(), code_of(code), on).map(|_| ()).map_err(|no| no.lack)
        };
        for (index, cast) in ORDER.iter().enumerate() {
            match cast {
                Cast::Everywhere | Cast::OtherClinic => {
                    assert!(states().iter().all(|s| may(index, s.code(), TODAY).is_ok()));
                }
                Cast::Nurse => {
                    assert_eq!((may(index, "US-TX", TODAY), may(index, "US-AZ", TODAY)), (Ok(()), Ok(())));
                    assert!(matches!(may(index, "US-CA", TODAY), Err(Lack::NotAMember(..))));
                }
                Cast::Psychologist => assert_eq!(may(index, "US-AZ", TODAY), Ok(())),
                Cast::Expired => {
                    let one = provider(1, index, &states(), TODAY);
                    let state = one.licences[0].jurisdiction.code();
                    assert!(matches!(may(index, state, TODAY), Err(Lack::Expired(..))));
                }
                Cast::Suspended => assert!(matches!(may(index, "US-CA", TODAY), Err(Lack::Suspended(..)))),
                Cast::Psychiatrist => assert_eq!(may(index, "US-FL", TODAY), Ok(())),
                Cast::Expedited => assert_eq!(may(index, "US-CO", TODAY), Ok(())),
                Cast::LastDay => {
                    assert_eq!(may(index, "US-CA", TODAY), Ok(()));
                    let tomorrow = TODAY.tomorrow().expect("a day");
                    assert!(matches!(may(index, "US-CA", tomorrow), Err(Lack::Expired(..))));
                }
                Cast::Internist | Cast::NursePractitioner | Cast::Assistant => {
                    let one = provider(1, index, &states(), TODAY);
                    assert!(may(index, one.licences[0].jurisdiction.code(), TODAY).is_ok());
                }
            }
        }
        let collaborating: Vec<_> = row(1, 24).iter().filter_map(|one| one.collaborating).collect();
        assert_eq!(collaborating, [0, 0, 12, 12]);
    }

    #[test]
    fn a_cluster_of_one_state_has_them_too() {
        for code in ["US-WA", "US-GU", "US-TX"] {
            assert!((0..24).all(|index| !provider(1, index, &[code_of(code)], TODAY).licences.is_empty()));
        }
    }
}
