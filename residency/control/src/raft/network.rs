//! Raft's calls to other members, over the pooled mutual TLS of [`crate::peer`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use openraft::error::{
    Fatal, InstallSnapshotError, RPCError, RaftError, RemoteError, SnapshotMismatch, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{AnyError, SnapshotSegmentId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::freshness::Proof;
use super::machine_adapter::View;
use super::types::{Member, TypeConfig};
use super::wire::{self, Answer};
use crate::FatalReason;
use crate::peer::{PeerError, PeerExpect, PeerPool};
use residency_policy::{DiskId, NodeId};
use tokio::sync::watch;

/// The largest answer that is read.
const ANSWER_BYTES: usize = 4 << 20;

/// Why a peer gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("the peer answered {0}")]
    Status(StatusCode),
    #[error("the peer's answer could not be read")]
    Answer,
    #[error("the request could not be encoded")]
    Encode,
    #[error("the peer has stopped")]
    Stopped,
}

/// Calls members by id.
pub(crate) struct Calls {
    pub(crate) pool: PeerPool,
    /// What this node's configuration says of other members, which goes before what the membership says: an
    /// operator who moved a member must be able to say so before the cluster can agree on anything.
    pub(crate) configured: BTreeMap<NodeId, Member>,
    /// This member.
    pub(crate) own: NodeId,
    /// Its disk.
    pub(crate) disk: DiskId,
    /// Whose disk is known to be which.
    pub(crate) view: Arc<View>,
    /// Which disk each member says that it has.
    pub(crate) heard: Mutex<BTreeMap<u64, DiskId>>,
    /// Told when another member says that this one is none.
    pub(crate) fatal: watch::Sender<Option<FatalReason>>,
}

impl Calls {
    /// Where and as whom a member is called.
    pub(crate) fn member<'a>(&'a self, id: u64, known: &'a Member) -> &'a Member {
        self.configured.get(&NodeId(id)).unwrap_or(known)
    }

    /// Calls a route of one member and waits for the whole answer.
    pub(crate) async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        id: u64,
        known: &Member,
        route: &'static str,
        question: &Q,
    ) -> Result<A, CallError> {
        let member = self.member(id, known);
        let body = Bytes::from(postcard::to_allocvec(question).map_err(|_| CallError::Encode)?);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(route);
        let expected = self.view.read(|applied| applied.state.seats().get(&NodeId(id)).copied().flatten());
        for (name, disk) in [(wire::DISK, Some(self.disk)), (wire::DISK_EXPECTED, expected)] {
            if let Some(value) = disk.and_then(wire::disk_value) {
                request.headers_mut().insert(name, value);
            }
        }
        let expect = PeerExpect::Member(member.kind, NodeId(id));
        let response = self.pool.send(&member.endpoint(), expect, request).await?;
        match response.status() {
            StatusCode::OK => {}
            status => {
                match status {
                    StatusCode::GONE => self.end(FatalReason::Removed(self.own)),
                    StatusCode::CONFLICT => self.end(FatalReason::OtherDisk(self.own)),
                    _ => {}
                }
                return Err(CallError::Status(status));
            }
        }
        if let Some(disk) = wire::disk_of(response.headers(), &wire::DISK) {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(id, disk);
        }
        let answer = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let answer = answer.map_err(|_| CallError::Answer)?.to_bytes();
        postcard::from_bytes(&answer).map_err(|_| CallError::Answer)
    }
}

impl Calls {
    /// What one member says of another is final: ids are never used again, and disks never change hands.
    fn end(&self, reason: FatalReason) {
        self.fatal.send_if_modified(|told| {
            let new = told.is_none();
            if new {
                *told = Some(reason);
            }
            new
        });
    }

    /// The disk that a member said it has, since this member runs.
    pub(crate) fn disk_of(&self, id: u64) -> Option<DiskId> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }
}

/// Makes openraft's clients.
pub(crate) struct Network {
    pub(crate) calls: Arc<Calls>,
    pub(crate) view: Arc<View>,
    pub(crate) own: u64,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &Member) -> Client {
        Client {
            calls: self.calls.clone(),
            view: self.view.clone(),
            own: self.own,
            target,
            member: node.clone(),
            proof: None,
        }
    }
}

/// Raft's line to one member.
pub(crate) struct Client {
    calls: Arc<Calls>,
    view: Arc<View>,
    own: u64,
    target: u64,
    member: Member,
    /// Made when the last answer came, so that the next append's commit index is later than what it proves.
    proof: Option<Proof>,
}

type Failed<E> = RPCError<u64, Member, RaftError<u64, E>>;

impl Client {
    /// openraft retries at once after a `Network` error; a peer that is down would be called in a hot loop.
    fn unreachable<E: std::error::Error>(error: &CallError) -> Failed<E> {
        RPCError::Unreachable(Unreachable::from(AnyError::error(error)))
    }

    fn stopped<E: std::error::Error>(&self) -> Failed<E> {
        tracing::debug!(peer.node = self.target, error = %CallError::Stopped, "a member has stopped");
        RPCError::RemoteError(RemoteError::new_with_node(
            self.target,
            self.member.clone(),
            RaftError::Fatal(Fatal::Stopped),
        ))
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        route: &'static str,
        question: &Q,
    ) -> Result<A, CallError> {
        self.calls.call(self.target, &self.member, route, question).await
    }
}

impl RaftNetwork<TypeConfig> for Client {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed<openraft::error::Infallible>> {
        let (vote, sent) = (rpc.vote, self.view.freshness.stamp());
        let question = wire::Append { proof: self.proof, rpc };
        let answer: Answer<wire::Appended> =
            self.call(wire::APPEND, &question).await.map_err(|e| Self::unreachable(&e))?;
        let Answer::Done(wire::Appended { stamp, response }) = answer else { return Err(self.stopped()) };
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.view.accepted(self.own, vote.leader_id().term, self.target, sent);
        }
        self.proof = self
            .view
            .freshness
            .shown()
            .map(|age| Proof { heard: stamp, age_micros: u64::try_from(age.as_micros()).unwrap_or(u64::MAX) });
        Ok(response)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        let answer: Answer<wire::ChunkTaken> =
            self.call(wire::SNAPSHOT, &rpc).await.map_err(|e| Self::unreachable(&e))?;
        match answer {
            Answer::Done(response) => Ok(response),
            Answer::Stopped => Err(self.stopped()),
            Answer::Mismatch => {
                let id = rpc.meta.snapshot_id;
                let segment = |offset| SnapshotSegmentId { id: id.clone(), offset };
                let mismatch = SnapshotMismatch { expect: segment(0), got: segment(rpc.offset) };
                Err(RPCError::RemoteError(RemoteError::new(self.target, RaftError::APIError(mismatch.into()))))
            }
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed<openraft::error::Infallible>> {
        match self.call(wire::VOTE, &rpc).await.map_err(|e| Self::unreachable(&e))? {
            Answer::Done(response) => Ok(response),
            Answer::Mismatch | Answer::Stopped => Err(self.stopped()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(std::time::Duration::from_millis(200)))
    }
}
