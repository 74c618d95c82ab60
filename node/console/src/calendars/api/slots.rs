//! Lists the free slots of a window.

use axum::Json;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use node_access::change::CONSISTENCY;
use node_access::doc::{ConsistencyParameter, OpenWindowProblems, ProviderPath, WindowParameters};
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::calendar::slots::free;
use residency_policy::{Problem, ProblemKind};

use crate::calendars::view::{SlotBody, SlotPage};
use crate::calendars::{at_index, booking, when};

/// The widest window.
pub const WINDOW_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The most slots in one answer.
const SLOTS_MAX: usize = 1_000;

/// Listing free slots.
pub struct Slots;

impl Act for Slots {
    const ENTITY: Entity = Entity::Calendar;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "calendar.slots";
    const PARAMETERS: &'static [&'static str] = &["from", "to", "zone", CONSISTENCY];
}

/// Lists the slots that can be booked now, computed from the hours and what is held or booked. A time that the clock
/// is changed past is no slot, and one that it shows twice is two.
#[utoipa::path(
    get, path = "/v1/providers/{id}/slots", operation_id = "find_slots", tag = "calendars",
    security(("bearer" = [])),
    params(ProviderPath, WindowParameters, ConsistencyParameter),
    responses(
        (status = 200, description = "The free slots", body = SlotPage, headers(
            ("x-log-index" = u64, description = "How much of the replicated log it rests on")
        )),
        OpenWindowProblems
    )
)]
pub async fn slots(call: OpenCall<Slots>) -> Result<Response, Refused> {
    let named = call.parameters.get("zone").map(when::zone).transpose().map_err(|w| w.of_parameter("zone"))?;
    let (from, to) = (call.parameters.required("from")?, call.parameters.required("to")?);
    let provider = call.path("id")?;
    let index = call.read_point().await?;
    let (_, book) = booking::book_of(&call.here, provider, call.caller.org)?;
    let own = book.calendar().zone.find().map_err(|_| Refused::internal("calendar.slots: zone"))?;
    let zone = named.unwrap_or_else(|| own.clone());
    let window = |text, name| when::instant_or_date(text, &zone).map_err(|wrong| wrong.of_parameter(name));
    let (from, to) = (window(from, "from")?, window(to, "to")?);
    check_window(from, to, "to")?;
    let mut found = free(&book, &own, from, to, call.here.clock.now());
    let data: Vec<_> = found.by_ref().take(SLOTS_MAX).map(|slot| SlotBody::of(slot, &zone)).collect();
    let next_from = found.next().map(|slot| slot.start.timestamp());
    let zone = zone.iana_name().unwrap_or("UTC").to_owned();
    Ok(at_index(Json(SlotPage { data, zone, next_from }).into_response(), index))
}

/// Whether a window ends after it begins and is not too wide.
pub fn check_window(from: Timestamp, to: Timestamp, name: &'static str) -> Result<(), Problem> {
    if to <= from {
        return Err(node_access::parameters::bad(name, "order", "is after the beginning of the window"));
    }
    if to.duration_since(from) > WINDOW_MAX {
        let kind = ProblemKind::WindowTooWide;
        return Err(Problem::new(kind).field(name, kind.slug(), "is at most 31 days after the beginning"));
    }
    Ok(())
}
