//! Exchanges the access policies when the control plane names others.

use std::sync::Arc;
use std::time::Duration;

use node_access::policies::{InForce, NotInForce};
use residency_control::PolicyVersion;
use tokio::time::timeout;

use crate::wiring::Node;
use crate::wiring::policies::{self, Installed, Refused, hex};

/// How soon a set that could not be used is looked for again, although nothing new was decided.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows the control plane for ever.
pub fn follow(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (reader, here) = (node.control.reader(), node.here.clone());
    let installed = Arc::clone(&node.installed);
    async move {
        let (mut told, mut proven_in) = (None, None);
        loop {
            let (seen, said) = (reader.applied(), reader.access_policies());
            let news = reader.applied_after(seen);
            // A new version is proven when it is opened. Where keys begin and end, it is proven again every second.
            let second = here.clock.now().as_second();
            let still = !installed.dated()
                || proven_in == Some(second)
                || said.as_ref().is_none_or(|said| installed.proven(said).is_ok());
            if still && policies::decides(&here.policies, said.as_ref()) {
                told = None;
                proven_in = Some(second);
                if installed.dated() {
                    // The key that signed it may end without any news.
                    let _ = timeout(AGAIN, news).await;
                } else {
                    news.await;
                }
                continue;
            }
            let opened = open(&installed, said.clone()).await;
            tell(&opened, said.as_ref(), &mut told);
            let decides = opened.is_ok();
            here.policies.put(opened.map_err(|refused| refused.refused));
            if !decides {
                // Nobody decides by anything else meanwhile. The file may come without any news.
                let _ = timeout(AGAIN, news).await;
            }
        }
    }
}

/// Reads and checks nearly two hundred policies: too long for a thread that answers requests.
async fn open(installed: &Arc<Installed>, said: Option<PolicyVersion>) -> Result<Arc<InForce>, Refused> {
    let installed = Arc::clone(installed);
    let opened = tokio::task::spawn_blocking(move || installed.open(said.as_ref())).await;
    opened.unwrap_or_else(|_| Err(Refused::new(NotInForce::Unfit, "reading them panicked")))
}

/// Tells the log what decides from now on, or why nothing does: once, and not at every try.
fn tell(
    opened: &Result<Arc<InForce>, Refused>,
    said: Option<&PolicyVersion>,
    told: &mut Option<(u64, NotInForce)>,
) {
    let version = said.map_or(0, |said| said.version);
    match opened {
        Ok(in_force) => {
            let digest = hex(in_force.loaded.digest());
            tracing::info!(policies = version, digest, "other access policies decide from now on");
        }
        Err(error) => {
            if told.replace((version, error.refused)) != Some((version, error.refused)) {
                tracing::error!(policies = version, %error, "no access is decided: the policies cannot be used");
            }
        }
    }
}
