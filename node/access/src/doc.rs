//! What every operation's documentation has in common: headers, and the problems that can be answered.
//!
//! Written once as code, so that an operation cannot forget one. The patterns are the parsers' own.

use std::collections::BTreeMap;

use residency_policy::{Jurisdiction, ProblemKind, Purpose, wire};
use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::change::CONSISTENCY;
use crate::{etag, idempotency};

/// A refusal (RFC 9457). It never repeats what was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(deny_unknown_fields)]
pub struct ProblemBody {
    /// Which problem. The address of a page that explains it, on the server that answered.
    #[serde(rename = "type")]
    #[schema(pattern = "^/problems/[a-z-]+$", example = "/problems/invalid")]
    pub kind: String,
    /// One line for people.
    #[schema(example = "One or more fields are not valid")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 422)]
    pub status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The wrong fields, headers or parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<ProblemField>>,
    /// The patient's home, for a caller who may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub home: Option<String>,
    /// The version of the patient's placement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub epoch: Option<u32>,
    /// Which slot it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<ProblemSlot>,
    /// Which authority to practise is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<ProblemLicence>,
    /// Why the policies refuse it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z-]+$", example = "purpose-not-allowed")]
    pub reason: Option<String>,
    /// The request's id, to be named when asking for help.
    #[schema(format = Uuid)]
    pub request_id: String,
}

/// The slot that a refusal is about.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemSlot {
    /// Whose.
    #[schema(format = Uuid)]
    pub provider: String,
    /// When it begins.
    #[schema(format = DateTime)]
    pub start: String,
}

/// The authority to practise that is missing.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemLicence {
    /// Where the patient is.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub service_jurisdiction: String,
    /// What is missing, as a stable word for programs.
    #[schema(pattern = "^[a-z-]+$", example = "licence-expired")]
    pub code: String,
}

/// One wrong field.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemField {
    /// A JSON Pointer (RFC 6901) into the body, or the name of a header or parameter.
    #[schema(example = "/email")]
    pub pointer: String,
    /// A stable word for programs.
    #[schema(example = "format")]
    pub code: String,
    /// What would be right.
    pub detail: String,
}

/// The statuses that any operation may answer with.
const EVERYWHERE: &[u16] = &[400, 405, 408, 414, 429, 431, 500, 503];
/// And those of an operation that needs a key.
const KNOWN_CALLERS: &[u16] = &[401, 403];

/// The problems of an operation that anyone may call.
pub struct PublicProblems;
/// The problems of what anyone may tell.
pub struct ReportProblems;
/// The problems of signing in and out, where what proves the caller is in the body or a cookie.
pub struct SignInProblems;
/// The problems of signing in as a patient, at one home.
pub struct PatientDoorProblems;
/// The problems of the way to an identity provider and back, where what proves the caller is another server's word.
pub struct FederationProblems;
/// The problems of signing in with a passkey.
pub struct PasskeyProblems;
/// The problems of a read that is not PHI.
pub struct OpenProblems;
/// The problems of a list that is not PHI, of a window of time.
pub struct OpenWindowProblems;
/// The problems of a question that has a body, changes nothing and is not PHI.
pub struct OpenQuestionProblems;
/// The problems of a change that is not PHI.
pub struct OpenChangeProblems;
/// The problems of changing what is not PHI with `If-Match`.
pub struct OpenIfMatchProblems;
/// The problems of a read of PHI.
pub struct PhiProblems;
/// The problems of a search for PHI, which has a body and changes nothing.
pub struct PhiSearchProblems;
/// The problems of making something new that is PHI.
pub struct PhiCreateProblems;
/// The problems of changing PHI with `If-Match`.
pub struct PhiChangeProblems;

/// The problems of removing PHI, where a precondition may be left out.
pub struct PhiRemovalProblems;

macro_rules! problems {
    ($($name:ident: $($list:expr),+;)+) => {$(
        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems([$($list),+].into_iter().flatten().copied())
            }
        }
    )+};
}

