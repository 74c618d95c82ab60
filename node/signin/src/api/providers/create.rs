//! Adds an identity provider to the caller's organisation.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::StatusCode;
use node_access::body::{Object, PublicJson};
use node_access::doc::{IdempotencyHeader, OpenChangeProblems};
use node_access::idempotency::{self, IdempotencyKey};
use node_access::{Act, Action, Entity, NotMade, OpenCall, Refused};
use residency_control::signin::{ClientId, IdentityProvider, IssuerUrl, Preset, RoleMapping, SignInChange};
use residency_control::{Command, Host, Refusal};
use residency_policy::{FieldError, IdentityProviderId, OrgId, OrgType, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::role_mapping::{self, RoleMappingBody};
use super::{ProviderBody, own_organisation, shown};
use crate::api::AtDesk;
use crate::federation::{client_secret, github};
use crate::{Desk, NotSignedIn};

pub(super) const SECRET_EXPECTED: &str =
    "expected 1 to 126 visible ASCII characters, or nothing for a public client";
pub(super) const DOMAIN_EXPECTED: &str = "expected a domain in lower case such as clinic.example";

/// Adding an identity provider.
pub struct Create;

impl Act for Create {
    const ENTITY: Entity = Entity::IdentityProvider;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "identity_provider.create";
}

/// An identity provider to be added.
#[derive(Serialize, ToSchema)]
#[schema(as = NewIdentityProvider)]
#[serde(deny_unknown_fields)]
pub struct NewProviderBody {
    /// Which kind: `custom`, `google`, `okta`, `entra`, `cognito` or `github`.
    #[schema(pattern = "^(custom|google|okta|entra|cognito|github)$", example = "okta")]
    pub preset: String,
    /// What it signs with: `https`, byte for byte as its discovery document says. It may be left out for `google` and
    /// `github`; for `github` another one is a GitHub Enterprise Server. For `entra` it names one tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "https://clinic.okta.com")]
    pub issuer: Option<String>,
    /// What it calls us.
    #[schema(min_length = 1, max_length = 128, example = "0oa1b2c3d4")]
    pub client_id: String,
    /// What proves to it that it is us. It is sealed at once, and shown to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Password, min_length = 1, max_length = 126)]
    pub client_secret: Option<String>,
    /// The domain whose verified addresses it may vouch for. Whoever shows one that is a login name of the organisation
    /// is linked to that account. Without it, people are linked by an invitation or from a session only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "clinic.example")]
    pub mail_domain: Option<String>,
    /// What its groups make of people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_mapping: Option<RoleMappingBody>,
}

/// Adds an identity provider to the caller's own organisation, which has eight at most.
#[utoipa::path(
    post, path = "/v1/orgs/{id}/identity-providers", operation_id = "create_identity_provider", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), IdempotencyHeader),
    request_body(content = NewProviderBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It was added", body = ProviderBody, headers(
            ("etag" = String, description = "The version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenChangeProblems
    )
)]
pub async fn create(
    Extension(desk): AtDesk,
    call: OpenCall<Create>,
    key: IdempotencyKey,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let id =
        IdentityProviderId::from_bytes(idempotency::derived("identity provider id v1", &call.caller, &key));
    let (new, mapping) = read(&desk, &body, (org, call.caller.org_type), id)?;
    let index = call.catch_up().await?;
    let signins = desk.directory.signins();
    if let Some(known) = signins.federation().provider(id) {
        let decides = signins.federation().mapping(id).map(|one| &**one);
        // Its secret is sealed anew each time, so what is compared is the rest.
        return if same(known, &new) && decides == mapping.as_ref() {
            let body = Json(ProviderBody::of(known, decides));
            Ok((StatusCode::CREATED, shown(known.version, index.0), body).into_response())
        } else {
            Err(Problem::new(ProblemKind::IdempotencyReused).into())
        };
    }
    let body = ProviderBody::of(&new, mapping.as_ref());
    let change = match mapping {
        None => SignInChange::AddIdentityProvider(new),
        mapping => SignInChange::PutIdentityProvider { provider: new, mapping, expected: 0 },
    };
    let index = match call.propose(Command::SignIn(change)).await {
        Err(NotMade::Refused(Refusal::AlreadyKnown)) => {
            return Err(Problem::new(ProblemKind::IdempotencyReused).into());
        }
        Err(NotMade::Refused(Refusal::Full)) => {
            let why = "an organisation has eight identity providers at most";
            return Err(Problem::new(ProblemKind::IllegalTransition).detail(why).into());
        }
        proposed => proposed?,
    };
    Ok((StatusCode::CREATED, shown(1, index.0), Json(body)).into_response())
}

fn same(known: &IdentityProvider, new: &IdentityProvider) -> bool {
    let compared = |one: &IdentityProvider| {
        (
            one.org,
            one.preset,
            one.issuer.clone(),
            one.client.clone(),
            one.secret.is_some(),
            one.mail_domain.clone(),
        )
    };
    compared(known) == compared(new)
}

