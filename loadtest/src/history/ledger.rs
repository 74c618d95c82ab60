//! Nothing acknowledged is lost: what each record may hold at the end, given what its writers were told.
//!
//! Every record has one writer, who does one thing after the other. So it holds the last value that was
//! acknowledged, or one that was sent after it and not answered.

use std::collections::HashMap;

/// What was written, and what was said about it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    records: HashMap<String, Record>,
}

#[derive(Debug, Clone, Default)]
struct Record {
    acknowledged: Option<String>,
    unanswered: Vec<String>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is as it was acknowledged, or as something unanswered would have made it.
    Kept,
    /// An acknowledged value is gone.
    Lost,
}

impl Ledger {
    /// A value was acknowledged.
    pub fn acknowledged(&mut self, record: &str, value: &str) {
        let record = self.records.entry(record.to_owned()).or_default();
        record.acknowledged = Some(value.to_owned());
        // What went before it has been overwritten, or will be refused for its version.
        record.unanswered.clear();
    }

    /// A value was sent, and nobody knows what became of it.
    pub fn unanswered(&mut self, record: &str, value: &str) {
        self.records.entry(record.to_owned()).or_default().unanswered.push(value.to_owned());
    }

    /// The records of which something was acknowledged.
    pub fn records(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter(|(_, record)| record.acknowledged.is_some()).map(|(name, _)| name.as_str())
    }

    /// How many records there are of which something was acknowledged.
    pub fn len(&self) -> usize {
        self.records().count()
    }

    /// Whether nothing was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Judges what a record holds now; none when it is not there.
    pub fn judge(&self, record: &str, holds: Option<&str>) -> Fate {
        let Some(known) = self.records.get(record) else { return Fate::Kept };
        let allowed = match holds {
            Some(value) => {
                known.acknowledged.as_deref() == Some(value)
                    || known.unanswered.iter().any(|other| other == value)
            }
            None => known.acknowledged.is_none(),
        };
        if allowed { Fate::Kept } else { Fate::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_acknowledged_value_or_a_later_unanswered_one_is_there() {
        let mut ledger = Ledger::default();
        ledger.unanswered("p", "0");
        ledger.acknowledged("p", "1");
        ledger.unanswered("p", "2");
        assert_eq!(ledger.judge("p", Some("1")), Fate::Kept);
        assert_eq!(ledger.judge("p", Some("2")), Fate::Kept);
        assert_eq!((ledger.len(), ledger.records().collect::<Vec<_>>()), (1, vec!["p"]));
    }

    #[test]
    fn a_record_that_is_gone_or_went_back_is_lost() {
        let mut ledger = Ledger::default();
        ledger.acknowledged("p", "1");
        ledger.acknowledged("p", "2");
        for holds in [None, Some("1"), Some("0")] {
            assert_eq!(ledger.judge("p", holds), Fate::Lost, "{holds:?}");
        }
        ledger.unanswered("q", "1");
        assert_eq!(ledger.judge("q", None), Fate::Kept, "it was never acknowledged");
        assert!(!ledger.is_empty());
    }
}
