//! Where a browser comes back to from an identity provider.
//!
//! It was sent here by another site's page, so of our cookies it brings only the one with `SameSite=Lax`. The tokens'
//! cookies are `SameSite=Strict`: a browser takes them from this answer, but would not send them along if it were sent on
//! from here by a redirect, since that still counts as that other page's doing. So the answer is a page, which sends the
//! browser on in our own name, without a script.

use std::net::IpAddr;

use axum::Extension;
use axum::extract::Path;
use axum::response::{Html, IntoResponse as _, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Uri};
use node_access::Refused;
use node_access::doc::FederationProblems;
use node_access::settings::CameFrom;
use node_access::violations::protect;
use residency_tokens::cookie;
use url::form_urlencoded;

use crate::api::AtDesk;
use crate::cookies::{keep, refused, set};
use crate::federation::finish::{Brought, Finished, finish};
use crate::federation::flow::{COOKIE, Flow, NO_COOKIE};
use crate::{Desk, NotSignedIn, devices};

/// Nothing is loaded by the page, and nobody puts it in a frame.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Takes up a browser that comes back from an identity provider, and signs in whoever it shows: they have an account here
/// and were linked to it, or show a verified address that is its login name. Everybody else gets the same 401.
#[utoipa::path(
    get, path = "/v1/auth/oidc/{provider}/callback", operation_id = "finish_with_provider", tag = "signing in",
    params(
        ("provider" = String, Path, description = "The provider.", format = Uuid),
        ("code" = Option<String>, Query, description = "What the provider gave."),
        ("state" = Option<String>, Query, description = "What it was given."),
        ("iss" = Option<String>, Query, description = "Who it is (RFC 9207).")
    ),
    responses(
        (status = 200, description = "Signed in: a page that leads on", body = String, content_type = "text/html",
         headers(("set-cookie" = String, description = "The tokens"))),
        FederationProblems
    )
)]
pub async fn callback(
    Extension(desk): AtDesk,
    CameFrom(from): CameFrom,
    Path(provider): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let gone = HeaderValue::from_static(NO_COOKIE);
    match signed_in(&desk, &provider, &uri, &headers, from).await {
        Ok(mut response) => {
            response.headers_mut().append(SET_COOKIE, gone);
            response
        }
        // The flow is over either way.
        Err(refused) => refused.header(SET_COOKIE, gone).into_response(),
    }
}

async fn signed_in(
    desk: &Desk,
    provider: &str,
    uri: &Uri,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<Response, Refused> {
    let held = cookie::cookie(headers, COOKIE);
    let flow = held.and_then(|held| Flow::open(&desk.keys, held, desk.now())).ok_or(NotSignedIn::Nobody)?;
    // What another provider's flow began does not end here, or one could have us bring it a code of another's.
    if provider.parse() != Ok(flow.provider) {
        return Err(NotSignedIn::Nobody.into());
    }
    let brought = brought(uri.query().unwrap_or_default()).ok_or(NotSignedIn::Nobody)?;
    let device = devices::Shown::of(headers, &*desk.entropy);
    let finished = finish(desk, flow, brought, &device, from).await.map_err(|why| match why {
        NotSignedIn::DeviceNotAdmitted => refused(why, device.to_keep()),
        why => why.into(),
    })?;
    let Finished { opened, return_to } = finished;
    let kept = devices::after(desk, &opened.session, &device, true).await;
    let mut response = Html(page(&return_to)).into_response();
    let headers = response.headers_mut();
    protect(headers, POLICY);
    set(headers, cookie::ACCESS, &opened.access, opened.access_seconds)?;
    set(headers, cookie::REFRESH, &opened.refresh, opened.refresh_seconds)?;
    kept.map_or(Ok(()), |line| keep(headers, &line))?;
    Ok(response)
}

/// Reads the address. Providers add parameters of their own, which are not looked at; one of ours that comes twice is none.
fn brought(query: &str) -> Option<Brought> {
    let mut brought = Brought::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "code" => &mut brought.code,
            "state" => &mut brought.state,
            "iss" => &mut brought.iss,
            "error" => {
                brought.error = true;
                continue;
            }
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    Some(brought)
}

fn page(return_to: &str) -> String {
    let to = return_to.replace('&', "&amp;").replace('\'', "&#39;");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Signed in - Domicile</title>\
         <meta http-equiv=\"refresh\" content=\"0;url={to}\"></head>\n\
         <body><p>You are signed in. <a href=\"{to}\">Go on</a></p></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_is_read_once_and_the_rest_is_not_looked_at() {
        let read = brought("code=a%20b&state=s&iss=https%3A%2F%2Fa.example&session_state=x").expect("reads");
        assert_eq!((read.code.as_deref(), read.state.as_deref()), (Some("a b"), Some("s")));
        assert_eq!((read.iss.as_deref(), read.error), (Some("https://a.example"), false));
        assert!(brought("error=access_denied&state=s").is_some_and(|read| read.error));
        for twice in ["code=a&code=b", "state=a&state=a", "iss=a&iss="] {
            assert!(brought(twice).is_none(), "{twice}");
        }
    }

    #[test]
    fn a_page_says_nothing_but_where_to_go() {
        assert!(page("/a?b=1&c='x'").contains("url=/a?b=1&amp;c=&#39;x&#39;\""));
    }
}
