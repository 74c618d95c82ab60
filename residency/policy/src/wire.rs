//! Names on the wire that the router, the nodes and their callers share.

/// The request's id, in both directions. A caller's own is replaced when it is not an id.
pub const REQUEST_ID: &str = "x-request-id";
/// Why PHI is asked for: a code of HL7 `v3-ActReason`. Required on every request for PHI.
pub const PURPOSE_OF_USE: &str = "purpose-of-use";
/// Where who asks for PHI is: an ISO 3166-2 code. Their own word, and left out where they do not say.
pub const ACCESSOR: &str = "accessor-jurisdiction";
/// Makes a POST safe to repeat (draft-ietf-httpapi-idempotency-key-header-07).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Set to `true` on an answer that was stored earlier.
pub const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";
/// Where the bytes entered the cluster. Believed only from a peer whose certificate says it is a router.
pub const INGRESS: &str = "domicile-ingress";
/// The address of the client, as the router's own socket has it. Believed only from a peer whose certificate says it is a
/// router.
pub const CLIENT: &str = "domicile-client";
/// The epoch that the router forwarded on, for the log. Never believed: the node decides again.
pub const EPOCH: &str = "domicile-epoch";
/// On a refusal of a node that had too much to do to begin with the request.
pub const SHED: &str = "domicile-shed";
/// Everything with this prefix is ours between peers and is stripped from what a caller sends.
pub const RESERVED_PREFIX: &str = "domicile-";
/// The query parameter that names a home where the path names no patient.
pub const HOME_PARAMETER: &str = "home";
/// Where in the replicated log a change stands, on the answer that acknowledges it.
pub const LOG_INDEX: &str = "x-log-index";

/// Headers of every answer that does not set them itself: nothing is kept, framed, sniffed, sent on or loaded from
/// elsewhere. The router and the nodes share the list and its order, because a refusal of the one must look like a
/// refusal of the other. What is no HTTP is no request, and the parser's answer to it (400, 408, 414 or 431, with nothing in it)
/// has none of them; the connection ends with it.
pub const ANSWER_HEADERS: [(&str, &str); 9] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    // Two years (RFC 6797 section 6.1).
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
];
