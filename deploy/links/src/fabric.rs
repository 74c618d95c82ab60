//! Every link of a set: what it is like now, and what has become of its packets.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fate::{Fate, Line, dice, fate};
use crate::shape::{Change, Shape};
use crate::{Profile, Side};

/// What has become of the packets of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// How many were sent.
    pub sent: u64,
    /// How many of them chance took.
    pub lost: u64,
    /// How many found the queue full.
    pub overflowed: u64,
    /// How many came to a cut.
    pub cut: u64,
    /// How many came twice.
    pub twice: u64,
    /// How many were held back for later ones.
    pub held: u64,
    /// The bytes of those that arrived, a copy not counted.
    pub bytes: u64,
}

/// One direction, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What it is like.
    pub shape: Shape,
    /// What it has done.
    pub counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    shape: Shape,
    line: Line,
    counts: Counts,
}

/// Every link of a set.
#[derive(Debug)]
pub struct Fabric {
    seed: u64,
    sides: Vec<Side>,
    /// From side `i` to side `j` at `i * sides + j`, with the profile that `heal` goes back to.
    links: Mutex<(Profile, Vec<Link>)>,
}

impl Fabric {
    /// Links between each two of these sides, as the profile has them.
    pub fn new(sides: Vec<Side>, profile: Profile, seed: u64) -> Self {
        let links = vec![Link::default(); sides.len() * sides.len()];
        let fabric = Self { seed, sides, links: Mutex::new((profile, links)) };
        fabric.be(profile);
        fabric
    }

    /// Makes every link as this profile has it, and the profile what `heal` goes back to.
    pub fn be(&self, profile: Profile) {
        self.locked(|kept, _| *kept = profile);
        // Everything: nobody is named.
        let _ = self.heal(None, None);
    }

    /// Decides over a packet.
    pub(crate) fn send(&self, from: usize, to: usize, now: Duration, bytes: usize) -> Fate {
        let index = from * self.sides.len() + to;
        let bytes = bytes as u64;
        self.locked(|_, links| {
            let way = &mut links[index];
            let dice = dice(self.seed, index as u64, way.counts.sent);
            let (fate, line) = fate(&way.shape, dice, way.line, now, bytes);
            way.line = line;
            let counts = &mut way.counts;
            counts.sent += 1;
            match fate {
                Fate::Cut => counts.cut += 1,
                Fate::Lost => counts.lost += 1,
                Fate::Overflow => counts.overflowed += 1,
                Fate::Arrives { twice, held, .. } => {
                    counts.bytes += bytes;
                    counts.twice += u64::from(twice);
                    counts.held += u64::from(held);
                }
            }
            fate
        })
    }

    /// Changes the links between two sides, or, where only one is named, all that end there. One way: only from the
    /// first to the second, or only those that leave the one.
    pub fn change(&self, one: &str, other: Option<&str>, one_way: bool, change: Change) -> Result<(), String> {
        let pairs = self.pairs(Some(one), other, one_way)?;
        self.locked(|_, links| {
            let changed: Vec<(usize, Shape)> =
                pairs.iter().map(|index| (*index, change.of(links[*index].shape))).collect();
            changed.iter().try_for_each(|(_, shape)| shape.check())?;
            for (index, shape) in changed {
                links[index].shape = shape;
            }
            Ok(())
        })
    }

    /// Makes links as the profile has them: those between two sides, all of one side, or all.
    pub fn heal(&self, one: Option<&str>, other: Option<&str>) -> Result<(), String> {
        let pairs = self.pairs(one, other, false)?;
        let count = self.sides.len();
        self.locked(|profile, links| {
            for index in pairs {
                let (from, to) = (&self.sides[index / count], &self.sides[index % count]);
                links[index].shape = profile.between(&from.place, &to.place);
            }
        });
        Ok(())
    }

    /// Every direction.
    pub fn rows(&self) -> Vec<Row> {
        let all = self.pairs(None, None, false).unwrap_or_default();
        let name = |side: usize| self.sides[side].name.clone();
        let count = self.sides.len();
        self.locked(|_, links| {
            all.into_iter()
                .map(|index| Row {
                    from: name(index / count),
                    to: name(index % count),
                    shape: links[index].shape,
                    counts: links[index].counts,
                })
                .collect()
        })
    }

    /// How many sides there are.
    pub(crate) fn sides(&self) -> usize {
        self.sides.len()
    }

