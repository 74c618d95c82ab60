//! The regions of the cluster and where each is reached.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{OpenProblems, PageParameters};
use node_access::page::{self, PageInfo, Position};
use node_access::{Act, Action, Entity, Here, OpenCall, Refused, RegionView, parameters};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::organisations::page_of;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Listing regions.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Region;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "region.list";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING;
}

/// A region.
#[derive(Serialize, ToSchema)]
#[schema(as = Region)]
#[serde(deny_unknown_fields)]
pub struct RegionBody {
    /// The short name.
    #[schema(pattern = "^[a-z]{2}$", example = "tx")]
    pub name: String,
    /// Whose law applies.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub jurisdiction: String,
    /// The region's own endpoint.
    #[schema(example = "https://tx.example.net:8443")]
    pub url: String,
    /// Whether the node that answers serves it.
    pub here: bool,
}

/// A page of regions.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionPage {
    /// The regions, in a fixed order.
    pub data: Vec<RegionBody>,
    /// How the list goes on.
    pub page: PageInfo,
}

/// Lists the regions of the cluster.
#[utoipa::path(
    get, path = "/v1/regions", operation_id = "list_regions", tag = "regions",
    security(("bearer" = [])),
    params(PageParameters),
    responses((status = 200, description = "A page of regions", body = RegionPage), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let request = call.page(&[])?;
    let mut all = call.here.directory.regions();
    all.sort_by_key(|view| view.region);
    let (rows, page) = page_of(&call, &request, all, position)?;
    let here = call.here.region;
    let data = rows
        .into_iter()
        .map(|RegionView { region, url }| RegionBody {
            name: region.name().to_string(),
            jurisdiction: region.to_string(),
            url,
            here: region == here,
        })
        .collect();
    Ok((page::link(&call.uri, &page), Json(RegionPage { data, page })).into_response())
}

/// A region's place in the order, in the shape that a cursor holds.
fn position(view: &RegionView) -> Position {
    Position::of_rank(u128::from(view.region.0.index()))
}
