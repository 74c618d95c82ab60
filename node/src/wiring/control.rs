//! Starts the node's member of the control plane.

use std::sync::Arc;

use residency_control::peer::{PeerPaths, PeerPool, PeerTls};
use residency_control::{Control, MembershipError, StartError};
use residency_policy::Clock;

use crate::config::{Config, ControlSection};
use crate::exit::{Cause, Stop, chain};

/// The node's identity among its peers, checked against what the configuration says it is.
pub fn peer_tls(config: &Config) -> Result<PeerTls, Stop> {
    let paths = PeerPaths {
        ca: config.peer.ca.clone(),
        cert: config.peer.certificate.clone(),
        key: config.peer.key.clone(),
    };
    let tls = PeerTls::load(paths)
        .map_err(|e| Stop::new(Cause::Tls, chain(&e), "see [peer]; `domicile doctor` checks the files"))?;
    let (is, should) = (tls.own_id(), ControlSection::own_id(&config.region));
    if is != should {
        return Err(Stop::new(
            Cause::Tls,
            format!(
                "the certificate {} is of {is}, and [region] says {should}",
                config.peer.certificate.display()
            ),
            "give this node the certificate that was issued to it, or correct [region]",
        ));
    }
    Ok(tls)
}

/// Starts the member from its disk, and makes the cluster where that is this node's task.
pub async fn start(config: &Config, tls: &PeerTls, clock: Arc<dyn Clock>) -> Result<Control, Stop> {
    let section = &config.control;
    let control = Control::start(residency_control::Config {
        id: config.region.node,
        dir: section.dir.clone(),
        tls: tls.clone(),
        pool: PeerPool::new(tls.clone()),
        peers: section.peers(),
        learners: section.learners(),
        timings: section.timings,
        clock,
    })
    .await
    .map_err(|e| start_stop(config, &e))?;
    if section.found && !control.is_initialized().await {
        match control.initialize(section.voters()).await {
            Ok(()) => tracing::info!(voters = section.voters().len(), "the control plane was made"),
            Err(MembershipError::AlreadyInitialized) => {}
            Err(error) => {
                return Err(Stop::new(
                    Cause::Control,
                    format!("the control plane cannot be made: {error}"),
                    "[control] found = true belongs to one voter of a new cluster only",
                ));
            }
        }
    }
    Ok(control)
}

fn start_stop(config: &Config, error: &StartError) -> Stop {
    Stop::new(
        Cause::Control,
        format!("the control plane's store {} cannot be used: {}", config.control.dir.display(), chain(error)),
        "the folder must be writable, on a disk with room, and of this node only; a damaged store is not mended: \
         give the node a new id and an empty folder",
    )
}
