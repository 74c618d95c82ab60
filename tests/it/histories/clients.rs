//! Clients that work on a few keys through one member each, and write down what they did and saw.

use std::sync::Arc;
use std::time::Duration;

use loadtest::history::{Act, Outcome, Recorder, State};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residency_control::calendar::{CalendarChange, Confirmation, EntryState, Hold, Minute};
use residency_control::{Command, IdBatch, JurisdictionSet, Organisation, ProposeError, Reader};
use residency_policy::{BookingHandle, Epoch, OrgId, OrgType, PatientId, PlacementState};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::Reading;
use super::members::{jurisdiction, region};
use super::play::{Table, provider_id};

/// How many keys there are of each kind. Few, so that clients meet.
const ORGANISATIONS: u8 = 2;
const IDS: u8 = 6;
const SLOTS: u8 = 2;
/// How long a hold counts, in seconds.
const HOLD_SECONDS: i64 = 2;
/// How long a client waits for a member, which may stand still.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a voter that is well is asked at the end.
const TRIES: usize = 20;

/// One client.
pub(super) struct Client {
    process: u32,
    node: u64,
    rng: ChaCha8Rng,
    reading: Reading,
    table: Arc<Table>,
    recorder: Arc<Recorder>,
    /// A slot, the booking that holds it or has it, as far as the client knows, and until when it was held.
    booking: Option<(u8, Uuid, i64)>,
    count: u64,
}

/// One key.
#[derive(Debug, Clone, Copy)]
enum Key {
    Organisation(u8),
    Id(u8),
    Slot(u8),
}

impl Key {
    fn name(self) -> String {
        match self {
            Self::Organisation(n) => format!("organisation {n}"),
            Self::Id(n) => format!("id {n}"),
            Self::Slot(n) => format!("slot {n}"),
        }
    }
}

