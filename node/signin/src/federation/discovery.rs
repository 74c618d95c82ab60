//! What issuers say of themselves: where they are asked, and with which keys they sign (OpenID Connect Discovery 1.0).

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, ProviderMetadata};
use residency_control::signin::IssuerUrl;
use residency_policy::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::NotShown;
use super::outgoing::{Outgoing, Unreached};

/// How long what an issuer said is taken for true, in seconds.
const GOOD_SECONDS: i64 = 3_600;
/// How long it is not asked again although a token names a key that it did not, in seconds: whoever sends made-up keys
/// shall not have us call on somebody else all day.
const AGAIN_SECONDS: i64 = 10;
/// How long an issuer that could not be asked is not asked again, in seconds: everybody who signs in there meanwhile hears the
/// same at once.
const FAILED_SECONDS: i64 = 5;
/// How many issuers are remembered.
const ISSUERS_MAX: u64 = 1_024;

/// What an issuer says beside the standard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct More {
    /// Whether it says who it is when it sends a browser back (RFC 9207).
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

pub(crate) type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What an issuer said, and when.
pub(crate) struct Discovered {
    pub(crate) metadata: Metadata,
    at: i64,
}

/// What issuers said lately, or why they said nothing.
pub(crate) struct Discoveries {
    found: Cache<IssuerUrl, Arc<Discovered>>,
    failed: Cache<IssuerUrl, (NotShown, i64)>,
    /// Held by whoever asks an issuer: the others wait for what comes of it.
    asking: Cache<IssuerUrl, Arc<Mutex<()>>>,
}

impl Default for Discoveries {
    fn default() -> Self {
        let (found, failed, asking) =
            (Cache::new(ISSUERS_MAX), Cache::new(ISSUERS_MAX), Cache::new(ISSUERS_MAX));
        Self { found, failed, asking }
    }
}

impl fmt::Debug for Discoveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discoveries")
    }
}

impl Discoveries {
    /// What an issuer says, as far as is known here, or by asking it.
    pub(crate) async fn of(
        &self,
        out: &Outgoing,
        issuer: &IssuerUrl,
        clock: &dyn Clock,
    ) -> Result<Arc<Discovered>, NotShown> {
        self.younger(out, issuer, clock, GOOD_SECONDS).await
    }

    /// The same after a token named a key that is not known here.
    pub(crate) async fn again(
        &self,
        out: &Outgoing,
        issuer: &IssuerUrl,
        clock: &dyn Clock,
    ) -> Result<Arc<Discovered>, NotShown> {
        self.younger(out, issuer, clock, AGAIN_SECONDS).await
    }

    async fn younger(
        &self,
        out: &Outgoing,
        issuer: &IssuerUrl,
        clock: &dyn Clock,
        seconds: i64,
    ) -> Result<Arc<Discovered>, NotShown> {
        let now = clock.now().as_second();
        if let Some(known) = self.known(issuer, now, seconds) {
            return known;
        }
        let asking = self.asking.get_with(issuer.clone(), Arc::default);
        let _asking = asking.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(known) = self.known(issuer, now, seconds) {
            return known;
        }
        let answered = ask(out, issuer).await;
        // One that answers late shall not be asked again at once.
        let at = clock.now().as_second();
        match answered {
            Ok(metadata) => {
                let found = Arc::new(Discovered { metadata, at });
                self.found.insert(issuer.clone(), Arc::clone(&found));
                Ok(found)
            }
            // That is this node's own doing.
            Err(NotShown::Busy) => Err(NotShown::Busy),
            Err(why) => {
                self.failed.insert(issuer.clone(), (why, at));
                Err(why)
            }
        }
    }

    /// What an issuer said, or did not say, lately enough.
    fn known(&self, issuer: &IssuerUrl, now: i64, seconds: i64) -> Option<Result<Arc<Discovered>, NotShown>> {
        let lately = |at: i64, seconds| now.saturating_sub(at) < seconds;
        if let Some(known) = self.found.get(issuer).filter(|known| lately(known.at, seconds)) {
            return Some(Ok(known));
        }
        let failed = self.failed.get(issuer).filter(|(_, at)| lately(*at, FAILED_SECONDS));
        failed.map(|(why, _)| Err(why))
    }
}

/// Asks an issuer. What it says must name itself, and places that may be asked.
pub(crate) async fn ask(out: &Outgoing, issuer: &IssuerUrl) -> Result<Metadata, NotShown> {
    let named =
        openidconnect::IssuerUrl::new(issuer.as_str().to_owned()).map_err(|_| NotShown::Wrong("issuer"))?;
    let metadata = Metadata::discover_async(named, out).await.map_err(|error| match error {
        DiscoveryError::Request(error) => unreached(error),
        DiscoveryError::Validation(_) => NotShown::Wrong("another-issuer"),
        DiscoveryError::Response(..) => NotShown::Unavailable("discovery-refused"),
        _ => NotShown::Unavailable("discovery-unreadable"),
    })?;
    let may = |url: &str| url.parse().is_ok_and(|uri| out.may(&uri));
    let token = metadata.token_endpoint().is_some_and(|url| may(url.url().as_str()));
    if !token || !may(metadata.authorization_endpoint().url().as_str()) {
        return Err(NotShown::Wrong("endpoints"));
    }
    Ok(metadata)
}

pub(crate) fn unreached(error: Unreached) -> NotShown {
    match error {
        Unreached::Busy => NotShown::Busy,
        Unreached::NotAsked => NotShown::Unavailable("address-not-asked"),
        Unreached::Late => NotShown::Unavailable("late"),
        Unreached::Failed => NotShown::Unavailable("unreachable"),
        Unreached::OutOfOrder => NotShown::Unavailable("out-of-order"),
    }
}
