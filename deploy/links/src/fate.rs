//! What becomes of the packet with number n of a link. Pure: no clock, no I/O, and all chance from a seed.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use crate::shape::{CERTAIN, Shape};

/// How much later than in its turn a packet comes that is overtaken. Long enough for the segments that TCP sends
/// together, short against every retransmission timer.
pub const HELD_BACK: Duration = Duration::from_millis(4);

/// What chance says of one packet, each evenly drawn from `0..CERTAIN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    /// Below the loss: it is lost.
    pub lost: u32,
    /// Below the duplication: it comes twice.
    pub twice: u32,
    /// Below the reordering: later ones overtake it.
    pub held: u32,
    /// How much of the jitter it takes.
    pub jitter: u32,
}

/// The dice of packet `packet` of link `link`: always the same under the same seed, whatever the shape is.
pub fn dice(seed: u64, link: u64, packet: u64) -> Dice {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(link);
    rng.set_word_pos(u128::from(packet) * 4);
    // A product's upper half is even enough: off by less than one in four thousand million.
    let mut draw = || {
        let scaled = (u64::from(rng.next_u32()) * u64::from(CERTAIN)) >> 32;
        u32::try_from(scaled).unwrap_or(CERTAIN - 1)
    };
    Dice { lost: draw(), twice: draw(), held: draw(), jitter: draw() }
}

/// What a link remembers from one packet to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// Until when it is busy with what was sent already.
    pub busy_until: Duration,
    /// When the last packet arrives that keeps its turn.
    pub last_arrival: Duration,
}

/// What becomes of a packet. Times are on the clock of `now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The link is cut.
    Cut,
    /// Chance took it.
    Lost,
    /// Too much was waiting already.
    Overflow,
    /// It arrives.
    Arrives {
        /// When.
        at: Duration,
        /// Whether a copy arrives with it.
        twice: bool,
        /// Whether later ones may overtake it.
        held: bool,
    },
}

