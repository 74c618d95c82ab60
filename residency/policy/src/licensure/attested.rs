//! Who answers for what is known of a clinician's licences, and what of it counts at whose act.
//!
//! Whoever serves patients looks the licences of its own clinicians up (42 CFR 482.22(a)(2)), and answers for what it
//! found. Nobody rests on another organisation's word: it neither gives authority elsewhere nor takes any away. What the
//! operator of the cluster looked up counts everywhere.

use serde::{Deserialize, Serialize};

use super::{Licence, LicenceStatus, Licences};
use crate::OrgId;

/// Who answers for a licence as it stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EnteredBy {
    /// The operator of the cluster, who looked it up at the source.
    Operator,
    /// An organisation that the clinician works for.
    Organisation(OrgId),
}

/// A clinician's licences: one list of whoever entered some, ascending, none of them empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(EnteredBy, Licences)>", into = "Vec<(EnteredBy, Licences)>")]
pub struct Attested(Box<[(EnteredBy, Licences)]>);

/// The lists are not those of a clinician.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {} lists that are not empty, ascending by who entered them", Attested::LISTS_MAX)]
pub struct NotAttested;

impl Attested {
    /// The most lists: those of sixteen organisations, and the operator's.
    pub const LISTS_MAX: usize = 17;

    /// What each of these organisations entered alike.
    pub fn alike(orgs: &[OrgId], licences: &Licences) -> Result<Self, NotAttested> {
        let each = orgs.iter().map(|org| EnteredBy::Organisation(*org));
        each.into_iter().try_fold(Self::default(), |all, by| all.with(by, licences.clone()))
    }

    /// The same with this as all that one of them entered. What others entered stays.
    pub fn with(&self, by: EnteredBy, licences: Licences) -> Result<Self, NotAttested> {
        let mut lists: Vec<_> = self.0.iter().filter(|(other, _)| *other != by).cloned().collect();
        if !licences.is_empty() {
            let at = lists.partition_point(|(other, _)| *other < by);
            lists.insert(at, (by, licences));
        }
        Self::try_from(lists)
    }

    /// What one of them entered.
    pub fn of(&self, by: EnteredBy) -> &[Licence] {
        self.0.iter().find(|(other, _)| *other == by).map_or(&[][..], |(_, licences)| licences.as_slice())
    }

    /// Who entered any, ascending.
    pub fn by(&self) -> impl Iterator<Item = EnteredBy> {
        self.0.iter().map(|(by, _)| *by)
    }

    /// All of them, with who entered each.
    pub fn iter(&self) -> impl Iterator<Item = (EnteredBy, &Licence)> {
        self.0.iter().flat_map(|(by, licences)| licences.iter().map(move |licence| (*by, licence)))
    }

    /// What counts at an act of an organisation: what it entered itself, and what the operator did. Where both entered
    /// the same number, it counts as far as it does by both.
    pub fn at(&self, org: OrgId) -> Vec<Licence> {
        let (verified, own) = (self.of(EnteredBy::Operator), self.of(EnteredBy::Organisation(org)));
        let same = |one: &Licence, other: &Licence| {
            (one.jurisdiction, one.number) == (other.jurisdiction, other.number)
        };
        let both = verified.iter().map(|licence| {
            own.iter().find(|other| same(licence, other)).map_or(*licence, |other| narrowed(licence, other))
        });
        let alone = own.iter().filter(|licence| !verified.iter().any(|other| same(licence, other)));
        both.chain(alone.copied()).collect()
    }
}

/// What is in force when both are: within the days of both, and until the first of them ended.
fn narrowed(one: &Licence, other: &Licence) -> Licence {
    let ended = [one, other].into_iter().filter(|licence| licence.status != LicenceStatus::Active);
    // What is pending never began.
    let first = ended.min_by_key(|licence| (licence.status != LicenceStatus::Pending, licence.status_since));
    let state = first.unwrap_or(one);
    Licence {
        status: state.status,
        status_since: state.status_since,
        from: one.from.max(other.from),
        until: one.until.into_iter().chain(other.until).min(),
        ..*one
    }
}

impl TryFrom<Vec<(EnteredBy, Licences)>> for Attested {
    type Error = NotAttested;

    fn try_from(lists: Vec<(EnteredBy, Licences)>) -> Result<Self, NotAttested> {
        let fits = lists.len() <= Self::LISTS_MAX
            && lists.is_sorted_by(|one, next| one.0 < next.0)
            && lists.iter().all(|(_, licences)| !licences.is_empty());
        if fits { Ok(Self(lists.into())) } else { Err(NotAttested) }
    }
}

impl From<Attested> for Vec<(EnteredBy, Licences)> {
    fn from(attested: Attested) -> Self {
        attested.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::licensure::{LicenceKind, LicenceSource};

    fn org(n: u8) -> OrgId {
        OrgId::from_bytes([n; 16])
    }

    fn some() -> Licences {
        let day = "2024-01-01".parse().expect("a day");
        let one = Licence {
            jurisdiction: "US-TX".parse().expect("a jurisdiction"),
            kind: LicenceKind::Full,
            number: "T1".parse().expect("a number"),
            status: LicenceStatus::Active,
            status_since: day,
            from: day,
            until: None,
            source: LicenceSource::StateBoard,
            verified: day,
        };
        Licences::new(vec![one]).expect("a list")
    }

    #[test]
    fn there_is_one_list_of_each_also_when_it_is_read() {
        let ours = EnteredBy::Organisation(org(2));
        let all = Attested::alike(&[org(3), org(1)], &some()).expect("two lists");
        let all = all.with(ours, some()).and_then(|all| all.with(EnteredBy::Operator, some())).expect("four");
        assert_eq!((all.by().count(), all.iter().count()), (4, 4));
        assert!(all.by().is_sorted(), "{all:?}");
        let bytes = postcard::to_allocvec(&all).expect("encodes");
        assert_eq!(postcard::from_bytes::<Attested>(&bytes).as_ref(), Ok(&all));
        assert_eq!(all.with(ours, some()).as_ref(), Ok(&all), "the same again");
        let without = all.with(ours, Licences::default()).expect("three lists");
        assert!(without.of(ours).is_empty() && without.by().count() == 3, "none is no list");
        let list = |n| (EnteredBy::Organisation(org(n)), some());
        for wrong in [
            vec![list(2), list(1)],
            vec![list(1), list(1)],
            vec![(EnteredBy::Operator, Licences::default())],
            (0..18).map(list).collect(),
        ] {
            assert_eq!(Attested::try_from(wrong.clone()), Err(NotAttested));
            let bytes = postcard::to_allocvec(&wrong).expect("encodes");
            assert!(postcard::from_bytes::<Attested>(&bytes).is_err());
        }
        assert!(Attested::try_from((0..17).map(list).collect::<Vec<_>>()).is_ok(), "the control");
    }
}
