//! GitHub: OAuth 2 (RFC 6749) with PKCE, and its own API for who somebody is. It has no ID token and no discovery.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use residency_control::signin::IdentityProvider;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use url::form_urlencoded::Serializer;

use super::discovery::unreached;
use super::flow::Flow;
use super::outgoing::Outgoing;
use super::{NotShown, Shown, as_login, subject_sha256};

/// The issuer of everybody's GitHub. Any other is a GitHub Enterprise Server.
pub(crate) const ISSUER: &str = "https://github.com";
const SCOPE: &str = "read:user user:email";

#[derive(Deserialize)]
struct Token {
    access_token: Option<String>,
    token_type: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: u64,
}

#[derive(Deserialize)]
struct Mail {
    email: String,
    primary: bool,
    verified: bool,
}

/// Where its API is.
fn api(provider: &IdentityProvider, path: &str) -> String {
    match provider.issuer.as_str() {
        ISSUER => format!("https://api.github.com{path}"),
        server => format!("{server}/api/v3{path}"),
    }
}

/// Where the browser is sent.
pub(crate) fn begin(provider: &IdentityProvider, flow: &Flow) -> Result<Url, NotShown> {
    let verifier = PkceCodeVerifier::new(flow.verifier.clone());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let address = format!("{}/login/oauth/authorize", provider.issuer);
    let asked = [
        ("client_id", provider.client.as_str()),
        ("redirect_uri", &flow.callback),
        ("scope", SCOPE),
        ("state", &flow.state),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        // Whoever has no account there is no member of anything here.
        ("allow_signup", "false"),
    ];
    Url::parse_with_params(&address, asked).map_err(|_| NotShown::Wrong("issuer"))
}

/// Trades the code, and asks whose it is. What it says of second factors is not told to us, so none was shown.
pub(crate) async fn show(
    out: &Outgoing,
    provider: &IdentityProvider,
    secret: Option<String>,
    flow: &Flow,
    code: &str,
) -> Result<Shown, NotShown> {
    let form = Serializer::new(String::new())
        .append_pair("client_id", provider.client.as_str())
        .append_pair("client_secret", secret.as_deref().unwrap_or_default())
        .append_pair("code", code)
        .append_pair("redirect_uri", &flow.callback)
        .append_pair("code_verifier", &flow.verifier)
        .finish();
    let asked = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/login/oauth/access_token", provider.issuer))
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.into_bytes());
    // A refusal has the status 200 there, and no token.
    let token: Token = answer(out, asked).await?;
    let bearer = token.token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let token = token.access_token.filter(|_| bearer).ok_or(NotShown::Wrong("code-refused"))?;

    let user: User = answer(out, get(&api(provider, "/user"), &token)).await?;
    let mail = if provider.mail_domain.is_some() {
        let all: Vec<Mail> = answer(out, get(&api(provider, "/user/emails"), &token)).await?;
        let first = all.into_iter().find(|one| one.primary && one.verified);
        first.and_then(|one| as_login(&one.email))
    } else {
        None
    };
    let subject_sha256 = subject_sha256(&provider.issuer, &user.id.to_string());
    Ok(Shown { subject_sha256, mail, second: false, asked_at: None, groups: Vec::new() })
}

/// Whether its API answers.
pub(crate) async fn ask(out: &Outgoing, provider: &IdentityProvider) -> Result<(), NotShown> {
    let asked = Request::get(api(provider, "/meta")).body(Vec::new()).map_err(|_| NotShown::Wrong("issuer"))?;
    out.send(asked).await.map(|_| ()).map_err(unreached)
}

fn get(address: &str, token: &str) -> http::Result<Request<Vec<u8>>> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
    bearer.set_sensitive(true);
    Request::get(address)
        .header(ACCEPT, "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .header(AUTHORIZATION, bearer)
        .body(Vec::new())
}

async fn answer<T: DeserializeOwned>(
    out: &Outgoing,
    asked: http::Result<Request<Vec<u8>>>,
) -> Result<T, NotShown> {
    let asked = asked.map_err(|_| NotShown::Wrong("request"))?;
    let answer = out.send(asked).await.map_err(unreached)?;
    match answer.status().as_u16() {
        200 => serde_json::from_slice(answer.body()).map_err(|_| NotShown::Unavailable("unreadable")),
        401 | 403 | 404 => Err(NotShown::Wrong("refused")),
        _ => Err(NotShown::Unavailable("status")),
    }
}

#[cfg(test)]
mod tests {
    use residency_control::signin::Preset;
    use residency_policy::{IdentityProviderId, OrgId};

    use super::*;

    fn github(issuer: &str) -> IdentityProvider {
        IdentityProvider {
            id: IdentityProviderId::from_bytes([1; 16]),
            org: OrgId::from_bytes([2; 16]),
            preset: Preset::Github,
            issuer: issuer.parse().expect("an issuer"),
            client: "Iv1.test".parse().expect("a client"),
            secret: None,
            mail_domain: None,
            active: true,
            version: 1,
        }
    }

    #[test]
    fn everybodys_github_is_asked_at_its_api_and_a_server_of_ones_own_at_itself() {
        for (issuer, user) in [
            (ISSUER, "https://api.github.com/user"),
            ("https://github.elm.example", "https://github.elm.example/api/v3/user"),
            // Not a name that only begins like it.
            ("https://github.com.elm.example", "https://github.com.elm.example/api/v3/user"),
        ] {
            assert_eq!(api(&github(issuer), "/user"), user);
        }
    }
}
