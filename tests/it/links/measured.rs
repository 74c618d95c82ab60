//! What was asked of a link, measured with the kernel's own UDP from one namespace to the other, and that nothing of it
//! is left afterwards.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use links::fabric::Counts;
use links::{Change, Links, Profile, Side, address};
use tests::faults::{DEADLINE, wait_blocking};
use tests::namespaces::available;

const PACKETS: u32 = 2_000;
const PORT: u16 = 7_000;
/// Longer than any packet is under way here.
const QUIET: Duration = Duration::from_millis(500);

fn open() -> Links {
    let side = |name: &str| Side { name: name.into(), place: format!("US-{}", name.to_uppercase()) };
    let still = Profile::named("still").expect("is there");
    Links::open(&["ca", "tx"].map(side), still, 7).expect("links can be made")
}

fn socket(links: &Links, side: usize) -> UdpSocket {
    let at = SocketAddr::from((address(side), PORT));
    links.namespace(side).within(|| UdpSocket::bind(at)).expect("is entered").expect("is bound")
}

/// What arrived: the numbers in their order, and how long each was under way.
struct Arrived {
    numbers: Vec<u32>,
    under_way: Vec<Duration>,
    took: Duration,
}

/// Sends numbered packets of 1,000 bytes from California to Texas, so many in a millisecond, and no more ahead of what
/// was received than a socket holds: on a busy machine the kernel would lose some as well.
fn send(links: &Links, packets: u32, per_ms: u32) -> Arrived {
    send_ahead(links, packets, per_ms, 40)
}

/// How many packets the link has let through so far.
fn let_through(links: &Links) -> u64 {
    let Counts { sent, lost, overflowed, cut, twice, .. } = counts(links);
    sent + twice - lost - overflowed - cut
}

fn send_ahead(links: &Links, packets: u32, per_ms: u32, ahead_max: u64) -> Arrived {
    let (from, to) = (socket(links, 0), socket(links, 1));
    to.set_read_timeout(Some(QUIET)).expect("is set");
    let (sent_before, through_before) = (counts(links).sent, let_through(links));
    let so_far = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&so_far);
    let began = Instant::now();
    let receiver = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        let mut packet = [0; 1_000];
        while to.recv(&mut packet).is_ok() {
            let number = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
            arrived.push((number, began.elapsed()));
            counting.fetch_add(1, Ordering::Relaxed);
        }
        arrived
    });
    let mut sent = BTreeMap::new();
    for number in 0..packets {
        let due = Duration::from_millis(u64::from(number / per_ms));
        let may_go = || {
            let taken = counts(links).sent - sent_before;
            let under_way =
                (let_through(links) - through_before).saturating_sub(so_far.load(Ordering::Relaxed));
            u64::from(number) < taken + ahead_max && under_way < ahead_max
        };
        while began.elapsed() < due || !may_go() {
            assert!(began.elapsed() < DEADLINE, "packet {number} of {packets} cannot be sent");
            std::thread::yield_now();
        }
        let mut packet = [0; 1_000];
        packet[..4].copy_from_slice(&number.to_be_bytes());
        sent.insert(number, began.elapsed());
        from.send_to(&packet, SocketAddr::from((address(1), PORT))).expect("is sent");
    }
    let arrived = receiver.join().expect("received");
    let last = arrived.last().map_or(began.elapsed(), |(_, at)| *at);
    Arrived {
        under_way: arrived.iter().map(|(number, at)| at.saturating_sub(sent[number])).collect(),
        numbers: arrived.into_iter().map(|(number, _)| number).collect(),
        took: last,
    }
}

fn set(links: &Links, change: Change) {
    links.fabric().change("ca", Some("tx"), true, change).expect("is changed");
}

fn counts(links: &Links) -> Counts {
    links.fabric().rows().into_iter().find(|r| r.from == "ca").expect("is there").counts
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or_default()
}

