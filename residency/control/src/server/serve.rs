//! The peer routes.
//!
//! Who calls is told by the certificate, never by the body: only members may call, routers may not take part in
//! Raft or propose, a message of Raft must come from the node in whose name it is written, and what is proposed about
//! a region must come from that region.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use openraft::raft::AppendEntriesResponse;
use residency_policy::NodeId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::roster::RosterChange;
use super::{Core, FatalReason, Leads};
use crate::peer::PeerId;
use crate::raft::log::MESSAGE_BYTES;
use crate::raft::membership::MembershipError;
use crate::raft::types::Vote;
use crate::raft::wire::{self, Answer, Led};

/// Entries are read up to [`MESSAGE_BYTES`], and one larger entry goes alone.
const APPEND_BYTES: usize = 4 * MESSAGE_BYTES;
const SNAPSHOT_BYTES: usize = 2 * MESSAGE_BYTES;
const PROPOSE_BYTES: usize = MESSAGE_BYTES;
const SMALL_BYTES: usize = 4 << 10;

type Reply = Response<Full<Bytes>>;

/// Why a call is not answered in its own terms.
enum Refuse {
    NotAMember,
    NotInThatName,
    /// The caller was a member, and is none any more.
    Removed,
    /// The caller's disk is not the one that it joined with.
    OtherDisk,
    /// The caller means a member with another disk than this one.
    NotThatDisk,
    NoSuchRoute,
    NotPost,
    TooLarge,
    Malformed,
}

impl Refuse {
    fn reply(&self) -> Reply {
        let status = match self {
            Self::NotAMember | Self::NotInThatName => StatusCode::FORBIDDEN,
            Self::Removed => StatusCode::GONE,
            Self::OtherDisk => StatusCode::CONFLICT,
            Self::NotThatDisk => StatusCode::PRECONDITION_FAILED,
            Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
        };
        status_only(status)
    }
}

fn status_only(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

pub(super) async fn answer<B>(core: &Arc<Core>, peer: &PeerId, request: Request<B>) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match route(core, peer, request).await {
        Ok(mut reply) => {
            if let Some(disk) = wire::disk_value(core.calls.disk) {
                reply.headers_mut().insert(wire::DISK, disk);
            }
            reply
        }
        Err(refuse) => {
            let reply = refuse.reply();
            tracing::warn!(peer = %peer, status = reply.status().as_u16(), "a call to the control plane was refused");
            reply
        }
    }
}

async fn route<B>(core: &Arc<Core>, peer: &PeerId, request: Request<B>) -> Result<Reply, Refuse>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let known = core.is_member(peer);
    core.know_each_other(peer, known, request.headers())?;
    let takes_part = known && peer.kind.is_region();
    if request.method() != Method::POST {
        return Err(if known { Refuse::NotPost } else { Refuse::NotAMember });
    }
    // The place is asked before the body is read.
    match request.uri().path() {
        wire::APPEND if takes_part => append(core, peer, read(request, APPEND_BYTES).await?).await,
        wire::VOTE if takes_part => vote(core, peer, read(request, SMALL_BYTES).await?).await,
        wire::SNAPSHOT if takes_part => snapshot(core, peer, read(request, SNAPSHOT_BYTES).await?).await,
        wire::PROPOSE if takes_part => propose(core, peer, read(request, PROPOSE_BYTES).await?).await,
        wire::BARRIER if known => barrier(core).await,
        wire::REPORT if known => Ok(reply(&core.report())),
        wire::ROSTER if takes_part => roster(core, read(request, SMALL_BYTES).await?).await,
        wire::LEAD if takes_part => Ok(reply(&core.stand(peer.node).await)),
        path if wire::ROUTES.contains(&path) => Err(Refuse::NotAMember),
        _ => Err(Refuse::NoSuchRoute),
    }
}

async fn read<B, T>(request: Request<B>, bytes_max: usize) -> Result<T, Refuse>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T: DeserializeOwned,
{
    let body = Limited::new(request.into_body(), bytes_max).collect().await.map_err(|_| Refuse::TooLarge)?;
    postcard::from_bytes(&body.to_bytes()).map_err(|_| Refuse::Malformed)
}

