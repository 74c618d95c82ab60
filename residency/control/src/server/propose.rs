//! Proposals: one task, one log entry at a time.
//!
//! openraft 0.9 fsyncs one entry per write and waits for it, so nothing below it can share an fsync. Here one task
//! puts everything that arrived while the last entry was being committed into the next one: under load hundreds of
//! commands share an entry, and without load nobody waits for company ([`company`]).
//!
//! What openraft gives back is proposed again only if it never was in this member's log. One that was, and that a newer
//! leader cut off, may be on another member still: where there are five voters a third leader can commit it later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Core, Leads, company};
use crate::api_keys::KeyChange;
use crate::command::{Command, Outcome, Proposed};
use crate::peer::PeerKind;
use crate::raft::network::CallError;
use crate::raft::types::{Batch, Member};
use crate::raft::wire::{self, Forwarded, Led};
use crate::signin::{ClaimName, GroupName, Network, SignInChange};
use crate::writer::ProposeError;

/// How many proposals may wait.
pub(super) const QUEUE: usize = 4_096;
/// The most commands in one entry.
const COMMANDS_MAX: usize = 4_096;
/// The most bytes of commands in one entry, as [`weight`] counts them.
const BYTES_MAX: usize = 512 << 10;
/// How long to wait before looking for a leader again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(20);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

/// Commands that want to be proposed together. Whoever gives up on them says so here, so that it is certain of each
/// whether it was handed to Raft or not.
pub(super) struct Ask {
    commands: Vec<Command>,
    weight: usize,
    stage: Arc<AtomicU8>,
    forwarded: bool,
    reply: oneshot::Sender<Led>,
}

impl Ask {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed() && self.stage.load(Ordering::Acquire) != ABANDONED
    }

    fn send(&self) -> bool {
        self.stage.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes back what certainly did not reach a log.
    fn unsend(&self) {
        self.stage.store(QUEUED, Ordering::Release);
    }
}

/// A bound for the encoded size.
fn weight(command: &Command) -> usize {
    match command {
        Command::Calendar(change) => change.weight(),
        Command::SignIn(SignInChange::PutSettings { settings, .. }) => {
            64 + (Network::LEN_MAX + 1) * settings.networks.as_slice().len()
        }
        Command::SignIn(SignInChange::PutIdentityProvider { mapping, .. }) => {
            let groups = mapping.as_ref().map_or(0, |mapping| mapping.groups.as_slice().len());
            1_024 + ClaimName::LEN_MAX + (GroupName::LEN_MAX + 3) * groups
        }
        Command::SignIn(_) => 1_024,
        Command::AuditLog(_) => 256,
        Command::Key(KeyChange::NoteUses(uses)) => 32 + 27 * uses.as_slice().len(),
        Command::ClaimIds { ids, .. } => 32 + 17 * ids.len(),
        Command::PutFirstProvider { provider, .. } => 1_024 + 96 * provider.licences.len(),
        Command::PutProvider { provider, .. } => {
            1_024 + 96 * provider.licences.iter().count() + 24 * provider.licences.by().count()
        }
        Command::VerifyLicences { licences, .. } => 64 + 96 * licences.len(),
        Command::AddRegion(_)
        | Command::PutOrganisation(_)
        | Command::AddOrganisation(_)
        | Command::AddFacility { .. }
        | Command::PutKey(_)
        | Command::Key(KeyChange::Issue { .. } | KeyChange::Rotate { .. } | KeyChange::Revoke { .. })
        | Command::ChangeOrganisation { .. }
        | Command::AddUser(_)
        | Command::ChangeUser { .. }
        | Command::PutUserKey { .. } => 768,
        Command::Enlist { .. }
        | Command::BindClinician { .. }
        | Command::ChangeClinician { .. }
        | Command::CloseOrganisation { .. }
        | Command::PutLegalBasis { .. }
        | Command::RecordLegalBasis { .. }
        | Command::RemoveLegalBasis { .. }
        | Command::RevokeKey(_)
        | Command::PutPolicy(_)
        | Command::PutAccessPolicies(_)
        | Command::Retire { .. } => 128,
    }
}

impl Core {
    pub(crate) async fn propose(&self, command: Command) -> Result<Proposed, ProposeError> {
        if !self.may_propose(self.kind, &command) {
            return Err(ProposeError::NotAllowed);
        }
        match self.submit(vec![command], false).await {
            Led::Done { index, outcomes } => match outcomes[..] {
                [outcome] => Ok(Proposed { index, outcome }),
                // An answer of another length is not an answer to this.
                _ => Err(ProposeError::Timeout),
            },
            Led::NotLeader | Led::NoQuorum => Err(ProposeError::NoQuorum),
            Led::Unknown => Err(ProposeError::Timeout),
            Led::TooLarge => Err(ProposeError::TooLarge),
            Led::Stopping => Err(ProposeError::ShuttingDown),
        }
    }