    fn pairs(&self, one: Option<&str>, other: Option<&str>, one_way: bool) -> Result<Vec<usize>, String> {
        let find = |name: &str| {
            self.sides.iter().position(|side| side.name == name).ok_or_else(|| {
                let names: Vec<&str> = self.sides.iter().map(|side| side.name.as_str()).collect();
                format!("there is no `{name}`: the links are between {}", names.join(", "))
            })
        };
        let (one, other) = (one.map(find).transpose()?, other.map(find).transpose()?);
        if one.is_some() && one == other {
            return Err("a link has two ends".to_owned());
        }
        let count = self.sides.len();
        let is_meant = |from: usize, to: usize| {
            let from_one = one.is_none_or(|one| one == from) && other.is_none_or(|other| other == to);
            let to_one = one.is_none_or(|one| one == to) && other.is_none_or(|other| other == from);
            from != to && (from_one || (to_one && !one_way))
        };
        Ok((0..count * count).filter(|index| is_meant(index / count, index % count)).collect())
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Profile, &mut Vec<Link>) -> T) -> T {
        let mut locked = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let (profile, links) = &mut *locked;
        act(profile, links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fabric() -> Fabric {
        let side = |name: &str| Side { name: name.into(), place: format!("US-{}", name.to_uppercase()) };
        Fabric::new(["ca", "ny", "tx"].map(side).to_vec(), Profile::named("us").expect("is there"), 1)
    }

    fn cut(fabric: &Fabric) -> Vec<String> {
        let rows = fabric.rows();
        rows.iter().filter(|r| r.shape.cut).map(|r| format!("{}-{}", r.from, r.to)).collect()
    }

    const CUT: Change = Change {
        delay_us: None,
        jitter_us: None,
        loss_ppm: None,
        duplicate_ppm: None,
        reorder_ppm: None,
        rate_kbit: None,
        cut: Some(true),
    };

    #[test]
    fn a_cut_is_of_one_way_of_a_pair_or_of_a_side_and_heals() {
        let fabric = fabric();
        let before = fabric.rows();
        assert_eq!(before.len(), 6);
        for (other, one_way, expected) in [
            (Some("ny"), true, vec!["tx-ny"]),
            (Some("ny"), false, vec!["ny-tx", "tx-ny"]),
            (None, true, vec!["tx-ca", "tx-ny"]),
            (None, false, vec!["ca-tx", "ny-tx", "tx-ca", "tx-ny"]),
        ] {
            fabric.change("tx", other, one_way, CUT).expect("is cut");
            assert_eq!(cut(&fabric), expected);
            fabric.heal(Some("tx"), None).expect("heals");
            assert_eq!(fabric.rows(), before);
        }
        fabric.change("tx", None, false, CUT).expect("is cut");
        fabric.heal(Some("tx"), Some("ny")).expect("heals");
        assert_eq!(cut(&fabric), ["ca-tx", "tx-ca"]);
    }

    #[test]
    fn a_change_that_no_link_can_take_changes_nothing() {
        let fabric = fabric();
        let before = fabric.rows();
        let wrong = Change { delay_us: Some(u64::MAX), ..CUT };
        assert!(fabric.change("tx", None, false, wrong).is_err());
        assert!(fabric.change("wa", None, false, CUT).is_err_and(|e| e.contains("ca, ny, tx")));
        assert!(fabric.change("tx", Some("tx"), false, CUT).is_err());
        assert_eq!(fabric.rows(), before);
    }

    #[test]
    fn what_becomes_of_packets_is_counted_and_another_profile_is_taken_at_once() {
        let fabric = fabric();
        let send = || fabric.send(2, 1, Duration::ZERO, 100);
        assert!(matches!(send(), Fate::Arrives { at, .. } if at == Duration::from_millis(19)));
        fabric.be(Profile::named("still").expect("is there"));
        // What was sent before keeps its turn.
        assert!(matches!(send(), Fate::Arrives { at, .. } if at == Duration::from_millis(19)));
        fabric.change("tx", Some("ny"), true, CUT).expect("is cut");
        assert_eq!(send(), Fate::Cut);
        let rows = fabric.rows();
        let row = rows.iter().find(|r| r.from == "tx" && r.to == "ny").expect("is there");
        assert_eq!(row.counts, Counts { sent: 3, cut: 1, bytes: 200, ..Counts::default() });
    }
}
