//! How long a decision takes with the shipped policies: `cargo run --release -p node-policy --example decide_time`.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use node_policy::{Action, Entity, Facts, Loaded, Principal, Relationship, Request, decide};
use residency_policy::{Jurisdiction, Purpose};

/// How often every question is asked.
const ROUNDS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let policies = Loaded::shipped()?;
    let loaded = begun.elapsed();
    let home: Jurisdiction = "US-TX".parse()?;
    let facts = Facts {
        purpose: Some(Purpose::Treat),
        relationship: Relationship::Organisation,
        ..Facts::least(home, 20_261_122)
    };
    let mut taken: Vec<Duration> = Vec::new();
    let mut allowed = 0;
    for _ in 0..ROUNDS {
        for principal in Principal::all() {
            for &entity in Entity::ALL.iter().filter(|entity| entity.is_phi()) {
                for action in [Action::Create, Action::Read, Action::List, Action::Update] {
                    let begun = Instant::now();
                    let decision = decide(&policies, &Request { principal, action, entity, facts });
                    taken.push(begun.elapsed());
                    allowed += usize::from(decision.allowed());
                }
            }
        }
    }
    taken.sort_unstable();
    let at = |share: usize| taken[(taken.len() - 1) * share / 1_000].as_nanos() / 100;
    let micros = |tenths: u128| format!("{}.{} us", tenths / 10, tenths % 10);
    let (half, most) = (micros(at(500)), micros(at(990)));
    writeln!(
        std::io::stdout(),
        "{} policies loaded in {} ms; {} decisions, {allowed} of them allow: p50 {half}, p99 {most}",
        policies.rules().count(),
        loaded.as_millis(),
        taken.len(),
    )?;
    Ok(())
}
