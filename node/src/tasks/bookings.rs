//! Finishes or undoes what was begun between this home and the control plane and left, offers free slots to those who
//! wait, and tells the control plane what this region's clock shows.

use std::time::Duration;

use node_clinical::appointments::reconcile::Desk;
use tokio::time::Instant;

use crate::wiring::Node;

/// How often it is asked what is due. It costs one statement.
const EVERY: Duration = Duration::from_millis(500);
/// How often free slots are looked for when nothing was changed: time alone makes some slots bookable.
const OFFERS_EVERY: Duration = Duration::from_secs(15);
/// How often the clock is told.
const CLOCK_EVERY: Duration = Duration::from_mins(30);
/// How long after a failure it is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// Goes on for ever.
pub fn settle(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (desk, reader) = (Desk::new(node.here.clone()), node.control.reader());
    async move {
        tokio::join!(finish(&desk), offer(&desk, move || reader.applied()));
    }
}

/// Finishes and undoes what is due.
async fn finish(desk: &Desk) {
    let mut clock_due = Instant::now();
    loop {
        let now = Instant::now();
        if now >= clock_due {
            // Without a quorum it is told later; nothing waits for it.
            clock_due = now + if desk.tell_time().await.is_ok() { CLOCK_EVERY } else { PAUSE };
        }
        match desk.round().await {
            // There may be more.
            Ok(many) if many > 0 => {}
            Ok(_) => tokio::time::sleep(EVERY).await,
            Err(error) => {
                tracing::info!(%error, "what is due cannot be looked up now; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Looks for free slots. It may take long where many wait, and what is due does not wait for it.
async fn offer(desk: &Desk, applied: impl Fn() -> u64) {
    let (mut offers_due, mut looked_at) = (Instant::now(), 0);
    loop {
        let (now, applied) = (Instant::now(), applied());
        if applied != looked_at || now >= offers_due {
            (looked_at, offers_due) = (applied, now + OFFERS_EVERY);
            if let Err(error) = desk.look_for_offers().await {
                tracing::info!(%error, "free slots cannot be offered now; it is tried again");
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