#[test]
fn a_link_does_to_real_packets_what_was_asked_of_it() {
    if !available("what an emulated link does to packets") {
        return;
    }
    // The control: a link that nothing was asked of.
    let links = open();
    let whole = send(&links, PACKETS, 2);
    assert_eq!(whole.numbers, (0..PACKETS).collect::<Vec<_>>(), "all, once, in order");
    let floor = median(whole.under_way);
    assert!(floor < Duration::from_millis(10), "{floor:?}");

    set(&links, Change { delay_us: Some(30_000), ..Change::default() });
    let far = send(&links, PACKETS, 2);
    assert_eq!(far.numbers.len(), whole.numbers.len());
    assert!(far.under_way.iter().all(|d| *d >= Duration::from_millis(29)));
    let extra = median(far.under_way).saturating_sub(floor);
    assert!((25..45).contains(&extra.as_millis()), "30 ms were asked for: {extra:?}");

    let before = counts(&links);
    let spoilt = Change {
        delay_us: Some(5_000),
        loss_ppm: Some(100_000),
        duplicate_ppm: Some(50_000),
        reorder_ppm: Some(50_000),
        ..Change::default()
    };
    set(&links, spoilt);
    let spoilt = send(&links, PACKETS, 2);
    let after = counts(&links);
    let distinct: std::collections::BTreeSet<u32> = spoilt.numbers.iter().copied().collect();
    let lost = PACKETS as usize - distinct.len();
    assert!((130..270).contains(&lost), "200 of {PACKETS} should be lost: {lost}");
    assert_eq!(lost as u64, after.lost - before.lost, "what it says and what was measured");
    let twice = spoilt.numbers.len() - distinct.len();
    assert!((50..140).contains(&twice), "90 of {PACKETS} should come twice: {twice}");
    let overtaken = spoilt.numbers.windows(2).filter(|w| w[1] < w[0]).count();
    assert!((40..250).contains(&overtaken), "about 90 should be overtaken: {overtaken}");

    // 8 Mbit/s carry 1,000 such packets (1,028 bytes with their headers) in a little over a second.
    let plain = Change {
        delay_us: Some(0),
        loss_ppm: Some(0),
        duplicate_ppm: Some(0),
        reorder_ppm: Some(0),
        ..Change::default()
    };
    set(&links, Change { rate_kbit: Some(8_000), ..plain });
    let narrow = send_ahead(&links, 1_000, 4, u64::MAX / 2);
    let queue = usize::try_from(256 * 1_024 / 1_028_u32).expect("fits");
    assert!(narrow.numbers.len() < 1_000, "the queue is finite");
    assert!(narrow.numbers.len() > queue, "{}", narrow.numbers.len());
    let bits = f64::from(u32::try_from(narrow.numbers.len() * 1_028 * 8).expect("fits"));
    let rate = bits / narrow.took.as_secs_f64();
    assert!((5.0e6..9.0e6).contains(&rate), "8 Mbit/s were asked for: {rate:.0}");

    set(&links, Change { cut: Some(true), ..Change::default() });
    assert!(send(&links, 20, 2).numbers.is_empty(), "nothing passes a cut");
    set(&links, Change { cut: Some(false), rate_kbit: Some(0), ..plain });
    assert_eq!(send(&links, 20, 2).numbers.len(), 20, "and all does after it");
}

#[test]
fn nothing_is_left_of_links_that_went() {
    if !available("that emulated links leave nothing") {
        return;
    }
    let links = open();
    let probe = links.namespace(0).share().expect("is shared");
    let device = || {
        let devices = probe.within(|| std::fs::read_to_string("/proc/thread-self/net/dev"));
        devices.expect("is entered").expect("is read").contains("wan")
    };
    assert!(device(), "the control: it is there");
    drop(links);
    wait_blocking("the device to go", DEADLINE, || (!device()).then_some(())).expect("it goes");
}