problems! {
    PublicProblems: EVERYWHERE, &[404];
    ReportProblems: EVERYWHERE, &[413, 415];
    SignInProblems: EVERYWHERE, KNOWN_CALLERS, &[413, 415, 422];
    PatientDoorProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 413, 415, 421, 422];
    FederationProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 413, 415, 422];
    PasskeyProblems: EVERYWHERE, KNOWN_CALLERS, &[409, 413, 415, 422];
    OpenProblems: EVERYWHERE, KNOWN_CALLERS, &[404];
    OpenWindowProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 422];
    OpenQuestionProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 413, 415, 422];
    OpenChangeProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 413, 415, 422];
    OpenIfMatchProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 412, 413, 415, 422, 428];
    PhiProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 421, 451];
    PhiSearchProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 413, 415, 421, 422, 451];
    PhiCreateProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 413, 415, 421, 422, 451];
    PhiChangeProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 412, 413, 415, 421, 422, 428, 451];
    PhiRemovalProblems: EVERYWHERE, KNOWN_CALLERS, &[404, 409, 412, 413, 415, 421, 422, 451];
}

fn problems(statuses: impl Iterator<Item = u16>) -> BTreeMap<String, RefOr<Response>> {
    statuses.map(|status| (status.to_string(), RefOr::T(problem(status)))).collect()
}

fn problem(status: u16) -> Response {
    let kinds = ProblemKind::ALL.iter().filter(|kind| kind.status() == status);
    let titles: Vec<_> = kinds.map(|kind| format!("{} (`{}`)", kind.title(), kind.type_uri())).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response =
        ResponseBuilder::new().description(titles.join("; or ")).content("application/problem+json", content);
    response = response.header(wire::REQUEST_ID, header("The request's id", Some(KnownFormat::Uuid)));
    match status {
        401 => response = response.header("www-authenticate", header("How to authenticate", None)),
        405 => response = response.header("allow", header("The methods that the path takes", None)),
        _ => {}
    }
    response.build()
}

/// A header of an answer.
pub fn header(description: &str, format: Option<KnownFormat>) -> utoipa::openapi::Header {
    let text = ObjectBuilder::new().schema_type(Type::String).format(format.map(SchemaFormat::KnownFormat));
    HeaderBuilder::new().schema(Some(text.build())).description(Some(description)).build()
}

fn text(pattern: Option<&str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(pattern)
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
    description: &str,
    schema: ObjectBuilder,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(schema.build()))
        .build()
}

/// The parameter with a value to begin with, for those who try it out.
fn with_example(parameter: Parameter, example: &str) -> Parameter {
    ParameterBuilder::from(parameter).example(Some(serde_json::json!(example))).build()
}

/// Why PHI is asked for, and where whoever asks is.
pub struct PurposeHeader;
/// A key that must be sent.
pub struct IdempotencyHeader;
/// A key that may be sent.
pub struct MaybeIdempotencyHeader;
/// A precondition that must be sent.
pub struct IfMatchHeader;
/// A precondition that may be sent.
pub struct MaybeIfMatchHeader;
/// How fresh a read must be.
pub struct ConsistencyParameter;
/// The home in the query.
pub struct HomeParameter;
/// The page in the query.
pub struct PageParameters;
/// The patient in the path.
pub struct PatientPath;
/// The appointment in the path.
pub struct AppointmentPath;
/// The wish in the path.
pub struct WaitlistPath;
/// The provider in the path.
pub struct ProviderPath;
/// The hold in the path.
pub struct HoldPath;
/// The window in the query.
pub struct WindowParameters;
/// The encounter in the path.
pub struct EncounterPath;
/// The patient and the segregated category in the path.
pub struct SegregatedPath;
/// The encounter of a segregated category in the path.
pub struct SegregatedEncounterPath;
/// The break-glass grant in the path.
pub struct GrantPath;
/// The consent in the path.
pub struct ConsentPath;

macro_rules! parameters {
    ($($name:ident: $($parameter:expr),+;)+) => {$(
        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![$($parameter),+]
            }
        }
    )+};
}

const IDEMPOTENCY: &str = "A random key. A request that is repeated with the same key has one effect and gets the \
                           same answer; with another content it gets 422.";
const IF_MATCH: &str = "The `ETag` of the version that was read. A stale one gets 412.";

