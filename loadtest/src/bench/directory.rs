//! Looking up where a patient lives, beside hashbrown with ahash, while the directory changes. And what each weighs.

use std::hint::black_box;
use std::process::Command;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hashbrown::HashMap;
use residency_control::Directory;
use residency_policy::{Epoch, Home, Jurisdiction, PatientId, Placement, PlacementState, Region};

use super::class::Held;
use super::drive::precise;
use super::series::{Contender, Sample, Series, Spread, alternate};
use super::{Bench, Goal, Options, Report, Table};
use crate::tell::warn;

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "directory", about: "directory look-ups and memory, beside hashbrown with ahash", run };

/// What else could hold the directory: id -> home, epoch, state.
pub type Map = HashMap<PatientId, (Home, Epoch, PlacementState), ahash::RandomState>;

const KNOWN: &str = "ns a look-up";
const ABSENT: &str = "ns a look-up of an unknown id";
/// One change each: a thousand a second.
const CHANGE_EVERY: Duration = Duration::from_millis(1);
/// So many look-ups share one turn of the lock, as a busy router's do.
const UNDER_ONE_LOCK: usize = 64;
/// As many ids are looked up before they come again. Fewer would stay in the processor's caches.
const ASKED: usize = 2_000_000;

/// The id of this number. Drawn ids cost no memory when they are drawn again.
pub fn id(number: u64) -> PatientId {
    let mix = |seed: u64| {
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let (upper, lower) = (mix(number.wrapping_add(1)), mix(number ^ 0xa5a5_5a5a_f00d_beef));
    PatientId::from_bytes((u128::from(upper) << 64 | u128::from(lower)).to_be_bytes())
}

/// Where everybody in a benchmark lives.
pub fn home() -> anyhow::Result<Home> {
    let texas: Jurisdiction = "US-TX".parse().context("a jurisdiction")?;
    Ok(Home(Region(texas)))
}

/// A directory of so many.
pub fn directory(count: u64) -> anyhow::Result<Directory> {
    let (mut directory, home) = (Directory::default(), home()?);
    for start in (0..count).step_by(4_096) {
        let ids: Vec<PatientId> = (start..(start + 4_096).min(count)).map(id).collect();
        directory.claim(&ids, home).context("an id was drawn twice")?;
    }
    Ok(directory)
}

/// A map of so many.
pub fn map(count: u64) -> anyhow::Result<Map> {
    let home = home()?;
    Ok((0..count).map(|number| (id(number), (home, Epoch::FIRST, PlacementState::Active))).collect())
}

/// Something that is read and changed at the same time.
trait Book: Sync {
    fn look_up(&self, ids: &[PatientId]) -> usize;
    fn add(&self, id: PatientId, home: Home);
}

impl Book for RwLock<Directory> {
    fn look_up(&self, ids: &[PatientId]) -> usize {
        self.read().map_or(0, |book| ids.iter().filter(|id| black_box(book.get(**id)).is_some()).count())
    }

    fn add(&self, id: PatientId, home: Home) {
        let placement = Placement { patient: id, home, epoch: Epoch::FIRST, state: PlacementState::Active };
        if let Ok(mut book) = self.write() {
            book.set(placement);
        }
    }
}

impl Book for RwLock<Map> {
    fn look_up(&self, ids: &[PatientId]) -> usize {
        self.read()
            .map_or(0, |book| ids.iter().filter(|id| black_box(book.get(*id).copied()).is_some()).count())
    }

    fn add(&self, id: PatientId, home: Home) {
        if let Ok(mut book) = self.write() {
            book.insert(id, (home, Epoch::FIRST, PlacementState::Active));
        }
    }
}

/// Ids in the order in which they are asked for.
struct Asked {
    known: Vec<PatientId>,
    unknown: Vec<PatientId>,
}

/// New ids have numbers from here on, unknown ones from further on.
const NEW: u64 = 1 << 40;
const UNKNOWN: u64 = 1 << 50;

impl Asked {
    fn of(count: u64, many: usize) -> Self {
        let jumps = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let many = many as u64;
        Self {
            known: (0..many).map(|at| id(jumps(at) % count)).collect(),
            unknown: (0..many).map(|at| id(UNKNOWN + jumps(at))).collect(),
        }
    }
}

fn turn(book: &impl Book, asked: &Asked, new: &AtomicU64, turn: Duration) -> anyhow::Result<Sample> {
    let (over, home) = (AtomicBool::new(false), home()?);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            for due in 1.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                book.add(id(NEW + new.fetch_add(1, Ordering::Relaxed)), home);
                std::thread::sleep((CHANGE_EVERY * due).saturating_sub(start.elapsed()));
            }
        });
        let known = ask(book, &asked.known, turn / 2);
        let unknown = ask(book, &asked.unknown, turn / 2);
        over.store(true, Ordering::Relaxed);
        let ((known, found), (unknown, none)) = (known, unknown);
        ensure!(found >= 1.0 && none <= 0.0, "{found} of the known ids and {none} of the others were found");
        Ok(Sample::new().with(KNOWN, known).with(ABSENT, unknown))
    })
}

