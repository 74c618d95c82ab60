//! Whether the node lives, whether it can serve, and its numbers.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use node_access::doc::PublicProblems;
use node_access::{Check, Here};
use residency_policy::exposition;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(metrics))
}

/// The process answers.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Alive {
    /// Always `alive`.
    #[schema(pattern = "^alive$", example = "alive")]
    pub status: &'static str,
    /// The region that the node is declared to serve.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub region: &'static str,
}

/// What a request needs, part by part.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// `ready` when every part is right.
    #[schema(pattern = "^(ready|not-ready)$", example = "ready")]
    pub status: &'static str,
    /// The region that the node is declared to serve.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub region: &'static str,
    /// This region's Postgres.
    pub database: Part,
    /// The KMS and the keyring.
    pub keys: Part,
    /// The control plane, as this node sees it.
    pub control: Part,
    /// The rules in force.
    pub rules: Part,
    /// The access policies in force.
    pub policies: Part,
    /// The certificates of both listeners. What is wrong with them does not make the node unready: callers are served
    /// with those that are in use.
    pub certificates: Part,
    /// The region's audit log. What is wrong with it does not make the node unready: access records are written, and wait
    /// for their place in the log.
    pub audit_log: Part,
}

/// One part.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, and what an operator may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<&'static str>,
}

impl From<Check> for Part {
    fn from(check: Check) -> Self {
        match check {
            Check::Right => Self { ok: true, wrong: None },
            Check::Wrong(wrong) => Self { ok: false, wrong: Some(wrong) },
        }
    }
}

/// Says that the process answers. It looks at nothing else, so that a supervisor does not kill a node whose
/// database is away.
#[utoipa::path(
    get, path = "/healthz", operation_id = "read_health", tag = "operations",
    security(()),
    responses((status = 200, description = "The process answers", body = Alive), PublicProblems)
)]
async fn alive(State(here): State<Here>) -> Json<Alive> {
    Json(Alive { status: "alive", region: here.region.0.code() })
}

/// Says whether the node can serve, and which part is wrong if it cannot.
#[utoipa::path(
    get, path = "/readyz", operation_id = "read_readiness", tag = "operations",
    security(()),
    responses(
        PublicProblems,
        (status = 200, description = "The node can serve", body = Ready),
        (status = 503, description = "The node cannot serve: a part is wrong", body = Ready)
    )
)]
async fn ready(State(here): State<Here>) -> (StatusCode, Json<Ready>) {
    let checks = here.readiness.check().await;
    let parts = [checks.database, checks.keys, checks.control, checks.rules, checks.policies];
    let right = parts.iter().all(|part| *part == Check::Right);
    let status = if right { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Ready {
        status: if right { "ready" } else { "not-ready" },
        region: here.region.0.code(),
        database: checks.database.into(),
        keys: checks.keys.into(),
        control: checks.control.into(),
        rules: checks.rules.into(),
        policies: checks.policies.into(),
        certificates: checks.certificates.into(),
        audit_log: checks.audit_log.into(),
    };
    (status, Json(body))
}

/// The node's numbers, for Prometheus. Labels are methods, route templates and codes; no id is among them.
#[utoipa::path(
    get, path = "/metrics", operation_id = "read_metrics", tag = "operations",
    security(()),
    responses(
        (status = 200, description = "Prometheus' text format, version 0.0.4", body = String, content_type = "text/plain"),
        PublicProblems
    )
)]
async fn metrics(State(here): State<Here>) -> Response {
    let mut response = Response::new(axum::body::Body::from(here.metrics.exposition()));
    let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
