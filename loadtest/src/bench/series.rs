//! Subject and peer take turns in one series, so that both meet the same machine.

use std::time::Duration;

use crate::tell::warn;

/// How turns are taken.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often everybody has a turn.
    pub rounds: usize,
    /// How long one turn is.
    pub turn: Duration,
    /// How long everybody rests after it. The real-time class leaves the rest of the machine 5 % of the time.
    pub pause: Duration,
    /// Only contenders whose names contain this take turns. What is beside one that does not has no figure.
    pub only: Option<String>,
}

/// What one turn gave: figures by their names. Every contender gives the names it can.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample(Vec<(&'static str, f64)>);

/// Operations per second.
pub const RATE: &str = "operations/s";
/// Processor time per operation in microseconds.
pub const CPU: &str = "CPU us/operation";
/// The median latency in microseconds.
pub const P50: &str = "p50 us";
/// The latency that 95 of 100 do not exceed, in microseconds.
pub const P95: &str = "p95 us";
/// The latency that 99 of 100 do not exceed, in microseconds.
pub const P99: &str = "p99 us";

impl Sample {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this figure.
    #[must_use]
    pub fn with(mut self, name: &'static str, figure: f64) -> Self {
        self.0.push((name, figure));
        self
    }

    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, figure)| *figure)
    }
}

/// How often a turn is taken again that failed.
const TURNS_AGAIN: u32 = 2;

type Turn<'a> = Box<dyn FnMut(Duration) -> anyhow::Result<Sample> + 'a>;

/// Who takes turns.
pub struct Contender<'a> {
    name: String,
    turn: Turn<'a>,
}

impl<'a> Contender<'a> {
    /// Somebody who works for the given time and says what came of it.
    pub fn new(name: impl Into<String>, turn: impl FnMut(Duration) -> anyhow::Result<Sample> + 'a) -> Self {
        Self { name: name.into(), turn: Box::new(turn) }
    }

    /// One turn. One that failed is taken again, and said: a machine that does other things may lose a connection.
    fn take_turn(&mut self, length: Duration) -> anyhow::Result<Sample> {
        let mut again = TURNS_AGAIN;
        loop {
            match (self.turn)(length) {
                Err(error) if again > 0 => {
                    again -= 1;
                    warn(&format!("  {}: {error:#}; once more", self.name));
                }
                done => return done,
            }
        }
    }
}

/// What all turns gave.
#[derive(Debug, Clone)]
pub struct Series {
    samples: Vec<(String, Vec<Sample>)>,
}

/// A figure over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Half of the rounds were below it.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of these figures, of which there must be one.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Self { median, min, max })
    }
}

/// Everybody in turn, round by round; every other round goes backwards, so that nobody always comes after the same
/// neighbour. One turn before the first round, which warms caches and connections, counts for nothing.
pub fn alternate(plan: &Plan, mut contenders: Vec<Contender<'_>>) -> anyhow::Result<Series> {
    contenders.retain(|contender| plan.only.as_ref().is_none_or(|only| contender.name.contains(only)));
    let mut samples: Vec<(String, Vec<Sample>)> =
        contenders.iter().map(|contender| (contender.name.clone(), Vec::new())).collect();
    for contender in &mut contenders {
        contender.take_turn(plan.turn / 2)?;
    }
    for round in 0..plan.rounds {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            std::thread::sleep(plan.pause);
            samples[at].1.push(contenders[at].take_turn(plan.turn)?);
        }
        warn(&format!("  round {} of {}", round + 1, plan.rounds));
    }
    Ok(Series { samples })
}