fn reply<T: Serialize>(value: &T) -> Reply {
    match postcard::to_allocvec(value) {
        Ok(bytes) => Response::new(Full::new(bytes.into())),
        Err(_) => status_only(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Raft's messages carry the sender's id; the certificate says whether it is true.
fn in_own_name(peer: &PeerId, vote: &Vote) -> Result<(), Refuse> {
    if vote.leader_id().voted_for() == Some(peer.node.0) { Ok(()) } else { Err(Refuse::NotInThatName) }
}

async fn append(core: &Core, peer: &PeerId, asked: wire::Append) -> Result<Reply, Refuse> {
    let wire::Append { proof, rpc } = asked;
    in_own_name(peer, &rpc.vote)?;
    let commit = rpc.leader_commit.map_or(0, |id| id.index);
    let result = core.raft.append_entries(rpc).await;
    if let (Ok(AppendEntriesResponse::Success), Some(proof)) = (&result, proof) {
        core.view.freshness.heard(proof, commit);
    }
    let stamp = core.view.freshness.stamp();
    Ok(reply(&Answer::of(result.map(|response| wire::Appended { stamp, response }))))
}

async fn vote(core: &Core, peer: &PeerId, asked: wire::VoteAsked) -> Result<Reply, Refuse> {
    in_own_name(peer, &asked.vote)?;
    let answer: Answer<wire::Voted> = Answer::of(core.raft.vote(asked).await);
    Ok(reply(&answer))
}

async fn snapshot(core: &Core, peer: &PeerId, asked: wire::Chunk) -> Result<Reply, Refuse> {
    in_own_name(peer, &asked.vote)?;
    let answer: Answer<wire::ChunkTaken> = Answer::of(core.raft.install_snapshot(asked).await);
    Ok(reply(&answer))
}

/// A member forwards what was proposed to itself and to nobody else, so that all of a batch is said in its name.
async fn propose(
    core: &Core,
    peer: &PeerId,
    wire::Forwarded(commands): wire::Forwarded,
) -> Result<Reply, Refuse> {
    if !commands.iter().all(|command| core.may_propose(peer.kind, command)) {
        return Err(Refuse::NotInThatName);
    }
    let led = match core.leads() {
        Leads::Here => core.submit(commands, true).await,
        Leads::There(..) => Led::NotLeader,
        Leads::Nobody => Led::NoQuorum,
        Leads::Stopped => Led::Stopping,
    };
    Ok(reply(&led))
}

async fn barrier(core: &Core) -> Result<Reply, Refuse> {
    Ok(reply(&core.read_point(true).await))
}

/// Only the leader changes the membership. One that is asked and does not lead says so, and sends nothing on: the
/// member that was asked first looks for the leader again.
async fn roster(core: &Arc<Core>, change: RosterChange) -> Result<Reply, Refuse> {
    let changed = match core.leads() {
        Leads::Here => core.change_here(change).await,
        Leads::There(leader, _) => Err(MembershipError::NotLeader(Some(NodeId(leader)))),
        Leads::Nobody => Err(MembershipError::NoQuorum),
        Leads::Stopped => Err(MembershipError::ShuttingDown),
    };
    Ok(reply(&changed))
}

impl Core {
    /// A member is who it was when it joined, disk included, and stays away once it was removed. A disk that was wiped
    /// has forgotten its votes: it must have no voice before it is found out, so this comes before anything else.
    fn know_each_other(&self, peer: &PeerId, known: bool, headers: &HeaderMap) -> Result<(), Refuse> {
        if self.was_removed(peer.node) {
            return Err(Refuse::Removed);
        }
        // What a stranger says of disks is no news.
        if !known {
            return Ok(());
        }
        let (theirs, ours) =
            (wire::disk_of(headers, &wire::DISK), wire::disk_of(headers, &wire::DISK_EXPECTED));
        if ours.is_some_and(|expected| expected != self.calls.disk) {
            self.stop_for(FatalReason::OtherDisk(NodeId(self.id)));
            return Err(Refuse::NotThatDisk);
        }
        let noted = self.view.read(|applied| applied.state.seats().get(&peer.node).copied().flatten());
        match noted.zip(theirs) {
            Some((noted, theirs)) if noted != theirs => Err(Refuse::OtherDisk),
            _ => Ok(()),
        }
    }

    /// Whether a peer is a member, by the membership or by the configuration: a member that starts empty, or that
    /// slept through a change of the membership, knows its leader only by the latter.
    fn is_member(&self, peer: &PeerId) -> bool {
        let PeerId { kind, node } = *peer;
        let is = |member: &crate::raft::types::Member| member.kind == kind;
        let NodeId(id) = node;
        self.calls.configured.get(&node).is_some_and(is)
            || self.learners.get(&node).is_some_and(is)
            || self.members().get(&id).is_some_and(|(member, _)| is(member))
    }
}
