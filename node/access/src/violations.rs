//! What browsers report of our content security policies (CSP Level 3 section 5, Reporting API).
//!
//! A report says on which page something was refused, what it was and where it came from: addresses with ids in them, and
//! whatever a stranger wants to be written down. So of a report only two words from closed lists are kept: the directive, and
//! which of our own pages it was.

use axum::extract::{FromRequest, Request};
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::{Here, Refused, body};

/// The largest body, in bytes.
const BYTES_MAX: usize = 8 << 10;
/// The most reports of one body that are looked at.
const REPORTS_MAX: usize = 16;
/// `application/csp-report` is what browsers sent before there was the Reporting API, and some send it as plain JSON.
const TYPES: &[&str] = &["application/reports+json", "application/csp-report", "application/json"];

/// The directives that a browser may have kept to (CSP Level 3 section 6).
const DIRECTIVES: &[&str] = &[
    "base-uri",
    "child-src",
    "connect-src",
    "default-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "object-src",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "worker-src",
];

/// What is on none of the lists.
const OTHER: &str = "other";

/// The violations that a body reports.
pub struct Violations(Vec<Violation>);

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    directive: &'static str,
    page: &'static str,
}

impl FromRequest<Here> for Violations {
    type Rejection = Refused;

    async fn from_request(request: Request, here: &Here) -> Result<Self, Refused> {
        body::check_type(request.headers(), TYPES)?;
        let bytes_max = BYTES_MAX.min(here.limits.body_bytes_max);
        let bytes = body::collect(request, &here.limits, bytes_max).await?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|_| body::malformed("the body is not JSON"))?;
        Ok(Self(read(&value)))
    }
}

impl Violations {
    /// Counts them, and logs fewer the more there are: anybody may send them.
    pub fn note(&self, here: &Here) {
        for &Violation { directive, page } in &self.0 {
            if here.metrics.policy_violated(directive).is_power_of_two() {
                tracing::warn!(directive, page, "a browser kept to a content security policy of ours");
            }
        }
    }
}

/// Gives an answer a content security policy whose violations browsers report.
pub fn protect(headers: &mut HeaderMap, policy: &str) {
    let policy = HeaderValue::try_from(format!("{policy}; report-uri /v1/csp-reports; report-to csp"));
    let policy = policy.unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    let endpoint = HeaderValue::from_static("csp=\"/v1/csp-reports\"");
    headers.insert(HeaderName::from_static("reporting-endpoints"), endpoint);
}

/// The reports of either format. What is no such report is none.
fn read(body: &Value) -> Vec<Violation> {
    let reports = body.as_array().into_iter().flatten().filter(|one| one["type"] == "csp-violation");
    let reports = reports.map(|one| (&one["body"]["effectiveDirective"], &one["body"]["documentURL"]));
    let older = body.get("csp-report").into_iter().map(|one| {
        let effective = Some(&one["effective-directive"]).filter(|directive| directive.is_string());
        (effective.unwrap_or(&one["violated-directive"]), &one["document-uri"])
    });
    let both = reports.chain(older).take(REPORTS_MAX);
    both.map(|(directive, page)| Violation {
        directive: directive_of(directive.as_str().unwrap_or_default()),
        page: page_of(page.as_str().unwrap_or_default()),
    })
    .collect()
}

/// The directive by name, without its sources.
fn directive_of(text: &str) -> &'static str {
    let name = text.split_ascii_whitespace().next().unwrap_or_default();
    DIRECTIVES.iter().copied().find(|known| *known == name).unwrap_or(OTHER)
}

/// Which of our pages an address is of.
fn page_of(address: &str) -> &'static str {
    let path = address.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.map_or("", |(_, path)| path.split(['?', '#']).next().unwrap_or_default());
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["docs"] | ["docs", ""] => "/docs/",
        ["docs", _] => "/docs/{file}",
        ["problems"] => "/problems",
        ["problems", _] => "/problems/{slug}",
        ["v1", "auth", "oidc", _, "callback"] => "/v1/auth/oidc/{provider}/callback",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kept(body: &Value) -> Vec<(&'static str, &'static str)> {
        read(body).iter().map(|one| (one.directive, one.page)).collect()
    }

    #[test]
    fn of_a_report_only_words_of_closed_lists_are_kept() {
        let report = |directive: &str, page: &str| {
            json!({ "type": "csp-violation", "age": 3, "url": page, "user_agent": "zzagent7q", "body": {
                "effectiveDirective": directive, "documentURL": page, "blockedURL": "https://zzevil7q.example/?zzphi7q"
            }})
        };
        let patient = "https://clinic.example/v1/patients/0f0e0d0c-0b0a-4908-8706-050403020100?zzphi7q=1";
        let back = "https://clinic.example/v1/auth/oidc/0f0e0d0c/callback?code=zzcode7q";
        let body = json!([
            report("script-src-elem", "https://clinic.example/docs/"),
            report("zzdirective7q", "https://clinic.example/docs/index.css"),
            report("img-src", patient),
            report("style-src", back),
            { "type": "deprecation", "body": { "id": "zzother7q" } },
        ]);
        assert_eq!(
            kept(&body),
            [
                ("script-src-elem", "/docs/"),
                ("other", "/docs/{file}"),
                ("img-src", "other"),
                ("style-src", "/v1/auth/oidc/{provider}/callback"),
            ]
        );
        let older = json!({ "csp-report": {
            "document-uri": "https://clinic.example/problems/not-found", "violated-directive": "font-src 'self'",
            "blocked-uri": "https://zzevil7q.example/"
        }});
        assert_eq!(kept(&older), [("font-src", "/problems/{slug}")]);
        for none in [json!({}), json!([]), json!("csp-report"), json!([1, null, { "type": 7 }]), json!(null)] {
            assert_eq!(kept(&none), [], "{none}");
        }
        let many = Value::Array(vec![report("img-src", patient); 40]);
        assert_eq!(kept(&many).len(), REPORTS_MAX);
    }
}