impl Client {
    pub(super) fn new(
        process: u32,
        node: u64,
        seed: u64,
        reading: Reading,
        table: Arc<Table>,
        recorder: Arc<Recorder>,
    ) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000) + u64::from(process));
        Self { process, node, rng, reading, table, recorder, booking: None, count: 0 }
    }

    /// Works until told to stop.
    pub(super) async fn work(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = Duration::from_millis(self.rng.random_range(5..45));
            sleep_until(Instant::now() + pause).await;
            let (key, act) = self.draw();
            match act {
                Act::Read => self.read(key).await,
                _ => self.change(key, act).await,
            }
        }
    }

    /// Reads every key, as one who comes when everything is well again. What cannot be read is trouble.
    pub(super) async fn read_everything(self) -> Vec<String> {
        let keys = (0..ORGANISATIONS).map(Key::Organisation).chain((0..IDS).map(Key::Id));
        let mut trouble = Vec::new();
        for key in keys.chain((0..SLOTS).map(Key::Slot)) {
            let mut tries = 0;
            while !self.read_once(key).await {
                tries += 1;
                if tries == TRIES {
                    trouble.push(format!("member {} cannot read {} at the end", self.node, key.name()));
                    break;
                }
            }
        }
        trouble
    }

    /// What to do next.
    fn draw(&mut self) -> (Key, Act) {
        self.count += 1;
        let value = u64::from(self.process) + 100 * self.count;
        let at = self.table.clock(self.node).unwrap_or(0);
        // Every member has one who mostly writes and one who mostly reads: whoever waits for an answer to a change
        // does not see what a member that is cut off would show.
        let reads = if self.process.is_multiple_of(2) { 0.15 } else { 0.85 };
        if self.rng.random_bool(reads) {
            return (self.any_key(), Act::Read);
        }
        match self.rng.random_range(20..100) {
            20..40 => (self.any_organisation(), Act::Put(value)),
            40..55 => (self.any_id(), Act::Claim(jurisdiction(self.node))),
            55..62 => (self.any_id(), Act::Retire(1)),
            _ => match self.booking {
                None => {
                    let slot = self.rng.random_range(0..SLOTS);
                    let booking = Uuid::from_u128(u128::from(value) << 64 | 1);
                    let until = at + HOLD_SECONDS;
                    self.booking = Some((slot, booking, until));
                    (Key::Slot(slot), Act::Hold { booking, at, until })
                }
                Some((slot, booking, _)) => {
                    let act = match self.rng.random_range(0..4) {
                        0 => Act::Release(booking),
                        1 => Act::Cancel(booking),
                        _ => Act::Confirm { booking, at },
                    };
                    if matches!(act, Act::Release(_) | Act::Cancel(_)) {
                        self.booking = None;
                    }
                    (Key::Slot(slot), act)
                }
            },
        }
    }

    fn any_key(&mut self) -> Key {
        match self.rng.random_range(0..3) {
            0 => self.any_organisation(),
            1 => self.any_id(),
            _ => Key::Slot(self.rng.random_range(0..SLOTS)),
        }
    }

    fn any_organisation(&mut self) -> Key {
        Key::Organisation(self.rng.random_range(0..ORGANISATIONS))
    }

    fn any_id(&mut self) -> Key {
        Key::Id(self.rng.random_range(0..IDS))
    }

    async fn read(&self, key: Key) {
        self.read_once(key).await;
    }

    /// Reads a key, and tells whether there was an answer.
    async fn read_once(&self, key: Key) -> bool {
        let Some((control, on)) = self.table.running(self.node) else { return false };
        let operation = self.recorder.begin(self.process, key.name(), Act::Read);
        let reading = self.reading;
        let work = on.spawn(async move {
            let index = match reading {
                Reading::Checked => Some(control.writer().barrier().await?),
                Reading::Unchecked => None,
            };
            Ok::<_, ProposeError>((look(&control.reader(), key), index))
        });
        if let Ok(Ok(Ok((state, index)))) = timeout(PATIENCE, work).await {
            self.recorder.end(operation, Outcome::Saw(state), index);
            true
        } else {
            // A read that was not answered leaves no trace.
            self.recorder.end(operation, Outcome::Failed, None);
            false
        }
    }

    async fn change(&self, key: Key, act: Act) {
        let Some((control, on)) = self.table.running(self.node) else { return };
        let command = self.command(key, act);
        let operation = self.recorder.begin(self.process, key.name(), act);
        let work = on.spawn(async move { control.writer().propose(command).await });
        let (outcome, index) = match timeout(PATIENCE, work).await {
            Ok(Ok(Ok(proposed))) => match proposed.outcome {
                residency_control::Outcome::Done => (Outcome::Done, Some(proposed.index)),
                residency_control::Outcome::Refused(_) => (Outcome::Refused, Some(proposed.index)),
            },
            // It promises that nothing was changed, and is taken at its word.
            Ok(Ok(Err(ProposeError::NoQuorum | ProposeError::NotAllowed | ProposeError::TooLarge))) => {
                (Outcome::Failed, None)
            }
            // Also when the member was killed, or stands still: nobody knows.
            Ok(Ok(Err(ProposeError::Timeout | ProposeError::ShuttingDown)) | Err(_)) | Err(_) => {
                (Outcome::Unknown, None)
            }
        };
        self.recorder.end(operation, outcome, index);
    }

    fn command(&self, key: Key, act: Act) -> Command {
        let (provider, region) = (provider_id(), region(self.node));
        match (key, act) {
            (Key::Organisation(n), Act::Put(value)) => Command::PutOrganisation(organisation(n, value)),
            (Key::Id(n), Act::Claim(_)) => {
                Command::ClaimIds { region, ids: IdBatch::new(vec![patient(n)]).expect("one id") }
            }
            (Key::Id(n), Act::Retire(epoch)) => {
                Command::Retire { patient: patient(n), expected: Epoch(epoch.try_into().expect("small")) }
            }
            (Key::Slot(n), Act::Hold { booking, at, until }) => {
                let start = start(n);
                Command::Calendar(CalendarChange::Hold(Hold {
                    provider,
                    handle: BookingHandle::from_bytes(*booking.as_bytes()),
                    start,
                    end: start.plus(30),
                    at,
                    until,
                    calendar_version: 1,
                    provider_version: 1,
                    org: slot_org(n),
                    region,
                    over_capacity: None,
                }))
            }
            (Key::Slot(n), Act::Confirm { booking, at }) => {
                Command::Calendar(CalendarChange::Confirm(Confirmation {
                    provider,
                    handle: BookingHandle::from_bytes(*booking.as_bytes()),
                    until: self.booking.map_or(0, |(_, _, until)| until),
                    at,
                    provider_version: 1,
                    org: slot_org(n),
                    region,
                }))
            }
            (Key::Slot(n), Act::Release(booking)) => {
                let handle = BookingHandle::from_bytes(*booking.as_bytes());
                Command::Calendar(CalendarChange::Release { provider, handle, org: slot_org(n) })
            }
            (Key::Slot(_), Act::Cancel(booking)) => {
                let handle = BookingHandle::from_bytes(*booking.as_bytes());
                Command::Calendar(CalendarChange::Cancel { provider, handle, region })
            }
            other => panic!("{other:?} is not drawn"),
        }
    }
}

