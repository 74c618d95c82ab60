//! What a link is like in one direction.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A whole, in the unit of every chance here: parts in a million.
pub const CERTAIN: u32 = 1_000_000;
/// The longest delay or jitter, in microseconds: a minute, after which every protocol has given up.
pub const DELAY_US_MAX: u64 = 60_000_000;
/// The smallest and the largest bandwidth, in kbit/s.
pub const RATE_KBIT: std::ops::RangeInclusive<u64> = 8..=10_000_000;

/// What happens to packets that go one way over a link. The default does nothing to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// How long a packet is under way, in microseconds: half of a round trip.
    pub delay_us: u64,
    /// Up to this much longer, in microseconds, evenly spread. It alone never changes the order of packets.
    pub jitter_us: u64,
    /// How many packets are lost, in parts per million.
    pub loss_ppm: u32,
    /// How many packets come twice, in parts per million.
    pub duplicate_ppm: u32,
    /// How many packets are overtaken by later ones, in parts per million.
    pub reorder_ppm: u32,
    /// Bits of whole IP packets each second, in thousands; `None` has no bound.
    pub rate_kbit: Option<u64>,
    /// How many bytes may wait for their turn when there is a rate. What comes on top is lost.
    pub queue_bytes: u64,
    /// Nothing gets through.
    pub cut: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            delay_us: 0,
            jitter_us: 0,
            loss_ppm: 0,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            rate_kbit: None,
            queue_bytes: 256 << 10,
            cut: false,
        }
    }
}

impl Shape {
    /// A link that does nothing but take this long.
    #[must_use]
    pub fn delay(one_way: Duration) -> Self {
        let delay_us = u64::try_from(one_way.as_micros()).unwrap_or(u64::MAX).min(DELAY_US_MAX);
        Self { delay_us, ..Self::default() }
    }

    /// Whether a link can be like this; if not, what is wrong.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("delay", self.delay_us), ("jitter", self.jitter_us)] {
            if value > DELAY_US_MAX {
                return Err(format!("the {name} must be at most {} s", DELAY_US_MAX / 1_000_000));
            }
        }
        for (name, value) in
            [("loss", self.loss_ppm), ("duplication", self.duplicate_ppm), ("reordering", self.reorder_ppm)]
        {
            if value > CERTAIN {
                return Err(format!("the {name} must be at most 100 %"));
            }
        }
        if self.rate_kbit.is_some_and(|rate| !RATE_KBIT.contains(&rate)) {
            return Err(format!(
                "the rate must lie between {} and {} kbit/s",
                RATE_KBIT.start(),
                RATE_KBIT.end()
            ));
        }
        Ok(())
    }
}

/// A change of a link: what is not said stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the field of `Shape` of the same name")]
pub struct Change {
    pub delay_us: Option<u64>,
    pub jitter_us: Option<u64>,
    pub loss_ppm: Option<u32>,
    pub duplicate_ppm: Option<u32>,
    pub reorder_ppm: Option<u32>,
    /// 0 takes the bound away.
    pub rate_kbit: Option<u64>,
    pub cut: Option<bool>,
}

impl Change {
    /// The shape after this change.
    #[must_use]
    pub fn of(&self, was: Shape) -> Shape {
        Shape {
            delay_us: self.delay_us.unwrap_or(was.delay_us),
            jitter_us: self.jitter_us.unwrap_or(was.jitter_us),
            loss_ppm: self.loss_ppm.unwrap_or(was.loss_ppm),
            duplicate_ppm: self.duplicate_ppm.unwrap_or(was.duplicate_ppm),
            reorder_ppm: self.reorder_ppm.unwrap_or(was.reorder_ppm),
            rate_kbit: self.rate_kbit.map_or(was.rate_kbit, |rate| (rate > 0).then_some(rate)),
            queue_bytes: was.queue_bytes,
            cut: self.cut.unwrap_or(was.cut),
        }
    }
}

/// A share in per cent, such as `1.5` or `1.5%`, in parts per million.
pub fn share(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no share: expected per cent with at most four decimals, such as 1.5");
    let bare = text.trim().trim_end_matches('%').trim_end();
    let (whole, decimals) = bare.split_once('.').unwrap_or((bare, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
        return Err(wrong());
    }
    let ppm: u32 = format!("{whole}{decimals:0<4}").parse().map_err(|_| wrong())?;
    if ppm > CERTAIN { Err(wrong()) } else { Ok(ppm) }
}

/// For people: `31 ms ± 5 ms, 1 % lost`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut {
            return f.write_str("cut");
        }
        write!(f, "{}", Decimals(self.delay_us, 1_000, " ms"))?;
        if self.jitter_us > 0 {
            write!(f, " to {}", Decimals(self.delay_us + self.jitter_us, 1_000, " ms"))?;
        }
        for (ppm, what) in
            [(self.loss_ppm, "lost"), (self.duplicate_ppm, "twice"), (self.reorder_ppm, "overtaken")]
        {
            if ppm > 0 {
                write!(f, ", {} {what}", Decimals(u64::from(ppm), 10_000, " %"))?;
            }
        }
        if let Some(rate) = self.rate_kbit {
            write!(f, ", {rate} kbit/s")?;
        }
        Ok(())
    }
}

/// A number in a larger unit, with as many decimals as it needs.
struct Decimals(u64, u64, &'static str);

impl fmt::Display for Decimals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, unit, name) = *self;
        let width = unit.ilog10() as usize;
        let text = format!("{}.{:0width$}", value / unit, value % unit);
        write!(f, "{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_exactly_and_nothing_else_is() {
        for (text, ppm) in [("1", 10_000), ("1.5%", 15_000), ("0.0001", 1), ("100 %", CERTAIN), ("0", 0)] {
            assert_eq!(share(text), Ok(ppm), "{text}");
        }
        for text in ["", "-1", "1e2", "100.1", "0.00001", ".", "1.", "99999999999", "%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let was =
            Shape { loss_ppm: 7, rate_kbit: Some(100), cut: true, ..Shape::delay(Duration::from_millis(31)) };
        assert_eq!(Change::default().of(was), was);
        let healed = Change { cut: Some(false), rate_kbit: Some(0), ..Change::default() }.of(was);
        assert_eq!(healed, Shape { cut: false, rate_kbit: None, ..was });
    }

    #[test]
    fn what_no_link_can_be_is_refused_with_its_name() {
        for (shape, says) in [
            (Shape { delay_us: DELAY_US_MAX + 1, ..Shape::default() }, "delay"),
            (Shape { jitter_us: u64::MAX, ..Shape::default() }, "jitter"),
            (Shape { loss_ppm: CERTAIN + 1, ..Shape::default() }, "loss"),
            (Shape { rate_kbit: Some(1), ..Shape::default() }, "rate"),
        ] {
            assert!(shape.check().is_err_and(|e| e.contains(says)), "{says}");
        }
        assert_eq!(Shape::default().check(), Ok(()));
    }

    #[test]
    fn a_shape_is_said_in_the_units_of_people() {
        let shape = Shape {
            jitter_us: 5_000,
            loss_ppm: 15_000,
            rate_kbit: Some(2_000),
            ..Shape::delay(Duration::from_micros(31_250))
        };
        assert_eq!(shape.to_string(), "31.25 ms to 36.25 ms, 1.5 % lost, 2000 kbit/s");
        assert_eq!(Shape { cut: true, ..shape }.to_string(), "cut");
        assert_eq!(Shape::default().to_string(), "0 ms");
    }
}
