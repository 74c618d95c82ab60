//! Trades a code for an ID token, and looks at every part of that (OpenID Connect Core 1.0, section 3.1.3.7).

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthType, AuthorizationCode, ClaimsVerificationError, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndUserEmail, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IdTokenClaims, IdTokenFields, IdTokenVerifier, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _, UserInfoClaims, UserInfoError,
};
use residency_control::Host;
use residency_control::signin::{ClaimName, IdentityProvider, LoginName, Preset};
use residency_policy::Clock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::discovery::{Discovered, unreached};
use super::flow::Flow;
use super::{Federated, NotShown, Shown, as_login, roles, subject_sha256};

/// What is taken for a signature: made with a private key that only the issuer has. Those made with the client's own secret
/// are not, and neither is none.
const SIGNATURES: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Clocks differ by less than this, in seconds.
const CLOCKS_DIFFER_SECONDS: i64 = 300;

/// Claims beside the standard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct More {
    /// The tenant, at Entra ID.
    tid: Option<String>,
    /// The domain that owns the account, at Google.
    hd: Option<String>,
    /// What the token is for, at Cognito.
    token_use: Option<String>,
    /// All others, of which one may list groups.
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

impl AdditionalClaims for More {}

type Claims = IdTokenClaims<More, CoreGenderClaim>;
type Fields = IdTokenFields<
    More,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type ClientOf = Client<
    More,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

fn client(
    provider: &IdentityProvider,
    secret: Option<String>,
    found: &Discovered,
    callback: &str,
) -> Result<ClientOf, NotShown> {
    let id = ClientId::new(provider.client.as_str().to_owned());
    let metadata = found.metadata.clone();
    // `client_secret_basic` is what holds where nothing is said.
    let methods = metadata.token_endpoint_auth_methods_supported();
    let basic = methods.is_none_or(|all| all.contains(&CoreClientAuthMethod::ClientSecretBasic));
    let redirect = RedirectUrl::new(callback.to_owned()).map_err(|_| NotShown::Wrong("callback"))?;
    let client = Client::from_provider_metadata(metadata, id, secret.map(ClientSecret::new));
    let how = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
    Ok(client.set_redirect_uri(redirect).set_auth_type(how))
}

/// Where the browser is sent. `claim` lists groups, where those decide: some servers have a scope of that name for it.
pub(crate) fn begin(
    provider: &IdentityProvider,
    found: &Discovered,
    flow: &Flow,
    claim: Option<&ClaimName>,
) -> Result<Url, NotShown> {
    let client = client(provider, None, found, &flow.callback)?;
    let (state, nonce) = (flow.state.clone(), flow.nonce.clone());
    let verifier = PkceCodeVerifier::new(flow.verifier.clone());
    let asked = client.authorize_url(
        CoreAuthenticationFlow::AuthorizationCode,
        move || CsrfToken::new(state),
        move || Nonce::new(nonce),
    );
    let asked = asked.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    let asked = asked.add_scope(Scope::new("email".to_owned()));
    let scopes = found.metadata.scopes_supported();
    let has =
        |claim: &&ClaimName| scopes.is_some_and(|all| all.iter().any(|one| one.as_str() == claim.as_str()));
    let asked = match claim.filter(has) {
        Some(claim) => asked.add_scope(Scope::new(claim.as_str().to_owned())),
        None => asked,
    };
    // The age says that `auth_time` is wanted (section 3.1.2.1); some servers take 0 for none, and know the prompt.
    let asked =
        if flow.step_up { asked.set_max_age(Duration::ZERO).add_prompt(CoreAuthPrompt::Login) } else { asked };
    Ok(asked.url().0)
}

/// Whether whoever sent the browser back is whom it was sent to (RFC 9207): otherwise a code of one provider could be
/// brought to another.
pub(crate) fn is_issuer(provider: &IdentityProvider, found: &Discovered, said: Option<&str>) -> bool {
    match said {
        Some(said) => said == provider.issuer.as_str(),
        None => !found.metadata.additional_metadata().authorization_response_iss_parameter_supported,
    }
}

/// Trades the code, and says whom the ID token shows.
pub(crate) async fn show(
    federated: &Federated,
    provider: &IdentityProvider,
    secret: Option<String>,
    flow: &Flow,
    (code, claim): (&str, Option<&ClaimName>),
    clock: &dyn Clock,
) -> Result<Shown, NotShown> {
    let now = clock.now().as_second();
    let (out, issuer) = (&federated.out, &provider.issuer);
    let found = federated.discoveries.of(out, issuer, clock).await?;
    let client = client(provider, secret, &found, &flow.callback)?;
    let asked = client.exchange_code(AuthorizationCode::new(code.to_owned()));
    let asked = asked.map_err(|_| NotShown::Wrong("endpoints"))?;
    let asked = asked.set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
    let tokens = asked.request_async(out).await.map_err(|error| match error {
        RequestTokenError::Request(error) => unreached(error),
        RequestTokenError::ServerResponse(_) => NotShown::Wrong("code-refused"),
        _ => NotShown::Unavailable("tokens-unreadable"),
    })?;
    let claims = match claims(provider, &found, &tokens, flow, now) {
        Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
            // It may sign with a new key since it was asked.
            let found = federated.discoveries.again(out, issuer, clock).await?;
            claims(provider, &found, &tokens, flow, now)
        }
        claims => claims,
    };
    let claims = claims.map_err(|error| wrong(&error))?;
    right(provider, &claims, now)?;
    let asked_at = asked_at(flow, &claims, now)?;
    let (mail, groups) = beside(federated, provider, &client, &tokens, (&claims, claim)).await?;
    let second = claims.auth_method_refs().is_some_and(|all| all.iter().any(|one| one.as_str() == "mfa"));
    let subject_sha256 = subject_sha256(issuer, claims.subject().as_str());
    Ok(Shown { subject_sha256, mail, second, asked_at, groups })
}

