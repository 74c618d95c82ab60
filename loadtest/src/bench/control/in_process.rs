//! The control plane without HTTP in front: this process runs the member that leads, two others run the rest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use residency_control::peer::PeerId;
use residency_control::{
    Command as Change, Control, JurisdictionSet, Organisation, Outcome, Reader, Standing, Writer,
};
use residency_policy::{OrgId, OrgType};

use super::super::Options;
use super::super::authority::Authority;
use super::super::cpu::Meter;
use super::super::drive::{Driven, Driver};
use super::super::member::{self, Ask};
use super::super::peers;
use super::super::series::Sample;
use super::super::spawn::Spawned;
use super::PATIENCE;

const PLACES: [&str; 3] = ["us-tx", "us-ca", "us-ny"];
/// As many as are put again and again.
const ORGANISATIONS: u8 = 255;

/// Three members, one of them here.
pub(super) struct InProcess {
    control: Control,
    others: Vec<Spawned>,
}

impl InProcess {
    pub(super) fn start(options: &Options, driver: &Driver) -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let mut asks = Vec::new();
        for (place, node) in PLACES.iter().zip(1..) {
            let uri = format!("spiffe://domicile/region/{place}/node/{node}");
            let home = options.folder(&format!("member-{node}"))?;
            authority.issue(&home, Some(&uri))?;
            let id: PeerId = uri.parse().context("an identity")?;
            asks.push((Ask { home, id, members: Vec::new() }, peers::free_port()?));
        }
        let members: Vec<(PeerId, u16)> = asks.iter().map(|(ask, port)| (ask.id, *port)).collect();
        let asks: Vec<Ask> = asks.into_iter().map(|(ask, _)| Ask { members: members.clone(), ..ask }).collect();
        let others = asks[1..].iter().map(|ask| other(options, ask)).collect::<anyhow::Result<Vec<_>>>()?;
        let control = driver.runtime().block_on(async {
            let control = member::start(&asks[0], BTreeMap::new()).await?;
            control.initialize(member::seats(&members)?).await?;
            anyhow::Ok(control)
        })?;
        let reader = control.reader();
        let leads = |reader: &Reader| reader.status().standing == Standing::Leader;
        let led = driver.runtime().block_on(reader.wait(leads, PATIENCE));
        led.context("the member of this process does not lead")?;
        let this = Self { control, others };
        driver.runtime().block_on(put(&this.control.writer(), 0))?;
        Ok(this)
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.others.iter().map(Spawned::pid).collect()
    }

    pub(super) fn writes(&self, driver: &Driver, load: usize, turn: Duration) -> anyhow::Result<Sample> {
        self.turn(driver, load, turn, |writer, _, number| async move { put(&writer, number).await })
    }

    pub(super) fn reads(&self, driver: &Driver, load: usize, turn: Duration) -> anyhow::Result<Sample> {
        self.turn(driver, load, turn, |writer, reader, _| async move {
            writer.barrier().await?;
            ensure!(reader.organisation(id(0)).is_some(), "what was written is not there");
            Ok(())
        })
    }

    fn turn<F, D>(&self, driver: &Driver, load: usize, turn: Duration, act: F) -> anyhow::Result<Sample>
    where
        F: Fn(Writer, Reader, usize) -> D + Copy + Send + Sync + 'static,
        D: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut processes = self.pids();
        processes.push(std::process::id());
        let meter = Meter::start(&processes);
        let clients = (0..load).map(|number| {
            let (writer, reader) = (self.control.writer(), self.control.reader());
            driver.runtime().spawn(async move {
                let mut came = Driven::new()?;
                let start = Instant::now();
                while start.elapsed() < turn {
                    let begun = Instant::now();
                    act(writer.clone(), reader.clone(), number).await?;
                    came.operations += 1;
                    came.latency
                        .saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                }
                came.took = start.elapsed();
                anyhow::Ok(came)
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut came = Driven::new()?;
        for done in driver.runtime().block_on(try_join_all(clients)).context("a client stopped")? {
            came.add(&done?)?;
        }
        came.sample(Some(meter.read()))
    }
}

fn other(options: &Options, ask: &Ask) -> anyhow::Result<Spawned> {
    let program = std::env::current_exe().context("this program")?;
    let mut command = options.class.command(program);
    command.arg("member").arg("--home").arg(&ask.home).arg("--id").arg(ask.id.to_string());
    for (id, port) in &ask.members {
        command.arg("--member").arg(format!("{id}={port}"));
    }
    Ok(Spawned::start(&mut command)?.0)
}

fn id(number: usize) -> OrgId {
    OrgId::from_bytes([u8::try_from(number % usize::from(ORGANISATIONS)).unwrap_or(0) + 1; 16])
}

async fn put(writer: &Writer, number: usize) -> anyhow::Result<()> {
    let texas: residency_policy::Jurisdiction = "US-TX".parse().context("a jurisdiction")?;
    let organisation = Organisation {
        id: id(number),
        name: "Lone Star Family Clinic".parse().context("a name")?,
        org_type: OrgType::Provider,
        serves: JurisdictionSet::from(texas),
        active: true,
    };
    let proposed = writer.propose(Change::PutOrganisation(organisation)).await?;
    ensure!(proposed.outcome == Outcome::Done, "{:?}", proposed.outcome);
    Ok(())
}