/// Decides over a packet of `bytes` that is sent `now`, and what the link remembers afterwards.
pub fn fate(shape: &Shape, dice: Dice, line: Line, now: Duration, bytes: u64) -> (Fate, Line) {
    if shape.cut {
        return (Fate::Cut, line);
    }
    if dice.lost < shape.loss_ppm {
        return (Fate::Lost, line);
    }
    let mut line = line;
    let mut sent = now;
    if let Some(rate) = shape.rate_kbit.filter(|rate| *rate > 0) {
        let waiting = line.busy_until.saturating_sub(now);
        if micros(waiting).saturating_mul(rate) / 8_000 + bytes > shape.queue_bytes.max(bytes) {
            return (Fate::Overflow, line);
        }
        // A kbit/s is a bit in a millisecond.
        sent = now + waiting + Duration::from_micros(bytes.saturating_mul(8_000) / rate);
        line.busy_until = sent;
    }
    let jitter = u128::from(shape.jitter_us) * u128::from(dice.jitter) / u128::from(CERTAIN);
    let under_way = shape.delay_us.saturating_add(u64::try_from(jitter).unwrap_or(u64::MAX));
    // Jitter alone lets nobody overtake: on real paths a burst is late as a whole.
    let in_turn = (sent + Duration::from_micros(under_way)).max(line.last_arrival);
    let held = dice.held < shape.reorder_ppm;
    let at = if held {
        in_turn + HELD_BACK
    } else {
        line.last_arrival = in_turn;
        in_turn
    };
    (Fate::Arrives { at, twice: dice.twice < shape.duplicate_ppm, held }, line)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACKETS: u64 = 20_000;

    /// The fates of packets of 1,000 bytes, one each millisecond.
    fn fates(shape: &Shape, seed: u64) -> Vec<Fate> {
        let mut line = Line::default();
        (0..PACKETS)
            .map(|packet| {
                let (fate, after) =
                    fate(shape, dice(seed, 3, packet), line, Duration::from_millis(packet), 1_000);
                line = after;
                fate
            })
            .collect()
    }

    fn share_of(fates: &[Fate], which: impl Fn(&Fate) -> bool) -> usize {
        fates.iter().filter(|f| which(f)).count()
    }

    /// Within five standard deviations of what was asked for.
    fn near(found: usize, ppm: u32) -> bool {
        let (n, p) = (f64::from(u32::try_from(PACKETS).unwrap_or(u32::MAX)), f64::from(ppm) / 1e6);
        let found = f64::from(u32::try_from(found).unwrap_or(u32::MAX));
        (found - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt()
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_another_seed_or_link_does_not() {
        let shape = Shape { loss_ppm: 100_000, jitter_us: 5_000, ..Shape::default() };
        assert_eq!(fates(&shape, 1), fates(&shape, 1));
        assert_ne!(fates(&shape, 1), fates(&shape, 2));
        assert_ne!(dice(1, 3, 0), dice(1, 4, 0));
        assert_ne!(dice(1, 3, 0), dice(1, 3, 1));
    }

    #[test]
    fn a_plain_link_passes_all_at_once_and_in_order() {
        for (packet, fate) in (0..).zip(fates(&Shape::default(), 1)) {
            assert_eq!(fate, Fate::Arrives { at: Duration::from_millis(packet), twice: false, held: false });
        }
    }

    #[test]
    fn as_many_are_lost_doubled_and_overtaken_as_was_asked_for() {
        for ppm in [1_000, 10_000, 50_000, 500_000] {
            let shape = Shape { loss_ppm: ppm, ..Shape::default() };
            let lost = share_of(&fates(&shape, 7), |f| *f == Fate::Lost);
            assert!(near(lost, ppm), "{lost} of {PACKETS} lost at {ppm}");
            let shape = Shape { duplicate_ppm: ppm, ..Shape::default() };
            let twice = share_of(&fates(&shape, 7), |f| matches!(f, Fate::Arrives { twice: true, .. }));
            assert!(near(twice, ppm), "{twice} of {PACKETS} came twice at {ppm}");
            let shape = Shape { reorder_ppm: ppm, ..Shape::default() };
            let held = share_of(&fates(&shape, 7), |f| matches!(f, Fate::Arrives { held: true, .. }));
            assert!(near(held, ppm), "{held} of {PACKETS} held at {ppm}");
        }
        assert!(!near(210, 10_000) || !near(290, 10_000), "the bounds can be left");
    }

    #[test]
    fn a_held_packet_comes_after_the_next_and_the_others_keep_their_turn() {
        let shape =
            Shape { reorder_ppm: 100_000, jitter_us: 20_000, ..Shape::delay(Duration::from_millis(30)) };
        let mut last = Duration::ZERO;
        let mut overtaken = 0;
        let all = fates(&shape, 5);
        for pair in all.windows(2) {
            let [Fate::Arrives { at, held, .. }, Fate::Arrives { at: next, .. }] = pair else {
                panic!("{pair:?}")
            };
            if *held {
                overtaken += usize::from(next < at);
            } else {
                assert!(*at >= last);
                last = *at;
            }
        }
        assert!(overtaken > 500, "{overtaken}");
    }

    #[test]
    fn a_rate_spaces_packets_and_a_full_queue_loses_the_rest() {
        // 4 Mbit/s carry half of what is sent; ten packets may wait.
        let shape = Shape { rate_kbit: Some(4_000), queue_bytes: 10_000, ..Shape::default() };
        let all = fates(&shape, 1);
        let arrived: Vec<Duration> = all
            .iter()
            .filter_map(|f| if let Fate::Arrives { at, .. } = f { Some(*at) } else { None })
            .collect();
        assert!(arrived.windows(2).all(|w| w[1] >= w[0] + Duration::from_millis(2)), "a packet takes 2 ms");
        let half = usize::try_from(PACKETS / 2).expect("fits");
        assert!(arrived.len().abs_diff(half) < 20, "{}", arrived.len());
        assert!(share_of(&all, |f| *f == Fate::Overflow) > half - 20);
        let late = arrived.last().expect("some").saturating_sub(Duration::from_millis(PACKETS));
        assert!(late <= Duration::from_millis(22), "at most a full queue: {late:?}");
    }

    #[test]
    fn nothing_passes_a_cut() {
        let shape = Shape { cut: true, ..Shape::default() };
        assert!(fates(&shape, 1).iter().all(|f| *f == Fate::Cut));
    }

    proptest! {
        #[test]
        fn nothing_arrives_before_its_delay_nor_long_after(
            delay_us in 0..1_000_000_u64, jitter_us in 0..1_000_000_u64, seed: u64, packet: u64, at in 0..10_000_u64,
        ) {
            let shape = Shape { delay_us, jitter_us, reorder_ppm: 500_000, ..Shape::default() };
            let now = Duration::from_millis(at);
            let (fate, line) = fate(&shape, dice(seed, 1, packet), Line::default(), now, 1_500);
            let Fate::Arrives { at, twice, .. } = fate else { panic!("{fate:?}") };
            let under_way = at.checked_sub(now).expect("not before it is sent");
            prop_assert!(under_way >= Duration::from_micros(delay_us));
            prop_assert!(under_way <= Duration::from_micros(delay_us + jitter_us) + HELD_BACK);
            prop_assert!(!twice);
            prop_assert_eq!(line.busy_until, Duration::ZERO);
        }

        #[test]
        fn every_die_lies_in_its_range(seed: u64, link: u64, packet: u64) {
            let Dice { lost, twice, held, jitter } = dice(seed, link, packet);
            prop_assert!([lost, twice, held, jitter].iter().all(|d| *d < CERTAIN));
        }
    }
}
