//! `domicile dev link`: looks at the links of a running cluster and changes them.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use links::fabric::Row;
use links::shape::share;
use links::steer::{self, Order};
use links::{Change, Profile};

use super::layout::Home;
use super::wan;
use crate::cli::HomeFolder;
use crate::exit::{Cause, Stop};
use crate::tell;

/// For `--help`.
pub const EXAMPLES: &str = "The ends of links are the regions, by their short names, and `router`.\n\nExamples:\n  \
    domicile dev link                                what each link is like, and what it has done\n  \
    domicile dev link cut tx                         Texas is alone\n  \
    domicile dev link cut tx ny --one-way            what Texas says does not reach New York; the other way is whole\n  \
    domicile dev link heal                           everything as the profile has it\n  \
    domicile dev link set ca ny --delay 80ms --jitter 10ms --loss 2\n  \
    domicile dev link set tx --rate-kbit 512         all that Texas sends and is sent\n  \
    domicile dev link use rough                      another profile";

/// What to do with links.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Show every link: what it is like, and what has become of its packets.
    Show,
    /// Let nothing through, between two sides, or between one and all the others.
    Cut(Ends),
    /// Make links as the profile has them: between two sides, all of one side, or all.
    Heal {
        /// The one side.
        one: Option<String>,
        /// The other side.
        other: Option<String>,
    },
    /// Change what links are like. What is not named stays.
    Set {
        /// Which.
        #[command(flatten)]
        ends: Ends,
        /// What they are like afterwards.
        #[command(flatten)]
        knobs: Knobs,
    },
    /// Make every link as another profile has it.
    Use {
        /// `us`, `rough`, `narrow` or `still`.
        #[arg(value_parser = wan::profile)]
        profile: Profile,
    },
}

/// Which links.
#[derive(Debug, Args)]
pub struct Ends {
    /// The one side.
    one: String,
    /// The other side; all the others when it is not named.
    other: Option<String>,
    /// Only from the one to the other.
    #[arg(long)]
    one_way: bool,
}

/// What links are like, each way.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Knobs {
    /// How long a packet is under way, such as `31ms`: half of a round trip.
    #[arg(long, value_name = "TIME", value_parser = microseconds)]
    delay: Option<u64>,
    /// Up to this much longer, such as `5ms`.
    #[arg(long, value_name = "TIME", value_parser = microseconds)]
    jitter: Option<u64>,
    /// How many packets are lost, in per cent.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    loss: Option<u32>,
    /// How many packets come twice, in per cent.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    duplicate: Option<u32>,
    /// How many packets are overtaken by later ones, in per cent.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    reorder: Option<u32>,
    /// The bandwidth in kbit/s; 0 takes the bound away.
    #[arg(long, value_name = "KBIT")]
    rate_kbit: Option<u64>,
}

fn microseconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time: expected one such as 30ms or 1.5s");
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    u64::try_from(duration.as_micros()).map_err(|_| wrong())
}

fn order(act: Option<&Act>) -> Order {
    let change = |ends: &Ends, change| Order::Change {
        one: ends.one.clone(),
        other: ends.other.clone(),
        one_way: ends.one_way,
        change,
    };
    match act {
        None | Some(Act::Show) => Order::Show {},
        Some(Act::Cut(ends)) => change(ends, Change { cut: Some(true), ..Change::default() }),
        Some(Act::Heal { one, other }) => Order::Heal { one: one.clone(), other: other.clone() },
        Some(Act::Set { ends, knobs }) => change(
            ends,
            Change {
                delay_us: knobs.delay,
                jitter_us: knobs.jitter,
                loss_ppm: knobs.loss,
                duplicate_ppm: knobs.duplicate,
                reorder_ppm: knobs.reorder,
                rate_kbit: knobs.rate_kbit,
                cut: None,
            },
        ),
        Some(Act::Use { profile }) => Order::Use { profile: profile.name.to_owned() },
    }
}

/// Gives the order to the supervisor and shows the links after it.
pub fn run(folder: &HomeFolder, act: Option<&Act>) -> Result<ExitCode, Stop> {
    let stop = |what: String, mend: &str| Stop::new(Cause::Other, what, mend);
    let home = Home::at(folder.home.as_deref()).map_err(|e| stop(format!("{e:#}"), "give another `--home`"))?;
    let answered = steer::order(home.root(), &order(act)).map_err(|_| {
        let what = format!("no cluster with emulated links runs in {}", home.root().display());
        stop(what, "`./dev up --wan us` starts one; `./dev wan` lists the profiles")
    })?;
    let rows = answered.map_err(|why| stop(why, "`./dev link --help` has examples"))?;
    tell::line(&table(&rows));
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<8} {:<8} {:<44} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "FROM", "TO", "EACH PACKET", "SENT", "LOST", "CUT", "TWICE", "OVERTAKEN"
    );
    for Row { from, to, shape, counts } in rows {
        let lost = counts.lost + counts.overflowed;
        let (sent, cut, twice, held) = (counts.sent, counts.cut, counts.twice, counts.held);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{from:<8} {to:<8} {:<44} {sent:>9} {lost:>8} {cut:>8} {twice:>8} {held:>8}",
            shape.to_string()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        act: Option<Act>,
    }

    fn read(line: &str) -> Result<Order, clap::Error> {
        let words = std::iter::once("link").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| order(line.act.as_ref()))
    }

    #[test]
    fn every_example_is_an_order() {
        let lines: Vec<&str> =
            EXAMPLES.lines().filter_map(|l| l.trim().strip_prefix("domicile dev link")).collect();
        assert_eq!(lines.len(), 7);
        for line in lines {
            let line = line.split("   ").find(|part| !part.is_empty()).filter(|_| !line.starts_with("   "));
            read(line.unwrap_or_default()).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        }
    }

    #[test]
    fn knobs_are_read_in_the_units_of_people() {
        let order = read("set ca ny --one-way --delay 80ms --loss 1.5 --rate-kbit 0").expect("is read");
        let change =
            Change { delay_us: Some(80_000), loss_ppm: Some(15_000), rate_kbit: Some(0), ..Change::default() };
        let expected = Order::Change { one: "ca".into(), other: Some("ny".into()), one_way: true, change };
        assert_eq!(order, expected);
        for line in ["set ca ny", "set ca --delay -1ms", "set ca --delay 5", "set ca --loss 101", "use mars"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
