//! Full TLS handshakes: connect, ask for one small page, close, and again. No session is ever resumed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::try_join_all;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use rustls::ClientConfig;
use rustls::client::Resumption;

use super::super::cpu::Meter;
use super::super::drive::{Driven, Driver};
use super::super::series::Sample;
use crate::client::{self, Address};

/// How many callers connect at the same time.
const CALLERS: usize = 32;

/// Callers who resume nothing.
pub(super) struct Handshakes {
    tls: Arc<ClientConfig>,
}

impl Handshakes {
    /// They trust this authority.
    pub(super) fn new(ca: &std::path::Path) -> anyhow::Result<Self> {
        let mut tls = ClientConfig::clone(&*client::trust(ca)?);
        tls.resumption = Resumption::disabled();
        Ok(Self { tls: Arc::new(tls) })
    }

    /// One turn, with the processor time of the process that is measured.
    pub(super) fn turn(
        &self,
        driver: &Driver,
        (port, pid): (u16, u32),
        turn: Duration,
    ) -> anyhow::Result<Sample> {
        let at = Address { host: "localhost".to_owned(), port };
        let meter = Meter::start(&[pid]);
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| driver.runtime().spawn(again_and_again(at.clone(), self.tls.clone(), turn)))
            .collect();
        let mut all = Driven::new()?;
        for came in driver.runtime().block_on(try_join_all(callers)).context("a caller stopped")? {
            all.add(&came?)?;
        }
        all.sample(Some(meter.read()))
    }
}

async fn again_and_again(at: Address, tls: Arc<ClientConfig>, turn: Duration) -> anyhow::Result<Driven> {
    let (mut came, start) = (Driven::new()?, Instant::now());
    while start.elapsed() < turn {
        let begun = Instant::now();
        let mut connection = client::connect(&at, &tls).await?;
        let request = Request::get("/healthz").header("host", "localhost").header("connection", "close");
        let response = connection.send_request(request.body(Full::default())?).await?;
        let good = response.status().is_success();
        response.into_body().collect().await?;
        came.operations += u64::from(good);
        came.refused += u64::from(!good);
        came.latency.saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    came.took = start.elapsed();
    Ok(came)
}
