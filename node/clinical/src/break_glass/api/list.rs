//! Lists what waits for a review.

use axum::response::Response;
use node_access::doc::{HomeParameter, PageParameters, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::{Act, Action, Entity, Refused, RegionCall, idempotency, parameters};
use storage::{Access, AccessAction};

use super::ENTITY;
use super::view::{BreakGlassPage, BreakGlassView};
use crate::break_glass::model::Grant;
use crate::break_glass::store;
use crate::together;

/// Listing what waits for a review.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::BreakGlass;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "break_glass.list";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING_OF_HOME;
}

/// Lists the organisation's break-glass grants at a home that nobody has reviewed, newest first.
#[utoipa::path(
    get, path = "/v1/break-glass/reviews", operation_id = "list_break_glass_reviews", tag = "break-glass",
    security(("bearer" = [])),
    params(HomeParameter, PageParameters, PurposeHeader),
    responses(
        (status = 200, description = "A page of grants", body = BreakGlassPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: RegionCall<List>) -> Result<Response, Refused> {
    let full = call.call.full()?;
    let request = call.call.page(&[call.home().0.0.code().as_bytes()])?;
    let tx = call.look()?;
    let mut rows = store::unreviewed(&tx, &request).await?;
    let page = request.cut(&mut rows, &*call.call.here.entropy, |row: &Grant| Position {
        at: row.granted_at,
        id: row.id.uuid(),
    })?;
    // As one act, and as one for each patient whose grant was shown.
    let each = rows.iter().map(|row| Access::to(AccessAction::List, ENTITY, row.id.uuid(), row.patient));
    let whole = Access { query: Some(request.asked()), ..Access::of(AccessAction::List, ENTITY) };
    let accesses: Vec<_> = std::iter::once(whole).chain(each).collect();
    let data = together(rows.into_iter().map(|row| BreakGlassView::of(row, full)).collect());
    let seen = tx.disclose(&accesses).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, data.map(|data| BreakGlassPage { data, page }), &seen)
}