    /// Whether a member may propose this: a router nothing, a node what concerns everybody, and of the regions its
    /// own. A member that was broken into can so neither send another region's callers elsewhere, nor claim ids for
    /// it, nor retire its patients.
    pub(super) fn may_propose(&self, who: PeerKind, command: &Command) -> bool {
        let PeerKind::Region(own) = who else { return false };
        match command {
            Command::AddRegion(entry) => entry.region == own,
            Command::ClaimIds { region, .. } => *region == own,
            Command::Calendar(change) => change.may_be_proposed_by(who),
            Command::SignIn(change) => change.may_be_proposed_by(who),
            Command::AuditLog(change) => change.may_be_proposed_by(who),
            Command::Key(_) => KeyChange::may_be_proposed_by(who),
            Command::Retire { patient, .. } => {
                let placement = self.view.read(|a| a.state.placement(*patient));
                placement.is_none_or(|placement| placement.home.0 == own)
            }
            // The leader says so by itself, of members that it has heard; nobody asks it to.
            Command::Enlist { .. } => false,
            Command::PutOrganisation(_)
            | Command::AddOrganisation(_)
            | Command::AddFacility { .. }
            | Command::PutKey(_)
            | Command::RevokeKey(_)
            | Command::PutPolicy(_)
            | Command::PutAccessPolicies(_)
            | Command::ChangeOrganisation { .. }
            | Command::CloseOrganisation { .. }
            | Command::PutLegalBasis { .. }
            | Command::RecordLegalBasis { .. }
            | Command::RemoveLegalBasis { .. }
            | Command::AddUser(_)
            | Command::ChangeUser { .. }
            | Command::PutUserKey { .. }
            | Command::BindClinician { .. }
            | Command::ChangeClinician { .. }
            | Command::PutFirstProvider { .. }
            | Command::PutProvider { .. }
            | Command::VerifyLicences { .. } => true,
        }
    }

    /// Queues commands and waits for what becomes of them, at most as long as is configured.
    pub(super) async fn submit(&self, commands: Vec<Command>, forwarded: bool) -> Led {
        let weight = commands.iter().map(weight).sum();
        if commands.is_empty() || commands.len() > COMMANDS_MAX || weight > BYTES_MAX {
            return Led::TooLarge;
        }
        let stage = Arc::new(AtomicU8::new(QUEUED));
        let (reply, answer) = oneshot::channel();
        let ask = Ask { commands, weight, stage: stage.clone(), forwarded, reply };
        let asked = async {
            self.asks.send(ask).await.ok()?;
            answer.await.ok()
        };
        let answered = tokio::time::timeout(self.timings.propose(), asked).await;
        if let Ok(Some(led)) = answered {
            return led;
        }
        // Whichever of the two comes first decides: an ask that is given up while it is queued is never sent.
        match stage.compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) if answered.is_ok() => Led::Stopping,
            Ok(_) => Led::NoQuorum,
            Err(_) => Led::Unknown,
        }
    }
}

/// Takes asks from the queue until the member stops.
pub(super) async fn run(core: Arc<Core>, mut queue: mpsc::Receiver<Ask>) {
    let mut stopping = core.stopping.subscribe();
    let mut left = None;
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            () = next_entry(&core, &mut queue, &mut left) => {}
        }
    }
}

async fn next_entry(core: &Arc<Core>, queue: &mut mpsc::Receiver<Ask>, left: &mut Option<Ask>) {
    let first = match left.take() {
        Some(ask) => ask,
        None => match queue.recv().await {
            Some(ask) => ask,
            None => return std::future::pending().await,
        },
    };
    let mut asks = vec![first];
    let (mut commands, mut bytes) = (asks[0].commands.len(), asks[0].weight);
    let fits = |ask: &Ask| {
        commands += ask.commands.len();
        bytes += ask.weight;
        commands <= COMMANDS_MAX && bytes <= BYTES_MAX
    };
    *left = company::join(&mut asks, queue, fits).await;
    carry(core, asks).await;
}

/// What became of one attempt.
enum Attempt {
    /// Everybody was answered.
    Finished,
    /// It is certain that nothing was done, and worth another look.
    Nothing,
}