fn category() -> Parameter {
    let named = text(Some("^(psychotherapy-notes|substance-use|reproductive|minor-sensitive)$"));
    parameter("category", ParameterIn::Path, Required::True, "The legal category.", named)
}

fn id(name: &'static str, description: &'static str) -> Parameter {
    let schema = text(None).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    parameter(name, ParameterIn::Path, Required::True, description, schema)
}

fn window(name: &'static str, description: &'static str, example: &'static str) -> Parameter {
    let schema = text(None).max_length(Some(80));
    with_example(parameter(name, ParameterIn::Query, Required::True, description, schema), example)
}

parameters! {
    PurposeHeader: parameter(
        "Purpose-Of-Use", ParameterIn::Header, Required::True,
        "Why PHI is asked for: a code of HL7 `v3-ActReason`. It is recorded with the access.",
        text(None).enum_values(Some(Purpose::ALL.iter().map(|p| p.as_str()))).examples([serde_json::json!("TREAT")])
    ), parameter(
        "Accessor-Jurisdiction", ParameterIn::Header, Required::False,
        "Where the caller is, as an ISO 3166-2 code. It is recorded with the access, and policies may refuse by it.",
        text(None).enum_values(Some(Jurisdiction::all().map(Jurisdiction::code))).examples([serde_json::json!("US-TX")])
    );
    IdempotencyHeader: parameter(
        "Idempotency-Key", ParameterIn::Header, Required::True, IDEMPOTENCY, text(Some(idempotency::PATTERN))
    );
    MaybeIdempotencyHeader: parameter(
        "Idempotency-Key", ParameterIn::Header, Required::False, IDEMPOTENCY, text(Some(idempotency::PATTERN))
    );
    IfMatchHeader: parameter(
        "If-Match", ParameterIn::Header, Required::True, IF_MATCH, text(Some(etag::PATTERN))
    );
    MaybeIfMatchHeader: parameter(
        "If-Match", ParameterIn::Header, Required::False, IF_MATCH, text(Some(etag::PATTERN))
    );
    HomeParameter: with_example(parameter(
        wire::HOME_PARAMETER, ParameterIn::Query, Required::True,
        "The home that is meant, as an ISO 3166-2 code. Required, because a router never reads a body to find it.",
        text(None).enum_values(Some(Jurisdiction::all().map(Jurisdiction::code))).examples([serde_json::json!("US-TX")])
    ), "US-TX");
    ConsistencyParameter: parameter(
        CONSISTENCY, ParameterIn::Query, Required::False,
        "Left out, the answer is what this node has; `x-log-index` says how far that is. `linearizable`: it has \
         everything that was acknowledged to anybody before, or is refused while there is no quorum.",
        text(None).enum_values(Some(["linearizable"]))
    );
    PageParameters:
        parameter(
            "limit", ParameterIn::Query, Required::False, "How many items a page has at most; 50 if not given.",
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(200))
        ),
        parameter(
            "cursor", ParameterIn::Query, Required::False, "The `next_cursor` of the page before.",
            text(Some("^[A-Za-z0-9_-]{70}$"))
        );
    PatientPath: id("id", "The patient.");
    EncounterPath: id("id", "The patient."), id("encounter", "The encounter.");
    SegregatedPath: id("id", "The patient."), category();
    SegregatedEncounterPath: id("id", "The patient."), category(), id("encounter", "The encounter.");
    GrantPath: id("id", "The patient."), id("grant", "The grant.");
    ConsentPath: id("id", "The patient."), id("consent", "The consent.");
    AppointmentPath: id("id", "The patient."), id("appointment", "The appointment.");
    WaitlistPath: id("id", "The patient."), id("wish", "The wish.");
    ProviderPath: id("id", "The provider.");
    HoldPath: id("id", "The provider."), id("hold", "The hold's handle.");
    WindowParameters:
        window("from", "Where the window begins: a date, or an instant.", "2027-01-04"),
        window("to", "Where it ends, at most 31 days later: a date, or an instant.", "2027-01-09"),
        parameter(
            "zone", ParameterIn::Query, Required::False,
            "The zone of `local_start` and of dates in this query, by its name in the IANA database; the calendar's \
             own if not given.",
            text(Some("^[A-Za-z][A-Za-z0-9_+/-]*$")).max_length(Some(40))
        );
}