/// Nanoseconds each, and which part was found.
fn ask(book: &impl Book, ids: &[PatientId], turn: Duration) -> (f64, f64) {
    let (start, mut asked, mut found) = (Instant::now(), 0, 0);
    for some in ids.chunks_exact(UNDER_ONE_LOCK).cycle() {
        found += book.look_up(some);
        asked += some.len();
        if start.elapsed() >= turn {
            break;
        }
    }
    let took = start.elapsed();
    let (asked, found) = (precise(asked as u64), precise(found as u64));
    (took.as_secs_f64() * 1e9 / asked, found / asked)
}

fn ours(count: u64) -> String {
    format!("directory, {count} entries")
}

fn theirs(count: u64) -> String {
    format!("hashbrown with ahash, {count} entries")
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let sizes = options.size([1_000_000, 10_000_000], [100_000, 1_000_000]);
    let many = options.size(ASKED, 100_000);
    let weights: Vec<(u64, Weight)> =
        sizes.iter().map(|count| Ok((*count, weigh(options, *count)?))).collect::<anyhow::Result<_>>()?;
    let held = Held::new(options.class, &[]);
    let mut all: Vec<(u64, Series)> = Vec::new();
    for count in sizes {
        warn(&format!("  {count} entries"));
        let (directory, map) = (RwLock::new(directory(count)?), RwLock::new(map(count)?));
        let (asked, new) = (Asked::of(count, many), AtomicU64::new(0));
        let contenders = vec![
            Contender::new(theirs(count), |time| turn(&map, &asked, &new, time)),
            Contender::new(ours(count), |time| turn(&directory, &asked, &new, time)),
        ];
        all.push((count, alternate(&options.plan, contenders)?));
    }
    drop(held);

    let mut report = Report::new("Directory");
    report.note(
        "Look-ups by one thread under a lock that is taken for 64 at a time, while another thread adds 1,000 ids a second \
         under the same lock. Half of each turn asks for known ids, the other for unknown ones. Bytes are what each asked \
         the allocator for and holds, counted in a process of its own.",
    );
    for (count, series) in &all {
        report.table(Table::of(series, &[KNOWN, ABSENT]));
        let ratio = series.ratio(&ours(*count), &theirs(*count), KNOWN);
        report.goal(Goal::at_most(format!("{}: time of hashbrown's look-up", ours(*count)), ratio, 1.0));
    }
    let mut table = Table::new(["bytes an entry", "directory", "hashbrown with ahash"]);
    for (count, weight) in &weights {
        table.row([count.to_string(), format!("{:.2}", weight.ours), format!("{:.2}", weight.theirs)]);
        let found = Spread::of(vec![weight.ours]);
        report.goal(Goal::at_most(format!("{}: bytes an entry (10 is the aim)", ours(*count)), found, 24.0));
    }
    report.table(table);
    Ok(report)
}

/// Bytes an entry.
struct Weight {
    ours: f64,
    theirs: f64,
}

fn weigh(options: &Options, count: u64) -> anyhow::Result<Weight> {
    let output = Command::new(options.program("domicile-weigh")?).arg(count.to_string()).output()?;
    ensure!(output.status.success(), "domicile-weigh: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match figures[..] {
        [ours, theirs] => Ok(Weight { ours, theirs }),
        _ => anyhow::bail!("domicile-weigh said {said:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_books_find_what_is_there_and_nothing_else() {
        let (count, new) = (10_000, AtomicU64::new(0));
        let asked = Asked::of(count, 1_000);
        let (ours, theirs) =
            (RwLock::new(directory(count).expect("fills")), RwLock::new(map(count).expect("fills")));
        for sample in [
            turn(&ours, &asked, &new, Duration::from_millis(4)).expect("finds"),
            turn(&theirs, &asked, &new, Duration::from_millis(4)).expect("finds"),
        ] {
            assert!(sample.get(KNOWN).is_some_and(|ns| ns > 0.0));
        }
        assert!(new.load(Ordering::Relaxed) >= 2, "they changed meanwhile");
    }
}