/// The claims of the ID token: signed by the issuer, for us, now, and in answer to this flow.
fn claims(
    provider: &IdentityProvider,
    found: &Discovered,
    tokens: &Tokens,
    flow: &Flow,
    now: i64,
) -> Result<Claims, ClaimsVerificationError> {
    let none = || ClaimsVerificationError::Other("no ID token".to_owned());
    let token = tokens.id_token().ok_or_else(none)?;
    let metadata = &found.metadata;
    let verifier: IdTokenVerifier<'_, CoreJsonWebKey> = IdTokenVerifier::new_public_client(
        ClientId::new(provider.client.as_str().to_owned()),
        metadata.issuer().clone(),
        metadata.jwks().clone(),
    );
    let at = UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
    let verifier = verifier.set_allowed_algs(SIGNATURES).set_time_fn(move || at.into());
    token.claims(&verifier, &Nonce::new(flow.nonce.clone())).cloned()
}

fn wrong(error: &ClaimsVerificationError) -> NotShown {
    NotShown::Wrong(match error {
        ClaimsVerificationError::Expired(_) => "token-expired",
        ClaimsVerificationError::InvalidAudience(_) => "token-audience",
        ClaimsVerificationError::InvalidIssuer(_) => "token-issuer",
        ClaimsVerificationError::InvalidNonce(_) => "token-nonce",
        ClaimsVerificationError::SignatureVerification(_) => "token-signature",
        _ => "token",
    })
}

/// What the library leaves to us: the authorised party, the time of issue, and what each kind of provider says of itself.
fn right(provider: &IdentityProvider, claims: &Claims, now: i64) -> Result<(), NotShown> {
    let more = claims.additional_claims();
    if claims.authorized_party().is_some_and(|party| party.as_str() != provider.client.as_str()) {
        return Err(NotShown::Wrong("token-party"));
    }
    if claims.issue_time().timestamp() > now.saturating_add(CLOCKS_DIFFER_SECONDS) {
        return Err(NotShown::Wrong("token-from-the-future"));
    }
    let right = match provider.preset {
        // Its issuers are `https://login.microsoftonline.com/{tenant}/v2.0`.
        Preset::Entra => {
            let tenant = provider.issuer.as_str().strip_suffix("/v2.0").and_then(|at| at.rsplit('/').next());
            tenant.is_some() && tenant == more.tid.as_deref()
        }
        Preset::Cognito => more.token_use.as_deref() == Some("id"),
        _ => true,
    };
    if right { Ok(()) } else { Err(NotShown::Wrong("token-tenant")) }
}

/// When the issuer asked who they are (`auth_time`, section 2). Where the flow is to show a second factor now, it must say so,
/// and not before the flow began (section 3.1.3.7, step 13).
fn asked_at(flow: &Flow, claims: &Claims, now: i64) -> Result<Option<i64>, NotShown> {
    let Some(at) = claims.auth_time().map(|at| at.timestamp()) else {
        return if flow.step_up { Err(NotShown::Wrong("token-auth-time-missing")) } else { Ok(None) };
    };
    if at > now.saturating_add(CLOCKS_DIFFER_SECONDS) {
        return Err(NotShown::Wrong("token-auth-time-from-the-future"));
    }
    if flow.step_up && at < flow.began().saturating_sub(CLOCKS_DIFFER_SECONDS) {
        return Err(NotShown::Wrong("token-auth-time-old"));
    }
    Ok(Some(at))
}

/// An address of a domain does not make an account the domain's: Google says which one owns it.
fn is_owned(provider: &IdentityProvider, domain: &Host, claims: &Claims) -> bool {
    let google = provider.issuer.as_str() == "https://accounts.google.com";
    !google || claims.additional_claims().hd.as_deref() == Some(domain.as_str())
}

