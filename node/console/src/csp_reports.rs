//! Takes what browsers report of our content security policies.

use axum::extract::State;
use http::StatusCode;
use node_access::Here;
use node_access::doc::ReportProblems;
use node_access::violations::Violations;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(report))
}

/// Takes a browser's report that it kept to a content security policy of ours, as `application/reports+json` or as
/// `application/csp-report`, of 8 KiB at most. It is counted by directive. Nothing of it is stored, and no address in it is
/// looked at but to tell which of our own pages it was.
#[utoipa::path(
    post, path = "/v1/csp-reports", operation_id = "report_csp_violation", tag = "operations",
    security(()),
    request_body(description = "The reports", content(
        (Value = "application/reports+json"), (Value = "application/csp-report"), (Value = "application/json")
    )),
    responses((status = 204, description = "What was a report was counted"), ReportProblems)
)]
async fn report(State(here): State<Here>, violations: Violations) -> StatusCode {
    violations.note(&here);
    StatusCode::NO_CONTENT
}
