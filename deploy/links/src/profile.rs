//! Whole sets of links that have a name.

use std::time::Duration;

use crate::shape::Shape;

mod atlas;

/// A set of links between places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it is like, for people.
    pub about: &'static str,
    far: bool,
    spoilt: Shape,
}

/// Nothing is done to a packet by it, and it takes no time.
const PLAIN: Shape = Shape {
    delay_us: 0,
    jitter_us: 0,
    loss_ppm: 0,
    duplicate_ppm: 0,
    reorder_ppm: 0,
    rate_kbit: None,
    queue_bytes: 256 << 10,
    cut: false,
};

/// Every profile.
pub const PROFILES: [Profile; 4] = [
    Profile {
        name: "us",
        about: "round trips as between data centres of these states: CA-NY 62 ms, NY-TX 38 ms, CA-TX 35 ms",
        far: true,
        spoilt: PLAIN,
    },
    Profile {
        name: "rough",
        about: "the same, with 5 ms of jitter, 1 % of packets lost, 1 % overtaken and 0.5 % doubled, each way",
        far: true,
        spoilt: Shape {
            jitter_us: 5_000,
            loss_ppm: 10_000,
            duplicate_ppm: 5_000,
            reorder_ppm: 10_000,
            ..PLAIN
        },
    },
    Profile {
        name: "narrow",
        about: "the round trips of `us`, and 10 Mbit/s each way with a queue of 256 KiB",
        far: true,
        spoilt: Shape { rate_kbit: Some(10_000), ..PLAIN },
    },
    Profile {
        name: "still",
        about: "links that do nothing yet, to be changed with `domicile dev link`",
        far: false,
        spoilt: PLAIN,
    },
];

impl Profile {
    /// The profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// One direction of the link between two places (ISO 3166-2).
    pub fn between(&self, from: &str, to: &str) -> Shape {
        let delay = if self.far { round_trip(from, to) / 2 } else { Duration::ZERO };
        Shape { delay_us: Shape::delay(delay).delay_us, ..self.spoilt }
    }
}

/// Figures that providers publish for their long-distance paths; rounded medians, both ways the same.
const PUBLISHED: &[(&str, &str, u64)] =
    &[("US-CA", "US-NY", 62), ("US-CA", "US-TX", 35), ("US-NY", "US-TX", 38)];

/// Between two machines in one place.
const NEAR: Duration = Duration::from_micros(500);

/// The round trip between two places: as published, or else from the distance. Light in fibre goes 200 km in a
/// millisecond, paths are about half as long again as the great circle, and equipment takes 2 ms.
pub fn round_trip(from: &str, to: &str) -> Duration {
    if from == to {
        return NEAR;
    }
    let published = PUBLISHED.iter().find(|(a, b, _)| (*a == from && *b == to) || (*a == to && *b == from));
    if let Some((_, _, ms)) = published {
        return Duration::from_millis(*ms);
    }
    let there_and_back_km = 2.0 * atlas::distance_km(from, to);
    Duration::from_secs_f64((2.0 + there_and_back_km * 1.5 / 200.0) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name_and_no_other_is() {
        for profile in PROFILES {
            assert_eq!(Profile::named(profile.name), Some(profile));
            assert_eq!(profile.between("US-CA", "US-TX").check(), Ok(()));
        }
        assert_eq!(Profile::named("US"), None);
    }

    #[test]
    fn a_direction_takes_half_of_a_round_trip() {
        let us = Profile::named("us").expect("is there");
        assert_eq!(us.between("US-CA", "US-NY").delay_us, 31_000);
        assert_eq!(us.between("US-NY", "US-CA"), us.between("US-CA", "US-NY"));
        assert_eq!(us.between("US-TX", "US-TX").delay_us, 250);
        let still = Profile::named("still").expect("is there");
        assert_eq!(still.between("US-CA", "US-NY"), Shape::default());
    }

    #[test]
    fn what_distance_gives_is_near_what_is_published() {
        for (from, to, ms) in PUBLISHED {
            let km = atlas::distance_km(from, to);
            let computed = 2.0 + 2.0 * km * 1.5 / 200.0;
            let published = Duration::from_millis(*ms).as_secs_f64() * 1_000.0;
            assert!((computed / published - 1.0).abs() < 0.25, "{from} {to}: {computed:.0} ms, published {ms}");
        }
        assert!(round_trip("US-WA", "US-FL") > round_trip("US-WA", "US-OR"));
        assert!(round_trip("US-GU", "US-NY") > Duration::from_millis(150));
    }
}
