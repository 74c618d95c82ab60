//! The region's audit log for whoever wants to check it (C2SP tlog-tiles): its newest checkpoint, its tiles, its entries.
//!
//! Nobody has to be known to read it. What is in it are sizes, hashes, and salted commitments to access records, which tell
//! nothing about a record until it and its salt are shown ([`residency_tlog::commitment`]); a log that only some may read
//! could be another one for each of them. Requests are counted by address as all are.
//!
//! Its prefix is `/v1/audit/log/` at the region's own endpoint. At a router the query names the home, and so may it here.

mod cosigned;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Uri};
use node_access::doc::PublicProblems;
use node_access::problem::not_found;
use node_access::{Here, Refused};
use residency_policy::wire;
use residency_tlog::Resource;
use storage::audit_tree::TreeError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What is full never changes (RFC 9111 section 5.2.2, RFC 8246).
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// What grows.
const ANEW: &str = "no-cache";
const TEXT: &str = "text/plain; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(checkpoint))
        .routes(routes!(cosigned::cosigned))
        .routes(routes!(cosigned::keys))
        .routes(routes!(tile))
        .routes(routes!(tile_of_two))
        .routes(routes!(tile_of_three))
        .routes(routes!(tile_of_four))
}

/// The newest checkpoint of the region's audit log: a C2SP signed note over how many access records it has, and the root
/// of the RFC 6962 tree over them. Not found before the first record was written.
#[utoipa::path(
    get, path = "/v1/audit/log/checkpoint", operation_id = "read_log_checkpoint", tag = "operations",
    security(()),
    params(("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")),
    responses(
        (status = 200, description = "The signed note", body = String, content_type = "text/plain"),
        PublicProblems
    )
)]
async fn checkpoint(State(here): State<Here>, uri: Uri) -> Result<Response, Refused> {
    of_here(&here, &uri)?;
    let newest = here.pool.audit_checkpoint().await.map_err(refused)?.ok_or_else(not_found)?;
    Ok(file(newest.note.into(), TEXT, ANEW))
}

/// A tile of the region's audit log by level and number (C2SP tlog-tiles): hashes, or with the level `entries` what the
/// leaves are hashes of. Paths with more parts are of larger numbers, and of tiles that are not full yet.
#[utoipa::path(
    get, path = "/v1/audit/log/tile/{level}/{a}", operation_id = "read_log_tile", tag = "operations",
    security(()),
    params(
        ("level" = String, Path, description = "The level, or `entries`.", example = "0"),
        ("a" = String, Path, description = "Three digits.", example = "000"),
        ("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")
    ),
    responses(
        (status = 200, description = "The tile", body = Vec<u8>, content_type = "application/octet-stream"),
        PublicProblems
    )
)]
async fn tile(
    State(here): State<Here>,
    uri: Uri,
    Path((level, a)): Path<(String, String)>,
) -> Result<Response, Refused> {
    resource(&here, &uri, &format!("tile/{level}/{a}")).await
}

/// A tile of the region's audit log whose number has two groups of digits, or that is not full.
#[utoipa::path(
    get, path = "/v1/audit/log/tile/{level}/{a}/{b}", operation_id = "read_log_tile_of_two", tag = "operations",
    security(()),
    params(
        ("level" = String, Path, description = "The level, or `entries`.", example = "0"),
        ("a" = String, Path, description = "Three digits after an `x`, or before `.p`.", example = "000.p"),
        ("b" = String, Path, description = "Three digits, or how many hashes.", example = "1"),
        ("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")
    ),
    responses(
        (status = 200, description = "The tile", body = Vec<u8>, content_type = "application/octet-stream"),
        PublicProblems
    )
)]
async fn tile_of_two(
    State(here): State<Here>,
    uri: Uri,
    Path((level, a, b)): Path<(String, String, String)>,
) -> Result<Response, Refused> {
    resource(&here, &uri, &format!("tile/{level}/{a}/{b}")).await
}

