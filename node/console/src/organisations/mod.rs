//! Organisations: the tenants, replicated to every node. Their names are public; nothing here is PHI.

pub mod api;
mod identifiers;

use http::header::ETAG;
use http::{HeaderMap, HeaderName, HeaderValue};
use node_access::page::{PageInfo, PageRequest, Position};
use node_access::problem::not_found;
use node_access::{Act, Credential, Here, Jurisdictions, LogIndex, OpenCall, OrgView, Refused, etag};
use residency_policy::facility::Given;
use residency_policy::{OrgId, OrgType, Problem, ProblemKind, wire};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::create::create))
        .routes(routes!(api::read::read, api::update::update, api::close::close))
        .routes(routes!(
            api::legal_basis::show::show,
            api::legal_basis::replace::replace,
            api::legal_basis::remove::remove
        ))
}

/// An organisation.
#[derive(Serialize, ToSchema)]
#[schema(as = Organisation)]
#[serde(deny_unknown_fields)]
pub struct OrganisationBody {
    /// Its id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Its public name.
    #[schema(example = "Lone Star Family Clinic")]
    pub name: String,
    /// What kind it is.
    #[serde(rename = "type")]
    #[schema(pattern = "^(provider|lab|pharmacy|marketing|auditor)$", example = "provider")]
    pub kind: &'static str,
    /// Where it serves, as ISO 3166-2 codes. Of a laboratory or a pharmacy, where it is licensed.
    #[schema(example = json!(["US-TX"]))]
    pub serves: Vec<&'static str>,
    /// A laboratory's certificate (42 CFR 493).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{2}D[0-9]{7}$", example = "45D0000001")]
    pub clia: Option<String>,
    /// A pharmacy's NCPDP Provider ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{7}$", example = "4500001")]
    pub ncpdp: Option<String>,
    /// A pharmacy's own NPI (45 CFR 162.408).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    pub npi: Option<String>,
    /// Whether its keys are good.
    pub active: bool,
    /// Why it was closed for good, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(ceased|merged|contract-ended|entered-in-error|compromised)$", example = "merged")]
    pub closed: Option<&'static str>,
}

/// A page of organisations.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationPage {
    /// The organisations, by id.
    pub data: Vec<OrganisationBody>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl From<OrgView> for OrganisationBody {
    fn from(view: OrgView) -> Self {
        let Given { clia, ncpdp, npi } = view.facility.map_or_else(Given::default, |one| one.given());
        Self {
            id: view.id.to_string(),
            name: view.name,
            kind: view.org_type.as_str(),
            serves: codes(view.serves),
            clia: clia.map(|clia| clia.to_string()),
            ncpdp: ncpdp.map(|ncpdp| ncpdp.to_string()),
            npi: npi.map(|npi| npi.to_string()),
            active: view.active,
            closed: view.closed.map(residency_policy::Closure::as_str),
        }
    }
}

fn codes(set: Jurisdictions) -> Vec<&'static str> {
    set.iter().map(residency_policy::Jurisdiction::code).collect()
}

/// The headers of an answer that rests on the replicated log: how far in it the answer is.
pub(crate) fn stands_at(index: LogIndex) -> HeaderMap {
    [(HeaderName::from_static(wire::LOG_INDEX), HeaderValue::from(index.0))].into_iter().collect()
}

/// The same of an answer that shows one version of something.
pub(crate) fn shown(version: u64, index: LogIndex) -> HeaderMap {
    let mut headers = stands_at(index);
    headers.insert(ETAG, etag::of(version));
    headers
}

/// Whether a caller may know of an organisation. Those who treat need to know who else does; a marketing partner knows
/// itself, and learns nothing of its rivals.
fn is_shown(caller: &Credential, org: OrgId) -> bool {
    caller.org_type != OrgType::Marketing || caller.org == org
}

/// The organisation in the path, if the caller may know of it.
fn looked_up<A: Act>(call: &OpenCall<A>) -> Result<OrgView, Problem> {
    let org: OrgId = call.path("id")?;
    let known = call.here.directory.organisation(org).filter(|view| is_shown(&call.caller, view.id));
    known.ok_or_else(not_found)
}

/// The organisation in the path, which must be the caller's own. To whoever may look at another one, that it is there is
/// no secret.
fn own<A: Act>(call: &OpenCall<A>) -> Result<OrgView, Refused> {
    let view = looked_up(call)?;
    if view.id == call.caller.org { Ok(view) } else { Err(Problem::new(ProblemKind::Forbidden).into()) }
}

/// One page of a list that is in memory and in order.
pub(crate) fn page_of<A: Act, T>(
    call: &OpenCall<A>,
    request: &PageRequest,
    all: Vec<T>,
    position: impl Fn(&T) -> Position,
) -> Result<(Vec<T>, PageInfo), Refused> {
    let fetch = usize::try_from(request.fetch()).unwrap_or(usize::MAX);
    let after = |item: &T| request.after.is_none_or(|after| position(item).id > after.id);
    let mut rows: Vec<T> = all.into_iter().filter(after).take(fetch).collect();
    let page = request.cut(&mut rows, &*call.here.entropy, position)?;
    Ok((rows, page))
}