/// What a member has under a key.
fn look(reader: &Reader, key: Key) -> State {
    match key {
        Key::Organisation(n) => {
            let known = reader.organisation(org(n));
            known.map_or(State::Nothing, |known| State::Value(value_of(known.name.as_str())))
        }
        Key::Id(n) => reader.placement(patient(n)).map_or(State::Nothing, |placement| State::Placed {
            home: placement.home.0.0,
            epoch: placement.epoch.0.into(),
            retired: placement.state == PlacementState::Retired,
        }),
        Key::Slot(n) => {
            let ledger = reader.ledger();
            let there = ledger.book(provider_id()).and_then(|book| {
                let found = book.entries().find(|(begins, _, _)| *begins == start(n));
                found.map(|(_, handle, entry)| (Uuid::from_bytes(handle.to_bytes()), entry.state))
            });
            match there {
                None => State::Nothing,
                Some((booking, EntryState::Held { until })) => State::Held { booking, until },
                Some((booking, EntryState::Booked)) => State::Booked(booking),
            }
        }
    }
}

fn org(n: u8) -> OrgId {
    OrgId::from_bytes([n + 1; 16])
}

/// Each slot has an organisation of its own: whoever holds something lets go of what lapsed of the same
/// organisation anywhere, and keys would not be independent.
fn slot_org(n: u8) -> OrgId {
    OrgId::from_bytes([n + 101; 16])
}

fn patient(n: u8) -> PatientId {
    PatientId::from_bytes([n + 1; 16])
}

/// Visits of half an hour, each two hours after the one before.
fn start(n: u8) -> Minute {
    Minute(30_000_000 + 120 * u32::from(n))
}

/// An organisation whose name is the value, in letters: names hold few digits.
fn organisation(n: u8, value: u64) -> Organisation {
    let mut letters = String::new();
    let mut left = value;
    while left > 0 {
        letters.insert(0, char::from(b'a' + u8::try_from(left % 26).expect("small")));
        left /= 26;
    }
    Organisation {
        id: org(n),
        name: format!("Clinic {letters}").parse().expect("a public name"),
        org_type: OrgType::Provider,
        serves: JurisdictionSet::from_iter([jurisdiction(1)]),
        active: true,
    }
}

fn value_of(name: &str) -> u64 {
    let letters = name.strip_prefix("Clinic ").unwrap_or_default();
    letters.bytes().fold(0, |value, letter| value * 26 + u64::from(letter - b'a'))
}

#[test]
fn a_value_is_a_name_and_a_name_is_a_value() {
    for value in [1, 25, 26, 105, 676, 123_456_789] {
        assert_eq!(value_of(organisation(0, value).name.as_str()), value);
    }
}
