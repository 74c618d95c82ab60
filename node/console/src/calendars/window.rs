//! Who has a free slot in a window of time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use node_access::parameters::bad;
use node_access::{Act, OpenCall};
use residency_control::Provider;
use residency_control::calendar::slots::free;
use residency_control::calendar::{Ledger, Slot};
use residency_policy::{Jurisdiction, OrgId, Problem};

use super::api::slots::check_window;
use super::booking::may_practise;
use super::when;

/// A window of time, the calendars, and who asks.
pub(crate) struct Window {
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    org: OrgId,
    ledger: Ledger,
}

impl Window {
    /// Reads `available_from` and `available_to`, which come together or not at all.
    pub(crate) fn read<A: Act>(call: &OpenCall<A>) -> Result<Option<Self>, Problem> {
        let given = |name| call.parameters.get(name);
        let (from, to) = match (given("available_from"), given("available_to")) {
            (None, None) => return Ok(None),
            (Some(from), Some(to)) => (from, to),
            (Some(_), None) => return Err(bad("available_to", "required", "is required with available_from")),
            (None, Some(_)) => return Err(bad("available_from", "required", "is required with available_to")),
        };
        let read =
            |text, name| when::instant_or_date(text, &TimeZone::UTC).map_err(|wrong| wrong.of_parameter(name));
        let (from, to) = (read(from, "available_from")?, read(to, "available_to")?);
        check_window(from, to, "available_to")?;
        let (now, ledger) = (call.here.clock.now(), call.here.directory.ledger().1);
        Ok(Some(Self { from, to, now, org: call.caller.org, ledger }))
    }

    /// Whether a clinician of the asking organisation has a free slot in it, on a day on which they may practise in the
    /// state that is asked for: a licence of today is none for a visit after its end. Others' calendars are nobody's
    /// business.
    pub(crate) fn has_room(&self, provider: &Provider, state: Option<Jurisdiction>) -> bool {
        let own = provider.orgs.contains(self.org);
        let book = self.ledger.book(provider.id).filter(|_| own);
        book.is_some_and(|book| {
            let practises =
                |slot: &Slot| state.is_none_or(|state| may_practise(provider, self.org, state, *slot).is_ok());
            let zone = book.calendar().zone.find();
            zone.is_ok_and(|zone| free(book, &zone, self.from, self.to, self.now).any(|slot| practises(&slot)))
        })
    }
}
