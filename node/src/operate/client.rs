//! Asks a node over the peers' door, with that node's own certificate.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use node_policy::Class;
use residency_control::peer::{PeerExpect, PeerPaths, PeerPool, PeerTls};
use residency_control::signin::SignInSettings;
use residency_control::{
    Command, Endpoint, KeyStanding, MembershipError, Organisation, OrganisationMark, PolicyVersion, Roster,
    RosterChange,
};
use residency_policy::OrgId;
use serde::Deserialize;

use super::{
    ACCESS_POLICIES, COMMANDS, Came, DECISIONS, Deciding, KEYS, ORGANISATIONS, POLICY, ROSTER, SETTINGS, STATUS,
};

/// What a node says of its member of the control plane, as far as it is shown.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    /// `leader`, `follower`, `learner` and so on.
    pub standing: String,
    /// How old its view is.
    pub view_age_ms: Option<u64>,
}

/// The peers' door of one node, opened with that node's own key.
pub struct Operator {
    pool: PeerPool,
    tls: PeerTls,
    at: Endpoint,
}

impl Operator {
    /// Uses the certificate and key of the node that is asked.
    pub fn of_node(ca: PathBuf, cert: PathBuf, key: PathBuf, at: Endpoint) -> Result<Self> {
        let tls = PeerTls::load(PeerPaths { ca, cert, key })?;
        Ok(Self { pool: PeerPool::new(tls.clone()), tls, at })
    }

    /// How the node's member is doing.
    pub async fn status(&self, within: Duration) -> Result<Member> {
        let body = self.ask(Method::GET, STATUS, Bytes::new(), within).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Which rules the control plane says are in force.
    pub async fn policy(&self, within: Duration) -> Result<Option<PolicyVersion>> {
        let body = self.ask(Method::GET, POLICY, Bytes::new(), within).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Which access policies are in force, and what decides at the node.
    pub async fn access_policies(&self, within: Duration) -> Result<Deciding> {
        let body = self.ask(Method::GET, ACCESS_POLICIES, Bytes::new(), within).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// What the node's policies were asked since it began.
    pub async fn decisions(&self, within: Duration) -> Result<Vec<Class>> {
        let body = self.ask(Method::GET, DECISIONS, Bytes::new(), within).await?;
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("not a recorded class")).collect()
    }

    /// An organisation and how often it was changed, if it is known.
    pub async fn organisation(
        &self,
        org: OrgId,
        within: Duration,
    ) -> Result<Option<(Organisation, OrganisationMark)>> {
        let body = self.ask(Method::GET, &format!("{ORGANISATIONS}{org}"), Bytes::new(), within).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// An organisation's settings of signing in, if it set some.
    pub async fn settings(&self, org: OrgId, within: Duration) -> Result<Option<SignInSettings>> {
        let body = self.ask(Method::GET, &format!("{SETTINGS}{org}"), Bytes::new(), within).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// An organisation's API keys.
    pub async fn keys(&self, org: OrgId, within: Duration) -> Result<Vec<KeyStanding>> {
        let body = self.ask(Method::GET, &format!("{KEYS}{org}"), Bytes::new(), within).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Has commands done, in order.
    pub async fn commands(&self, commands: &[Command], within: Duration) -> Result<Vec<Came>> {
        let body = serde_json::to_vec(commands)?.into();
        let came: Vec<Came> = serde_json::from_slice(&self.ask(Method::POST, COMMANDS, body, within).await?)?;
        ensure!(came.len() == commands.len(), "{} commands got {} answers", commands.len(), came.len());
        Ok(came)
    }

    /// How every member is doing.
    pub async fn roster(&self, within: Duration) -> Result<Roster> {
        Ok(serde_json::from_slice(&self.ask(Method::GET, ROSTER, Bytes::new(), within).await?)?)
    }

    /// Has one change of the members done.
    pub async fn change_roster(
        &self,
        change: &RosterChange,
        within: Duration,
    ) -> Result<Result<u64, MembershipError>> {
        let body = serde_json::to_vec(change)?.into();
        Ok(serde_json::from_slice(&self.ask(Method::POST, ROSTER, body, within).await?)?)
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes, within: Duration) -> Result<Bytes> {
        let own = self.tls.own_id();
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.at))
            .body(Full::new(body))?;
        let exchange = async {
            let response = self.pool.send(&self.at, PeerExpect::Member(own.kind, own.node), request).await?;
            if response.status() != StatusCode::OK {
                bail!("{} answered {} to {path}", self.at, response.status());
            }
            Ok(response.into_body().collect().await?.to_bytes())
        };
        tokio::time::timeout(within, exchange).await.context("no answer in time")?
    }
}