impl Series {
    /// Who took part.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|(name, _)| name.as_str())
    }

    fn of(&self, name: &str) -> &[Sample] {
        self.samples.iter().find(|(known, _)| known == name).map_or(&[], |(_, samples)| samples)
    }

    /// A figure of one contender over the rounds.
    pub fn spread(&self, name: &str, figure: &str) -> Option<Spread> {
        Spread::of(self.of(name).iter().filter_map(|sample| sample.get(figure)).collect())
    }

    /// A figure of `subject` divided by that of `peer` in the same round.
    pub fn ratio(&self, subject: &str, peer: &str, figure: &str) -> Option<Spread> {
        let pairs = self.of(subject).iter().zip(self.of(peer));
        Spread::of(pairs.filter_map(|(ours, theirs)| Some(ours.get(figure)? / theirs.get(figure)?)).collect())
    }

    /// What `subject` adds to the figure of `bare`, divided by what `peer` adds to it in the same round.
    pub fn added(&self, subject: &str, peer: &str, bare: &str, figure: &str) -> Option<Spread> {
        let rounds = self.of(subject).iter().zip(self.of(peer)).zip(self.of(bare));
        Spread::of(
            rounds
                .filter_map(|((ours, theirs), bare)| {
                    let bare = bare.get(figure)?;
                    Some((ours.get(figure)? - bare) / (theirs.get(figure)? - bare))
                })
                .collect(),
        )
    }

    /// [`Series::ratio`] between two figures, for contenders whose figures have different names.
    pub fn ratio_of(&self, subject: (&str, &str), peer: (&str, &str)) -> Option<Spread> {
        let pairs = self.of(subject.0).iter().zip(self.of(peer.0));
        Spread::of(
            pairs.filter_map(|(ours, theirs)| Some(ours.get(subject.1)? / theirs.get(peer.1)?)).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const PLAN: Plan = Plan { rounds: 3, turn: Duration::from_millis(4), pause: Duration::ZERO, only: None };

    #[test]
    fn turns_alternate_and_the_warming_turn_counts_for_nothing() {
        let said = RefCell::new(String::new());
        let contender = |name: &'static str| {
            let said = &said;
            Contender::new(name, move |_| {
                said.borrow_mut().push_str(name);
                Ok(Sample::new().with(RATE, f64::from(u8::try_from(said.borrow().len()).expect("short"))))
            })
        };
        let series = alternate(&PLAN, vec![contender("a"), contender("b")]).expect("runs");
        assert_eq!(*said.borrow(), "ababbaab");
        assert_eq!(series.spread("a", RATE), Some(Spread { median: 6.0, min: 3.0, max: 7.0 }));
        assert_eq!(series.spread("a", CPU), None);
        let ratio = series.ratio("a", "b", RATE).expect("pairs");
        assert_eq!((ratio.min, ratio.max), (3.0 / 4.0, 6.0 / 5.0));
    }

    #[test]
    fn who_is_not_asked_for_takes_no_turn() {
        let contender = |name: &'static str| Contender::new(name, |_| Ok(Sample::new().with(RATE, 1.0)));
        let plan = Plan { only: Some("us".to_owned()), ..PLAN };
        let series = alternate(&plan, vec![contender("us"), contender("peer")]).expect("runs");
        assert_eq!(series.names().collect::<Vec<_>>(), ["us"]);
        assert_eq!(series.ratio("us", "peer", RATE), None);
    }

    #[test]
    fn what_is_added_is_compared_within_a_round() {
        let contender =
            |name: &'static str, p50: f64| Contender::new(name, move |_| Ok(Sample::new().with(P50, p50)));
        let turns = vec![contender("direct", 50.0), contender("peer", 110.0), contender("ours", 95.0)];
        let series = alternate(&PLAN, turns).expect("runs");
        assert_eq!(series.added("ours", "peer", "direct", P50).map(|s| s.median), Some(0.75));
    }

    #[test]
    fn a_turn_that_fails_now_and_then_is_taken_again_and_one_that_always_fails_is_no_figure() {
        let flaky = |fails: u32| {
            let mut taken = 0;
            Contender::new("flaky", move |_| {
                taken += 1;
                anyhow::ensure!(taken % (fails + 1) == 0, "refused");
                Ok(Sample::new().with(RATE, 1.0))
            })
        };
        let series = alternate(&PLAN, vec![flaky(TURNS_AGAIN)]).expect("runs");
        assert_eq!(series.spread("flaky", RATE).map(|s| s.median), Some(1.0));
        assert!(alternate(&PLAN, vec![flaky(TURNS_AGAIN + 1)]).is_err());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).map(|s| s.median), Some(2.5));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
