//! The OpenAPI document, and a page to read and try it. Everything on the page comes from this node.

use std::sync::{Arc, LazyLock, OnceLock};

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use node_access::doc::PublicProblems;
use node_access::problem::not_found;
use node_access::violations::protect;
use node_access::{Here, Refused};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

/// The whole document as it is sent. Whoever joins the routes says what it is, once it is known.
#[derive(Clone, Default)]
pub struct Document(Arc<OnceLock<Bytes>>);

impl Document {
    /// Says what it is. Only the first word counts.
    pub fn is(&self, bytes: Bytes) {
        let _ = self.0.set(bytes);
    }
}

/// Swagger UI's pictures are data URLs; nothing within the page is a script or a style, and no other origin is allowed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

const TITLE: &str = "<title>Domicile API</title>";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // The validator badge would ask another origin; the bar at the top has a picture that is a style, and only leads to
    // other documents.
    let config =
        Config::from("/openapi.json").use_base_layout().validator_url("none").try_it_out_enabled(false);
    Arc::new(config)
});

pub(crate) fn routes(document: &Document) -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(openapi))
        .layer(Extension(document.clone()))
        .routes(routes!(entrance))
        .routes(routes!(index))
        .routes(routes!(asset))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "read_openapi", tag = "documentation",
    security(()),
    responses(
        (status = 200, description = "The OpenAPI 3.1 document", body = Object, content_type = "application/json"),
        PublicProblems
    )
)]
async fn openapi(Extension(document): Extension<Document>) -> Response {
    let mut response = Response::new(axum::body::Body::from(document.0.get().cloned().unwrap_or_default()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Leads to the documentation's page.
#[utoipa::path(
    get, path = "/docs", operation_id = "enter_docs", tag = "documentation",
    security(()),
    responses((status = 308, description = "The page is at `/docs/`"), PublicProblems)
)]
async fn entrance() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
    response
}

/// The documentation as a page.
#[utoipa::path(
    get, path = "/docs/", operation_id = "read_docs", tag = "documentation",
    security(()),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        PublicProblems
    )
)]
async fn index() -> Result<Response, Refused> {
    file("index.html")
}

/// A part of the documentation's page.
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "read_docs_file", tag = "documentation",
    security(()),
    params(("file" = String, Path, description = "The file's name.", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/css"), (String = "text/javascript"), (String = "text/html"), (String = "image/png")
        )),
        PublicProblems
    )
)]
async fn asset(Path(name): Path<String>) -> Result<Response, Refused> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Refused> {
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG));
    let found = found.map_err(|_| Refused::internal("docs: a file"))?.ok_or_else(not_found)?;
    let bytes = if name == "index.html" { titled(&found.bytes) } else { found.bytes.into_owned() };
    let mut response = Response::new(axum::body::Body::from(bytes));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&found.content_type);
    headers.insert(CONTENT_TYPE, kind.map_err(|_| Refused::internal("docs: a type"))?);
    protect(headers, POLICY);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The page under our own title: a reader has many tabs, and each of them says "Swagger UI".
fn titled(page: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(page).replace("<title>Swagger UI</title>", TITLE).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_parts_are_here_and_name_no_other_origin() {
        for name in ["index.html", "index.css", "swagger-initializer.js"] {
            let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).expect("reads").expect("is there");
            let text = String::from_utf8(found.bytes.into_owned()).expect("text");
            assert!(
                !text.contains("http://") && !text.contains("https://") && !text.contains("=\"//"),
                "{name}"
            );
        }
        for name in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
            assert!(file(name).is_ok(), "{name}");
        }
        let page =
            utoipa_swagger_ui::serve("index.html", Arc::clone(&CONFIG)).expect("reads").expect("is there");
        let page = titled(&page.bytes);
        assert!(page.windows(TITLE.len()).any(|part| part == TITLE.as_bytes()), "the page has our title");
        assert!(file("../Cargo.toml").is_err());
    }
}