fn read(
    desk: &Desk,
    body: &Object,
    (org, kind): (OrgId, OrgType),
    id: IdentityProviderId,
) -> Result<(IdentityProvider, Option<RoleMapping>), Refused> {
    body.only(&["preset", "issuer", "client_id", "client_secret", "mail_domain", "role_mapping"])?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let mut wrong = Vec::new();
    let mut note = |pointer, detail| wrong.push(FieldError { pointer, code: "format", detail });
    let preset: Option<Preset> = text("preset").and_then(|text| text.parse().ok());
    let issuer = preset.and_then(|preset| issuer(preset, body.get("issuer")));
    let client: Option<ClientId> = text("client_id").and_then(|text| text.parse().ok());
    let secret = body.get("client_secret").map(secret);
    let domain = body.get("mail_domain").map(domain);
    let mapping = body.get("role_mapping");
    let mapping = preset.and_then(|preset| mapping.map(|given| role_mapping::read(given, preset, kind)));
    if preset.is_none() {
        note("/preset", "expected custom, google, okta, entra, cognito or github");
    } else if issuer.is_none() {
        note("/issuer", "expected the issuer of this kind of provider, such as https://login.clinic.example");
    }
    if client.is_none() {
        note("/client_id", "expected 1 to 128 letters, digits and . _ : / ~ -");
    }
    if secret == Some(None) || (secret.is_none() && preset == Some(Preset::Github)) {
        note("/client_secret", SECRET_EXPECTED);
    }
    if domain == Some(None) {
        note("/mail_domain", DOMAIN_EXPECTED);
    }
    if mapping == Some(None) {
        note("/role_mapping", role_mapping::EXPECTED);
    }
    let (Some(preset), Some(issuer), Some(client), true) = (preset, issuer, client, wrong.is_empty()) else {
        return Err(Problem::new(ProblemKind::Invalid).fields(wrong).into());
    };
    let seal = |secret: &str| {
        client_secret::seal(&desk.keys, (org, id), secret, &*desk.entropy).ok_or(NotSignedIn::NotOffered)
    };
    let secret = secret.flatten().map(seal).transpose()?;
    let mail_domain = domain.flatten();
    let new =
        IdentityProvider { id, org, preset, issuer, client, secret, mail_domain, active: true, version: 1 };
    Ok((new, mapping.flatten()))
}

/// A secret as a provider gives it out.
pub(super) fn secret(value: &Value) -> Option<&str> {
    let visible = |text: &&str| text.bytes().all(|b| b.is_ascii_graphic());
    value.as_str().filter(|text| (1..=client_secret::LEN_MAX).contains(&text.len())).filter(visible)
}

/// A domain that a login name can have.
pub(super) fn domain(value: &Value) -> Option<Host> {
    let text = value.as_str()?;
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.contains(':');
    let is = text.contains('.') && text.len() <= 60 && text.split('.').all(label);
    text.parse().ok().filter(|_| is)
}

/// What is known of each kind before it is asked.
fn issuer(preset: Preset, given: Option<&Value>) -> Option<IssuerUrl> {
    const GOOGLE: &str = "https://accounts.google.com";
    let given = match given {
        None => None,
        Some(value) => Some(value.as_str()?.parse::<IssuerUrl>().ok()?),
    };
    match (preset, given) {
        (Preset::Google, None) => GOOGLE.parse().ok(),
        (Preset::Github, None) => github::ISSUER.parse().ok(),
        (_, None) => None,
        (Preset::Google, Some(given)) => Some(given).filter(|given| given.as_str() == GOOGLE),
        // One tenant: `common` and `organizations` let in whoever has an account anywhere.
        (Preset::Entra, Some(given)) => {
            let tenant = given.as_str().strip_prefix("https://login.microsoftonline.com/");
            let tenant = tenant.and_then(|rest| rest.strip_suffix("/v2.0")).map(str::parse::<OrgId>);
            tenant.is_some_and(|tenant| tenant.is_ok()).then_some(given)
        }
        (Preset::Cognito, Some(given)) => {
            let pool = given.authority().strip_prefix("cognito-idp.");
            pool.is_some_and(|rest| rest.ends_with(".amazonaws.com")).then_some(given)
        }
        // The paths of a server begin at its root.
        (Preset::Github, Some(given)) => given.as_str().ends_with(given.authority()).then_some(given),
        (Preset::Custom | Preset::Okta, Some(given)) => Some(given),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_of_provider_has_its_issuers() {
        let tenant = "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000/v2.0";
        let pool = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab12";
        for (preset, given, taken) in [
            (Preset::Google, None, Some("https://accounts.google.com")),
            (Preset::Google, Some("https://accounts.google.com"), Some("https://accounts.google.com")),
            (Preset::Google, Some("https://accounts.example"), None),
            (Preset::Github, None, Some("https://github.com")),
            (Preset::Github, Some("https://git.clinic.example"), Some("https://git.clinic.example")),
            (Preset::Github, Some("https://git.clinic.example/a"), None),
            (Preset::Entra, Some(tenant), Some(tenant)),
            (Preset::Entra, Some("https://login.microsoftonline.com/common/v2.0"), None),
            (Preset::Entra, Some("https://login.example/00000000-0000-4000-8000-000000000000/v2.0"), None),
            (Preset::Cognito, Some(pool), Some(pool)),
            (Preset::Cognito, Some("https://cognito-idp.evil.example/a"), None),
            (Preset::Custom, Some("https://idp.example/a"), Some("https://idp.example/a")),
            (Preset::Okta, None, None),
            (Preset::Custom, Some("idp"), None),
        ] {
            let value = given.map(|given| json!(given));
            let found = issuer(preset, value.as_ref()).map(|one| one.to_string());
            assert_eq!(found.as_deref(), taken, "{preset:?} {given:?}");
        }
    }

    #[test]
    fn a_secret_and_a_domain_have_bounds() {
        assert_eq!(secret(&json!("GOCSPX-a_b")), Some("GOCSPX-a_b"));
        for wrong in [json!(""), json!("a b"), json!("é"), json!("a\n"), json!(1), json!("a".repeat(127))] {
            assert_eq!(secret(&wrong), None, "{wrong}");
        }
        assert!(domain(&json!("clinic.example")).is_some());
        for wrong in ["", "clinic", "Clinic.example", "a..b", ".a", "a.b:1", "-a.b", "a@b.c"] {
            assert!(domain(&json!(wrong)).is_none(), "{wrong}");
        }
    }
}
