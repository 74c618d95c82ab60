//! Trying policies out on this machine: nothing is asked of a cluster, and no question holds a value of PHI.

mod files;
mod plan;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use node_policy::{Decision, Request, Verdict};

use crate::exit::Stop;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Say what other policies would decide otherwise than those of this program. A folder that is not valid is
    /// refused with file, line and column.
    #[command(after_help = "Without --requests, asks every role for every action, entity and purpose once.\n\
                            The exit code is 0 whether anything differs or not.\n\n\
                            Examples:\n  domicile policy plan new-policies\n  \
                            domicile policy plan new-policies --requests decided.jsonl")]
    Plan {
        /// A folder of `*.cedar` files, and a `schema.cedarschema` if it is not that of this program.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// Questions to ask both, one JSON object a line, as `policy test` takes it.
        #[arg(long, value_name = "FILE")]
        requests: Option<PathBuf>,
    },
    /// Decide one question: yes or no, the rules that made it so, and which single fact would turn it.
    #[command(after_help = test::EXAMPLE)]
    Test {
        /// A file that holds the question as one JSON object.
        #[arg(value_name = "FILE")]
        request: PathBuf,
        /// A folder of policies to ask instead of those of this program.
        #[arg(long, value_name = "NEW")]
        policies: Option<PathBuf>,
    },
}

/// Does it.
pub fn run(act: &Act) -> Result<ExitCode, Stop> {
    match act {
        Act::Plan { new, requests } => plan::run(new, requests.as_deref()),
        Act::Test { request, policies } => test::run(request, policies.as_deref()),
    }
}

/// A decision on one line: the verdict, the obligations and the rules.
fn on_one_line(decision: &Decision) -> String {
    let obligations = decision.obligations.iter().map(ToString::to_string);
    let rules = decision.rules.iter().map(|rule| format!("[{}: {}]", rule.id, rule.citation));
    let words: Vec<String> = std::iter::once(said(decision.verdict)).chain(obligations).chain(rules).collect();
    words.join(" ")
}

/// A verdict in two words.
fn said(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow(shape) => format!("allow {shape}"),
        Verdict::Refuse(reason) => format!("refuse {reason}"),
    }
}

/// A question on one line.
fn asked(request: &Request) -> String {
    let Request { principal, action, entity, facts } = request;
    let purpose = facts.purpose.map_or("none", |purpose| purpose.as_str());
    format!("{principal} {action} {entity} for {purpose} as {}", facts.relationship)
}