/// The address, if the provider may vouch for one and says that it is verified, and the groups, where `claim` lists them and
/// they decide. Some say so in the ID token, and some only where it is asked for.
async fn beside(
    federated: &Federated,
    provider: &IdentityProvider,
    client: &ClientOf,
    tokens: &Tokens,
    (claims, claim): (&Claims, Option<&ClaimName>),
) -> Result<(Option<LoginName>, Vec<String>), NotShown> {
    let vouches = provider.mail_domain.as_ref().is_some_and(|domain| is_owned(provider, domain, claims));
    let listed = |more: &More| claim.and_then(|claim| roles::listed(more.rest.get(claim.as_str())));
    let groups = listed(claims.additional_claims());
    let ask_mail = vouches && claims.email().is_none();
    let ask_groups = claim.is_some() && groups.is_none();
    let mail = verified(claims.email().filter(|_| vouches), claims.email_verified());
    let groups = groups.unwrap_or_default();
    if !ask_mail && !ask_groups {
        return Ok((mail, groups));
    }
    let subject = Some(claims.subject().clone());
    let Ok(asked) = client.user_info(tokens.access_token().clone(), subject) else { return Ok((mail, groups)) };
    let info: Result<UserInfoClaims<More, CoreGenderClaim>, _> = asked.request_async(&federated.out).await;
    let info = info.map_err(|error| match error {
        UserInfoError::Request(error) => unreached(error),
        UserInfoError::ClaimsVerification(_) => NotShown::Wrong("another-subject"),
        _ => NotShown::Unavailable("user-unreadable"),
    })?;
    let mail = if ask_mail { verified(info.email(), info.email_verified()) } else { mail };
    let groups = if ask_groups { listed(info.additional_claims()).unwrap_or_default() } else { groups };
    Ok((mail, groups))
}

fn verified(mail: Option<&EndUserEmail>, verified: Option<bool>) -> Option<LoginName> {
    mail.filter(|_| verified == Some(true)).and_then(|mail| as_login(mail.as_str()))
}

#[cfg(test)]
mod tests {
    use residency_policy::{IdentityProviderId, OrgId};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_000_000;
    const TENANT: &str = "3f8a1c52-0d4e-4b6f-9a77-5c1e2d3b4a59";
    const GOOGLE: &str = "https://accounts.google.com";
    const POOL: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab1Cd2Ef3";

    fn provider(preset: Preset, issuer: &str) -> IdentityProvider {
        IdentityProvider {
            id: IdentityProviderId::from_bytes([1; 16]),
            org: OrgId::from_bytes([2; 16]),
            preset,
            issuer: issuer.parse().expect("an issuer"),
            client: "domicile".parse().expect("a client"),
            secret: None,
            mail_domain: None,
            active: true,
            version: 1,
        }
    }

    /// The claims of a token that is right, with these besides.
    fn said(more: &Value) -> Claims {
        let mut all =
            json!({"iss": "https://idp.example", "aud": "domicile", "sub": "1", "iat": NOW, "exp": NOW + 300});
        for (name, value) in more.as_object().expect("claims") {
            all[name] = value.clone();
        }
        serde_json::from_value(all).expect("the claims of an ID token")
    }

    #[test]
    fn each_kind_of_provider_says_of_a_token_whose_and_what_it_is() {
        let entra = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
        let (entra, cognito) = (provider(Preset::Entra, &entra), provider(Preset::Cognito, POOL));
        let any = provider(Preset::Custom, "https://idp.example");
        let (tenant, party, future) = ("token-tenant", "token-party", "token-from-the-future");
        for (provider, more, wrong) in [
            (&entra, json!({"tid": TENANT}), None),
            (&entra, json!({"tid": "00000000-0000-4000-8000-000000000000"}), Some(tenant)),
            (&entra, json!({"tid": "v2.0"}), Some(tenant)),
            (&entra, json!({"tid": ""}), Some(tenant)),
            (&entra, json!({}), Some(tenant)),
            (&cognito, json!({"token_use": "id"}), None),
            (&cognito, json!({"token_use": "access"}), Some(tenant)),
            (&cognito, json!({}), Some(tenant)),
            // The others say no such thing.
            (&any, json!({}), None),
            (&provider(Preset::Google, GOOGLE), json!({}), None),
            (&provider(Preset::Okta, "https://clinic.okta.com"), json!({}), None),
            // And of each is asked for whom it was issued, and when.
            (&any, json!({"azp": "domicile"}), None),
            (&any, json!({"azp": "another"}), Some(party)),
            (&any, json!({"iat": NOW + 300}), None),
            (&any, json!({"iat": NOW + 301}), Some(future)),
        ] {
            let expected = wrong.map_or(Ok(()), |what| Err(NotShown::Wrong(what)));
            assert_eq!(right(provider, &said(&more), NOW), expected, "{} {more}", provider.preset);
        }
    }

    #[test]
    fn google_vouches_for_accounts_that_the_domain_owns_and_for_no_others() {
        let elm: Host = "elm.example".parse().expect("a domain");
        let (google, other) =
            (provider(Preset::Google, GOOGLE), provider(Preset::Okta, "https://clinic.okta.com"));
        for (provider, more, owned) in [
            (&google, json!({"hd": "elm.example"}), true),
            (&google, json!({"hd": "oak.example"}), false),
            // Somebody's own account, made with an address of the domain.
            (&google, json!({}), false),
            // Whoever registers it as another kind gains nothing.
            (&provider(Preset::Custom, GOOGLE), json!({}), false),
            (&other, json!({}), true),
        ] {
            assert_eq!(is_owned(provider, &elm, &said(&more)), owned, "{} {more}", provider.preset);
        }
    }
}
