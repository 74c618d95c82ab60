//! Signs a patient out.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use node_access::body::Nothing;
use node_access::doc::{HomeParameter, PatientDoorProblems};
use node_access::own::AtHome;
use node_access::{Refused, caller, cookies};
use node_signin::patient;

/// Ends the session that comes along, at the home that the query names: the next request with it is refused. Without one
/// there is nothing to end, which is no error; the cookie is taken away in any case.
#[utoipa::path(
    post, path = "/v1/portal/sign-out", operation_id = "sign_out_patient", tag = "patients' logins",
    params(HomeParameter),
    responses(
        (status = 204, description = "Signed out", headers(
            ("set-cookie" = String, description = "The cookie is taken away")
        )),
        PatientDoorProblems
    )
)]
pub async fn sign_out(at: AtHome, method: Method, headers: HeaderMap, _: Nothing) -> Result<Response, Refused> {
    let (held, by_cookie) = caller::shown_of_patient(&headers);
    if let Some(digest) = held.and_then(patient::digest) {
        if by_cookie {
            cookies::from_our_own_page(&method, &headers)?;
        }
        at.here.pool.portal_signed_out(&digest).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    patient::forget(response.headers_mut())?;
    Ok(response)
}
