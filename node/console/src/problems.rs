//! One page for each problem that can be answered: the `type` of a problem document leads here.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::response::Response;
use node_access::doc::PublicProblems;
use node_access::problem::not_found;
use node_access::{Here, Refused};
use residency_policy::ProblemKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::html::page;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Every problem, as a page for people.
#[utoipa::path(
    get, path = "/problems", operation_id = "list_problems", tag = "documentation",
    security(()),
    responses(
        (status = 200, description = "The list of problems", body = String, content_type = "text/html"),
        PublicProblems
    )
)]
async fn list() -> Response {
    let mut rows = String::from("<table><tr><th>Status</th><th>Problem</th><th>Meaning</th></tr>\n");
    for kind in ProblemKind::ALL {
        let (status, slug, title) = (kind.status(), kind.slug(), kind.title());
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr><td>{status}</td><td><a href=\"/problems/{slug}\"><code>{slug}</code></a></td><td>{title}</td></tr>"
        );
    }
    rows.push_str("</table>");
    page("Problems", &rows)
}

/// One problem, as a page for people.
#[utoipa::path(
    get, path = "/problems/{slug}", operation_id = "read_problem", tag = "documentation",
    security(()),
    params(("slug" = String, Path, description = "The last part of a problem's `type`.", example = "not-found")),
    responses(
        (status = 200, description = "What the problem means", body = String, content_type = "text/html"),
        PublicProblems
    )
)]
async fn one(Path(slug): Path<String>) -> Result<Response, Refused> {
    let kind = ProblemKind::ALL.iter().find(|kind| kind.slug() == slug).ok_or_else(not_found)?;
    let body = format!(
        "<p><code>{}</code>, HTTP status {}.</p>\n<p>{}</p>\n<p><a href=\"/problems\">All problems</a></p>",
        kind.slug(),
        kind.status(),
        advice(*kind)
    );
    Ok(page(kind.title(), &body))
}

