//! The policies of access: trying them out, on this machine and without any value of PHI, and putting them in force.

mod files;
mod plan;
mod put;
mod recorded;
mod show;
mod signed;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use node_policy::{Decision, Request, Verdict};
use residency_policy::Label;
use residency_policy::ruleset::Digest;

use crate::cli::ConfigFile;
use crate::exit::Stop;
use crate::wiring::policies::hex;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Say what other policies would decide otherwise than those in force at a node, or those of this program. A folder
    /// that is not valid is refused with file, line and column.
    #[command(after_help = "Without --requests, asks every role for every action, entity and purpose once.\n\
                            The exit code is 0 whether anything differs or not.\n\n\
                            Examples:\n  domicile policy plan new-policies\n  \
                            domicile policy plan new-policies --requests asked.jsonl --config node.toml\n  \
                            domicile policy plan new-policies --recorded --config node.toml")]
    Plan {
        /// A folder of `*.cedar` files, and a `schema.cedarschema` if it is not that of this program.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// Questions to ask both, one JSON object a line, as `policy test` takes it.
        #[arg(long, value_name = "FILE")]
        requests: Option<PathBuf>,
        /// Ask what was really asked, and say how often: a file that `policy recorded` has written, or without one the running
        /// node of --config.
        #[arg(
            long,
            value_name = "FILE",
            num_args = 0..=1,
            default_missing_value = "",
            conflicts_with = "requests"
        )]
        recorded: Option<recorded::Taken>,
        /// Compare with what is in force for the running node of this configuration.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
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
        /// Ask what is in force for the running node of this configuration.
        #[arg(long, short, value_name = "FILE", conflicts_with = "policies")]
        config: Option<PathBuf>,
    },
    /// Write what the running node of a configuration was asked since it began, one class a line and how often: roles, acts,
    /// purposes and situations, without anybody's id.
    #[command(after_help = "Example:\n  domicile policy recorded --config node.toml > decided.jsonl")]
    Recorded {
        /// Which node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Write the access matrix as a document: who may do what, for which purposes, how much is shown, and what the
    /// policies of this program cite for it.
    #[command(after_help = "Example:\n  domicile policy matrix > deploy/compliance/access.md")]
    Matrix,
    /// Write as a document which fields each role is shown.
    #[command(after_help = "Example:\n  domicile policy fields > deploy/compliance/fields_per_role.md")]
    Fields,
    /// Show which policies are in force and which decide at a node; the exit code is 1 when none does.
    #[command(after_help = "Examples:\n  domicile policy show\n  \
                            domicile policy show --config /etc/domicile/node.toml")]
    Show {
        /// Ask the running node of this configuration. Without it, shows the set of this program.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show whose signatures count at a node, and from and until when.
    #[command(after_help = "How one key is exchanged for another without a moment in which neither counts: \
                      deploy/runbooks/policies.md")]
    Keys {
        /// Which node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Check a folder of policies and sign it as a version. What does not fit is refused with file, line and column.
    #[command(after_help = SIGN_HELP)]
    Sign {
        /// A folder of `*.cedar` files, and a `schema.cedarschema` if it is not that of this program.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// The cluster that it is for, as [region] cluster names it on every node.
        #[arg(long, value_name = "NAME")]
        cluster: Label,
        /// One more than the version in force; the first is 1.
        #[arg(long = "as", value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
        version: u64,
        /// An Ed25519 key whose public half is in [rules] verify_key on every node: PKCS#8, in PEM or DER.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to write the signed set.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put a signed set beside the others of a node. What is in force does not change.
    Install {
        /// A file that `policy sign` has written.
        #[arg(value_name = "SIGNED")]
        signed: PathBuf,
        /// Which node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Put a signed set in force, on every node, through the running node of a configuration.
    #[command(
        after_help = "Install it on every node first: a node that has not got it decides nothing until it has."
    )]
    Propose {
        /// A file that `policy sign` has written.
        #[arg(value_name = "SIGNED")]
        signed: PathBuf,
        /// Which node.
        #[command(flatten)]
        file: ConfigFile,
    },
}

const SIGN_HELP: &str = "Examples:\n  openssl genpkey -algorithm ed25519 -out policy.key\n  \
                         domicile policy sign new-policies --cluster example --as 1 --key policy.key --out policies-1.json\n  \
                         domicile policy install policies-1.json --config node.toml   on every node\n  \
                         domicile policy propose policies-1.json --config node.toml   on one of them";

/// Does it.
pub fn run(act: &Act) -> Result<ExitCode, Stop> {
    match act {
        Act::Plan { new, recorded: Some(from), config, .. } => recorded::plan(new, from, config.as_deref()),
        Act::Plan { new, requests, config, .. } => plan::run(new, requests.as_deref(), config.as_deref()),
        Act::Recorded { file } => recorded::write(&file.config),
        Act::Test { request, policies, config } => test::run(request, policies.as_deref(), config.as_deref()),
        Act::Matrix => show::matrix(),
        Act::Fields => Ok(show::fields()),
        Act::Keys { file } => show::keys(&file.config),
        Act::Show { config } => show::run(config.as_deref()),
        Act::Sign { new, cluster, version, key, out } => put::sign(new, (*cluster, *version), key, out),
        Act::Install { signed, file } => put::install(signed, &file.config),
        Act::Propose { signed, file } => put::propose(signed, &file.config),
    }
}

/// A version in a few words.
fn shortly(version: u64, digest: Digest) -> String {
    format!("version {version} ({})", hex(digest))
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