async fn carry(core: &Arc<Core>, mut asks: Vec<Ask>) {
    let until = Instant::now() + core.timings.propose();
    loop {
        asks.retain(Ask::is_wanted);
        if asks.is_empty() {
            return;
        }
        let attempt = match core.leads() {
            Leads::Stopped => return answer_all(asks, &Led::Stopping),
            Leads::Here => commit_here(core, &mut asks, until).await,
            Leads::There(leader, member) => {
                // Sent on once is enough: two members that each take the other for the leader must not play ball.
                let back: Vec<Ask> = asks.extract_if(.., |ask| ask.forwarded).collect();
                answer_all(back, &Led::NotLeader);
                commit_there(core, leader, &member, &mut asks, until).await
            }
            Leads::Nobody => Attempt::Nothing,
        };
        match attempt {
            Attempt::Finished => return,
            Attempt::Nothing if Instant::now() >= until => return answer_all(asks, &Led::NoQuorum),
            Attempt::Nothing => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

fn answer_all(asks: Vec<Ask>, led: &Led) {
    for ask in asks {
        // Whoever asked may have gone.
        let _ = ask.reply.send(led.clone());
    }
}

/// Gives everybody their part of the outcomes.
fn answer_each(asks: Vec<Ask>, index: u64, outcomes: Vec<Outcome>) {
    let mut outcomes = outcomes.into_iter();
    for ask in asks {
        let own = outcomes.by_ref().take(ask.commands.len()).collect();
        let _ = ask.reply.send(Led::Done { index, outcomes: own });
    }
}

fn take_commands(asks: &mut Vec<Ask>) -> Vec<Command> {
    asks.retain(Ask::send);
    asks.iter().flat_map(|ask| ask.commands.iter().cloned()).collect()
}

async fn commit_here(core: &Core, asks: &mut Vec<Ask>, until: Instant) -> Attempt {
    let _under_way = core.appending.lock().await;
    // What is appended after a successor was found whole is cut off by it.
    if core.yielding.load(Ordering::Acquire) {
        return Attempt::Nothing;
    }
    let commands = take_commands(asks);
    if commands.is_empty() {
        return Attempt::Finished;
    }
    core.counters.entries.fetch_add(1, Ordering::Relaxed);
    core.counters.commands.fetch_add(commands.len() as u64, Ordering::Relaxed);
    let before = core.own_entries.count();
    let written = tokio::time::timeout_at(until, core.raft.client_write(Batch::new(commands))).await;
    match written {
        Ok(Ok(response)) => answer_each(std::mem::take(asks), response.log_id.index, response.data),
        // Not appended, or appended and then cut off by another leader's log. In the latter case a third leader may
        // have it and commit it yet: only the former is certain, and nobody but this task has commands appended here.
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))))
            if core.own_entries.count() == before =>
        {
            asks.iter().for_each(Ask::unsend);
            return Attempt::Nothing;
        }
        Ok(Err(RaftError::APIError(_) | RaftError::Fatal(_))) | Err(_) => {
            answer_all(std::mem::take(asks), &Led::Unknown);
        }
    }
    Attempt::Finished
}

async fn commit_there(
    core: &Arc<Core>,
    leader: u64,
    member: &Member,
    asks: &mut Vec<Ask>,
    until: Instant,
) -> Attempt {
    let commands = take_commands(asks);
    if commands.is_empty() {
        return Attempt::Finished;
    }
    core.counters.forwarded.fetch_add(commands.len() as u64, Ordering::Relaxed);
    let count = commands.len();
    let question = Forwarded(commands);
    let call = core.calls.call::<_, Led>(leader, member, wire::PROPOSE, &question);
    match tokio::time::timeout_at(until, call).await {
        Ok(Ok(Led::Done { index, outcomes })) if outcomes.len() == count => {
            let (core, asks) = (core.clone(), std::mem::take(asks));
            // The next entry need not wait until this one has come back here.
            tokio::spawn(async move {
                core.applied(index, until).await;
                answer_each(asks, index, outcomes);
            });
            Attempt::Finished
        }
        Ok(Ok(Led::NotLeader | Led::NoQuorum | Led::Stopping | Led::TooLarge)) => {
            asks.iter().for_each(Ask::unsend);
            Attempt::Nothing
        }
        Ok(Err(error)) if certainly_nothing(&error) => {
            asks.iter().for_each(Ask::unsend);
            Attempt::Nothing
        }
        Ok(Ok(Led::Done { .. } | Led::Unknown) | Err(_)) | Err(_) => {
            answer_all(std::mem::take(asks), &Led::Unknown);
            Attempt::Finished
        }
    }
}

/// Whether the leader certainly did nothing.
fn certainly_nothing(error: &CallError) -> bool {
    match error {
        CallError::Peer(error) => error.not_sent(),
        CallError::Status(status) => status.is_client_error(),
        CallError::Encode => true,
        CallError::Answer | CallError::Stopped => false,
    }
}