/// What to do about it.
#[expect(clippy::too_many_lines, reason = "one line for each kind of problem, and no kind may be forgotten")]
const fn advice(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Malformed => {
            "Send one JSON object in UTF-8, without a member that is named twice, without NUL, and not nested deeper than the route needs."
        }
        ProblemKind::MissingHeader | ProblemKind::BadHeader => {
            "<code>errors</code> names the header. <code>Purpose-Of-Use</code> takes a code of HL7 v3-ActReason such as <code>TREAT</code>; <code>Accessor-Jurisdiction</code>, which may be left out, one ISO 3166-2 code such as <code>US-TX</code>; <code>Idempotency-Key</code> takes 1 to 128 letters, digits and <code>. _ ~ : -</code>; <code>If-Match</code> takes the one <code>ETag</code> that you were given."
        }
        ProblemKind::BadParameter => {
            "<code>errors</code> names the query parameter. A parameter may be given once, and only those of the route are taken."
        }
        ProblemKind::Unauthenticated => {
            "Send <code>Authorization: Bearer</code> and an API key that is neither revoked nor expired, or the access token of a session that has not ended. Where somebody signs in, this is also the answer to whatever is wrong."
        }
        ProblemKind::SecondFactorRequired => {
            "Send the same again, with <code>code</code> as well: what your authenticator shows, or one of your recovery codes."
        }
        ProblemKind::AddressNotAllowed => {
            "An administrator of the organisation listed the networks from which its people may sign in and its sessions and keys be used (<code>/v1/orgs/{id}/sign-in-settings</code>), and the address that this request came from is in none of them. Come from one that is, or ask an administrator."
        }
        ProblemKind::DeviceNotAdmitted => {
            "What was shown is right, and the organisation lets its people sign in with devices only that it knows. The device now waits: keep the cookie that came with this answer, have an administrator admit the device (<code>/v1/orgs/{id}/devices</code>), and sign in again. Of one account at most eight are remembered; where all of them are admitted, the administrator removes one first."
        }
        ProblemKind::SecondFactorToEnrol => {
            "The organisation asks everybody for a second factor, and this session was begun without one. All that it may do is to enrol one: <code>POST /v1/auth/totp</code>, then <code>POST /v1/auth/totp/confirm</code> with a code, after which the same session goes on. Whoever signs in through an identity provider has it ask for a second factor."
        }
        ProblemKind::IdentityProviderUnavailable => {
            "The server through which you sign in does not answer, or its answer cannot be used. Try again, or sign in with your password. An administrator of the organisation finds out more with <code>POST /v1/orgs/{id}/identity-providers/{provider}/test</code>."
        }
        ProblemKind::CrossSite => {
            "A change that relies on cookies is taken from a page of this server only, which browsers say in \
             <code>Sec-Fetch-Site</code>. Programs send <code>Authorization: Bearer</code> instead."
        }
        ProblemKind::Forbidden => {
            "The role of this key may not do this, or not for the purpose that was named, or names none: <code>reason</code> says why, and <code>errors</code> lists the purposes that would do. Nothing was looked up."
        }
        ProblemKind::NotFound => {
            "There is nothing here, or nothing that this caller may know of: the two look the same on purpose."
        }
        ProblemKind::MethodNotAllowed => "The <code>Allow</code> header lists the methods that the path takes.",
        ProblemKind::RequestTimeout => "The request did not arrive in time. Send it again.",
        ProblemKind::IllegalTransition => {
            "The thing is in a state that does not allow this: what is signed, for one, does not change. Read it again."
        }
        ProblemKind::SlotTaken => {
            "Somebody else has the time that <code>slot</code> names. Ask for the free slots again, or wait for one on the waiting list."
        }
        ProblemKind::CalendarFull => {
            "A calendar lists a bounded number of held and booked times, and this one has no room for more. Times that are over leave it after two days."
        }
        ProblemKind::HoldExpired => {
            "A hold lasts for a few minutes, and this one's are over, or it was given back. Nothing was booked. Hold the slot again, if it is still free."
        }
        ProblemKind::HoldUsed => {
            "The hold was made an appointment before. A second appointment needs a hold of its own."
        }
        ProblemKind::WaitlistFull => {
            "<code>detail</code> says whose wishes are as many as they may be: the patient's, or the organisation's. Take one back that nobody needs any more, or wait until one ends."
        }
        ProblemKind::NoAuthority => {
            "<code>detail</code> says which licence the provider lacks where the patient is, on the day of the visit. Nothing was booked."
        }
        ProblemKind::SlotInPast => "The visit would have begun already. Ask for the free slots again.",
        ProblemKind::SlotNotOffered => {
            "The calendar has no slot that begins there, or it is too soon or too far ahead: <code>errors</code> says which. <code>/v1/providers/{id}/slots</code> lists what can be booked."
        }
        ProblemKind::UnknownZone => {
            "Name a zone of the IANA database by its one name, such as <code>America/New_York</code>."
        }
        ProblemKind::NoSuchLocalTime => {
            "On that day the clock was changed past this time. Send an instant, such as <code>2026-03-08T07:30:00Z</code>."
        }
        ProblemKind::AmbiguousLocalTime => {
            "On that day the clock shows this time twice. Say which is meant by adding its offset, such as <code>2026-11-01T01:30:00-05:00[America/New_York]</code>."
        }
        ProblemKind::WindowTooWide => {
            "Ask for less time at once: <code>errors</code> says how much is answered."
        }
        ProblemKind::IdempotencyInFlight => {
            "The same request is under way. Wait as long as <code>Retry-After</code> says and send it again with the same key."
        }
        ProblemKind::AlreadyExists => {
            "Something with this identity is there already, such as a patient with this medical record number."
        }
        ProblemKind::PreconditionFailed => {
            "It was changed since you read it. Read it again and repeat the change on the new version."
        }
        ProblemKind::ContentTooLarge => "Send a smaller body than this one.",
        ProblemKind::UriTooLong => "Send a shorter path or query.",
        ProblemKind::UnsupportedMediaType => {
            "Send <code>Content-Type: application/json</code>, not packed. A PATCH also takes <code>application/merge-patch+json</code>."
        }
        ProblemKind::Misdirected => {
            "The patient's home is another region, which <code>home</code> names. <code>/v1/regions</code> says where to reach it; a router does this for you."
        }
        ProblemKind::Invalid => {
            "<code>errors</code> names every wrong field by JSON Pointer and says what would be right."
        }
        ProblemKind::IdempotencyReused => {
            "The key was used for a request with another content. Use a new random key for a new request."
        }
        ProblemKind::PreconditionRequired => {
            "Send <code>If-Match</code> with the <code>ETag</code> of the version that you have read."
        }
        ProblemKind::TooManyRequests => "Wait as long as <code>Retry-After</code> says.",
        ProblemKind::HeadersTooLarge => "Send fewer or smaller headers.",
        ProblemKind::TransitRefused => {
            "A rule of law or contract does not let this request enter here. Ask the home's own endpoint, which <code>/v1/regions</code> lists."
        }
        ProblemKind::Internal => {
            "A defect on this side. Name the <code>request_id</code> when you ask for help; the log has it."
        }
        ProblemKind::HomeUnavailable => {
            "The patient's home cannot be reached now. Patients of other homes are not affected. Wait as long as <code>Retry-After</code> says."
        }
        ProblemKind::RegionUnavailable => {
            "The database, the keys or the disk of this region do not answer. With an idempotency key it is safe to repeat the request."
        }
        ProblemKind::ControlUnavailable => {
            "The control plane has no quorum and takes no changes. Reads and writes of patients at their home go on."
        }
        ProblemKind::ViewUnproven => {
            "This node cannot show that its view of the directory or of the rules is fresh enough for this, so it refuses. Try again in a moment."
        }
        ProblemKind::PoliciesUnproven => {
            "This node does not have the access policies that are in force, or cannot show who signed them, so it decides nothing. Nothing was looked at or changed; other regions may answer."
        }
        ProblemKind::Overloaded => {
            "More work is under way than is accepted. Wait as long as <code>Retry-After</code> says."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_says_what_to_do() {
        for kind in ProblemKind::ALL {
            assert!(advice(*kind).len() > 20, "{kind:?}");
            assert!(kind.slug().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{kind:?}");
        }
    }
}
