//! No double booking: never more visits at one moment than a provider's capacity.
//!
//! A booking certainly stands from when its confirmation was acknowledged until its cancellation was asked for. Where
//! more of them than the capacity overlap on the calendar and all certainly stand at one moment, somebody will wait
//! in front of a closed door.

use std::collections::BTreeMap;

/// A booking that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Which.
    pub id: String,
    /// With whom.
    pub provider: String,
    /// When the visit begins, in seconds after the Unix epoch.
    pub begins: i64,
    /// When it ends.
    pub ends: i64,
    /// When its confirmation was acknowledged, on the clock of the history.
    pub booked: u64,
    /// When its cancellation was asked for.
    pub cancelled: Option<u64>,
}

/// Every moment of a provider with too many visits, as a sentence.
pub fn violations(bookings: &[Booking], capacity: usize) -> Vec<String> {
    let mut providers: BTreeMap<&str, Vec<&Booking>> = BTreeMap::new();
    for booking in bookings {
        providers.entry(&booking.provider).or_default().push(booking);
    }
    let mut found = Vec::new();
    for (provider, bookings) in providers {
        // Most stand together when one has just been booked, at a moment of the calendar at which one begins.
        for begins in bookings.iter().map(|booking| booking.begins) {
            let there: Vec<&&Booking> =
                bookings.iter().filter(|b| b.begins <= begins && begins < b.ends).collect();
            for booked in there.iter().map(|booking| booking.booked) {
                let stands = |b: &Booking| b.booked <= booked && b.cancelled.is_none_or(|end| booked < end);
                let mut together: Vec<&str> =
                    there.iter().filter(|b| stands(b)).map(|b| b.id.as_str()).collect();
                if together.len() > capacity {
                    together.sort_unstable();
                    found.push(format!("{provider} has {} visits at {begins}: {together:?}", together.len()));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booking(id: &str, begins: i64, booked: u64, cancelled: Option<u64>) -> Booking {
        Booking { id: id.to_owned(), provider: "dr".to_owned(), begins, ends: begins + 30, booked, cancelled }
    }

    #[test]
    fn one_after_the_other_and_after_a_cancellation_is_no_double_booking() {
        let fine = [booking("a", 0, 10, Some(20)), booking("b", 0, 21, None), booking("c", 30, 5, None)];
        assert_eq!(violations(&fine, 1), Vec::<String>::new());
        // The cancellation was asked for, and its answer may have been on its way when the other was confirmed.
        assert_eq!(violations(&[booking("a", 0, 10, Some(20)), booking("b", 0, 20, None)], 1), [""; 0]);
    }

    #[test]
    fn two_in_one_slot_are_caught_and_so_are_two_that_overlap() {
        assert_eq!(violations(&[booking("a", 0, 10, None), booking("b", 0, 11, None)], 1).len(), 1);
        assert_eq!(violations(&[booking("a", 0, 10, Some(12)), booking("b", 0, 11, None)], 1).len(), 1);
        assert_eq!(violations(&[booking("a", 15, 10, None), booking("b", 0, 11, None)], 1).len(), 1);
        assert_eq!(violations(&[booking("a", 0, 10, None), booking("b", 15, 11, None)], 1).len(), 1);
    }

    #[test]
    fn a_group_has_its_capacity_and_not_one_more() {
        let group: Vec<Booking> = (0..4).map(|n| booking(&n.to_string(), 0, n, None)).collect();
        assert_eq!(violations(&group[..3], 3), [""; 0]);
        assert_eq!(violations(&group, 3).len(), 1);
    }
}
