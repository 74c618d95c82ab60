//! Lists clinicians, or finds some.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenWindowProblems, PageParameters};
use node_access::page::{self, Position};
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::ProviderRank;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::organisations::stands_at;
use crate::providers::search::{Found, PARAMETERS, Search};
use crate::providers::view::{AnyProvider, ProviderPage};

/// Listing clinicians.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Provider;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "provider.list";
    const PARAMETERS: &'static [&'static str] = PARAMETERS;
}

/// What a search asks for. All of it may be left out.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is there for the documentation; the parameters are read one by one")]
struct SearchParameters {
    /// Who may practise there on that day, such as `TX` or `US-TX`.
    #[param(pattern = "^(US-)?[A-Z]{2}$", example = "TX")]
    state: Option<String>,
    /// The day that `state` is asked for; today, by UTC, if not given.
    #[param(format = Date, example = "2026-12-01")]
    on: Option<String>,
    /// Who has this NUCC taxonomy code.
    #[param(pattern = "^[0-9]{3}[0-9A-Z]{6}X$", example = "207Q00000X")]
    specialty: Option<String>,
    /// Who speaks this language, as a BCP 47 tag: `es` finds `es-MX` too.
    #[param(max_length = 11, example = "es")]
    language: Option<String>,
    /// Who has this NPI.
    #[param(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    npi: Option<String>,
    /// `any`: also those with whom no patient can be booked.
    #[param(pattern = "^any$")]
    active: Option<String>,
    /// With `available_to`: who works for the caller's organisation and has a free slot that begins in this window; with
    /// `state`, one on a day on which they may practise there. A date (of UTC) or an instant.
    #[param(max_length = 80, example = json!(null))]
    available_from: Option<String>,
    /// Where that window ends, at most 31 days later.
    #[param(max_length = 80, example = json!(null))]
    available_to: Option<String>,
}

/// Lists the clinicians of the cluster, or those who are asked for, in the order in which they were added.
#[utoipa::path(
    get, path = "/v1/providers", operation_id = "list_providers", tag = "providers",
    security(("bearer" = [])),
    params(SearchParameters, PageParameters, ConsistencyParameter),
    responses((status = 200, description = "A page of clinicians", body = ProviderPage, headers(
        ("x-log-index" = u64, description = "How far in the replicated log the answer is")
    )), OpenWindowProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let search = Search::read(&call)?;
    let parameters = &call.parameters;
    let filter = ["state", "on", "specialty", "language", "npi", "active", "available_from", "available_to"];
    let filter = filter.map(|name| parameters.get(name).unwrap_or_default().as_bytes());
    let request = call.page(&filter)?;
    call.read_point().await?;
    let (index, providers) = call.here.directory.providers();
    // A rank is a u32, so a cursor of this list holds no greater one.
    let after = request.after.map(|after| ProviderRank(u32::try_from(after.id.as_u128()).unwrap_or(u32::MAX)));
    let fetch = usize::try_from(request.fetch()).unwrap_or(usize::MAX);
    let mut found = match search.by_npi(&providers) {
        Some(found) => found,
        None => search.find(&providers, after, fetch).await,
    };
    let position = |found: &Found| Position::of_rank(u128::from(found.rank.0));
    let page = request.cut(&mut found, &*call.here.entropy, position)?;
    let shown = call.shown();
    let data = found.iter().map(|found| AnyProvider::of(&found.provider, &shown, found.authority));
    let data = data.collect::<Result<_, _>>()?;
    Ok((page::link(&call.uri, &page), stands_at(index), Json(ProviderPage { data, page })).into_response())
}