/// A tile of the region's audit log whose number has three groups of digits, or two and is not full.
#[utoipa::path(
    get, path = "/v1/audit/log/tile/{level}/{a}/{b}/{c}", operation_id = "read_log_tile_of_three", tag = "operations",
    security(()),
    params(
        ("level" = String, Path, description = "The level, or `entries`.", example = "0"),
        ("a" = String, Path, description = "Three digits after an `x`.", example = "x001"),
        ("b" = String, Path, description = "Three digits after an `x`, or before `.p`.", example = "000.p"),
        ("c" = String, Path, description = "Three digits, or how many hashes.", example = "1"),
        ("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")
    ),
    responses(
        (status = 200, description = "The tile", body = Vec<u8>, content_type = "application/octet-stream"),
        PublicProblems
    )
)]
async fn tile_of_three(
    State(here): State<Here>,
    uri: Uri,
    Path((level, a, b, c)): Path<(String, String, String, String)>,
) -> Result<Response, Refused> {
    resource(&here, &uri, &format!("tile/{level}/{a}/{b}/{c}")).await
}

/// A tile of the region's audit log whose number has three groups of digits and that is not full. Larger numbers are of
/// logs with more than 256,000,000,000 records.
#[utoipa::path(
    get, path = "/v1/audit/log/tile/{level}/{a}/{b}/{c}/{d}", operation_id = "read_log_tile_of_four",
    tag = "operations",
    security(()),
    params(
        ("level" = String, Path, description = "The level, or `entries`.", example = "0"),
        ("a" = String, Path, description = "Three digits after an `x`.", example = "x001"),
        ("b" = String, Path, description = "Three digits after an `x`.", example = "x000"),
        ("c" = String, Path, description = "Three digits before `.p`.", example = "000.p"),
        ("d" = String, Path, description = "How many hashes.", example = "1"),
        ("home" = Option<String>, Query, description = "Whose log, as an ISO 3166-2 code. A router needs it.")
    ),
    responses(
        (status = 200, description = "The tile", body = Vec<u8>, content_type = "application/octet-stream"),
        PublicProblems
    )
)]
async fn tile_of_four(
    State(here): State<Here>,
    uri: Uri,
    Path((level, a, b, c, d)): Path<(String, String, String, String, String)>,
) -> Result<Response, Refused> {
    resource(&here, &uri, &format!("tile/{level}/{a}/{b}/{c}/{d}")).await
}

async fn resource(here: &Here, uri: &Uri, path: &str) -> Result<Response, Refused> {
    of_here(here, uri)?;
    // A tile has one path; another spelling names nothing.
    let (bytes, full) = match Resource::parse(path).map_err(|_| not_found())? {
        Resource::Tile(tile) => (here.pool.audit_tile(tile).await.map_err(refused)?, tile.is_full()),
        Resource::Entries(bundle) => {
            (here.pool.audit_entries(bundle).await.map_err(refused)?, bundle.width == 256)
        }
        Resource::Checkpoint => (None, false),
    };
    let bytes = bytes.ok_or_else(not_found)?;
    Ok(file(bytes.into(), "application/octet-stream", if full { FOR_GOOD } else { ANEW }))
}

/// Another home's log is not here: it must not be taken for this one's.
fn of_here(here: &Here, uri: &Uri) -> Result<(), Refused> {
    let query = uri.query().unwrap_or_default();
    let mut named =
        query.split('&').filter_map(|pair| pair.strip_prefix(wire::HOME_PARAMETER)?.strip_prefix('='));
    if named.all(|home| home == here.region.0.code()) { Ok(()) } else { Err(not_found().into()) }
}

fn file(bytes: Bytes, kind: &'static str, kept: &'static str) -> Response {
    let mut response = Response::new(axum::body::Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}

fn refused(error: TreeError) -> Refused {
    match error {
        TreeError::Storage(error) => error.into(),
        _ => Refused::internal("audit log: what is stored is no tree"),
    }
}
