//! A plain page with a little style, for people who follow a link.

use std::sync::LazyLock;

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use node_access::violations::protect;
use ring::digest::{SHA256, digest};

/// The style is part of the page, so its policy allows that one, by its digest, and nothing else (CSP Level 3 section 2.3.1).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = data_encoding::BASE64.encode(digest(&SHA256, STYLE.as_bytes()).as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
});

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;\
                     color:#1c2430}a{color:#0a5cad}code{background:#eef1f5;padding:.1em .3em;border-radius:3px}\
                     table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;\
                     border-bottom:1px solid #d8dee6}\
                     code{white-space:nowrap}@media(max-width:40rem){body{margin:1rem auto;overflow-wrap:anywhere}\
                     code{white-space:normal}tr:first-child{display:none}tr,td{display:block}\
                     td{border:0;padding:.1rem 0}tr{border-bottom:1px solid #d8dee6;padding:.6rem 0}}\
                     @media(prefers-color-scheme:dark){body{background:#12161c;\
                     color:#e4e8ee}a{color:#79b8ff}code{background:#232a34}td,th,tr{border-color:#39424e}}";

/// A page. `title` and `body` are constants of the program, so nothing needs escaping.
pub(crate) fn page(title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{title} - Domicile</title><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n{body}\n</body></html>\n"
    );
    let mut response = Response::new(axum::body::Body::from(text));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    protect(headers, &POLICY);
    response
}
