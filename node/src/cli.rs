//! The command line: which role this process plays.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand};
use residency_policy::{Jurisdiction, KeyId, OrgId};

use crate::exit::{Cause, Stop};
use crate::{cluster, dev, doctor, lifecycle, operate, policy, wiring};

/// A multi-region cluster for telehealth that keeps each patient's PHI in one home region.
#[derive(Debug, Parser)]
#[command(
    name = "domicile",
    version,
    arg_required_else_help = true,
    after_help = "Try it on this machine:\n  \
                  domicile dev up                       three regions, a router and synthetic patients\n  \
                  domicile dev status                   what runs, where, and how well\n  \
                  domicile dev down                     stop it all; the data stays\n\n\
                  Run a region:\n  \
                  domicile doctor  --config node.toml   is everything as it must be?\n  \
                  domicile migrate --config node.toml   stamp the database and bring its schema up to date\n  \
                  domicile node    --config node.toml   serve\n  \
                  domicile cluster status --config node.toml   who is there, who leads, who lags"
)]
struct Cli {
    #[command(subcommand)]
    role: RoleCommand,
}

#[derive(Debug, Subcommand)]
enum RoleCommand {
    /// A whole cluster on this machine, for trying and developing.
    Dev {
        #[command(subcommand)]
        act: DevAct,
    },
    /// Serve one region until stopped.
    #[command(after_help = node_help())]
    Node(ConfigFile),
    /// Stamp the region's database if it is new, and bring its schema up to date.
    #[command(
        after_help = "Uses the owner's credentials of the section [migrate]. Safe to run again, and from several\n\
                            machines at once: it waits for its turn under an advisory lock.\n\n\
                            Examples:\n  domicile migrate --config /etc/domicile/node.toml\n  \
                            domicile migrate --config /etc/domicile/node.toml --to 2026112205   the way back"
    )]
    Migrate {
        #[command(flatten)]
        file: ConfigFile,
        /// Go to this version of the schema instead, forward or back. Back needs the region's nodes to be stopped.
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Go back although tables or columns that hold something go with it.
        #[arg(long, requires = "to")]
        lose_data: bool,
    },
    /// Check a configuration and what it names, and say in words what is wrong.
    #[command(
        after_help = "Changes nothing. The exit code is 0 when nothing failed, and 1 otherwise; warnings do not count.\n\n\
                            Examples:\n  domicile doctor --config /etc/domicile/node.toml\n  \
                            domicile doctor --config node.toml --json | jq '.checks[] | select(.verdict != \"ok\")'"
    )]
    Doctor {
        #[command(flatten)]
        file: ConfigFile,
        /// Print one JSON document instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// API keys.
    Keys {
        #[command(subcommand)]
        act: KeysAct,
    },
    /// Organisations.
    Orgs {
        #[command(subcommand)]
        act: operate::orgs::Act,
    },
    /// Who belongs to the cluster, who joins it, and who leaves it, while it serves.
    #[command(subcommand)]
    Cluster(cluster::Act),
    /// Clinicians: what the operator looked up of them.
    #[command(subcommand)]
    Providers(operate::verify::Act),
    /// Policies of access: try them out, sign them, put them in force.
    Policy {
        #[command(subcommand)]
        act: policy::Act,
    },
    /// Where the cluster's data rests, checked by somebody who trusts no server's word.
    Residency {
        #[command(subcommand)]
        act: ResidencyAct,
    },
    /// Print the OpenAPI 3.1 document of the API.
    #[command(after_help = "Example:\n  domicile openapi > openapi.json")]
    Openapi,
}

/// What to do about residency.
#[derive(Debug, Subcommand)]
enum ResidencyAct {
    /// The same as the program `residency-verify`, which links nothing of this one.
    Verify(residency_verify::Asked),
}

/// What to do with an API key.
#[derive(Debug, Subcommand)]
enum KeysAct {
    /// List an organisation's keys that were not revoked, with when each was last used.
    #[command(
        after_help = "Example:\n  domicile keys list 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 --config /etc/domicile/node.toml"
    )]
    List {
        /// The organisation's id.
        #[arg(value_name = "ORG_ID")]
        org: OrgId,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Issue a key to an organisation, for some scopes and some days, and print it this once.
    #[command(
        after_help = "Example:\n  domicile keys issue 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 --role provider_staff \\\n    \
                            --scopes scheduling:write,directory:read --days 90 --config /etc/domicile/node.toml"
    )]
    Issue {
        #[command(flatten)]
        wanted: operate::keys::Wanted,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Give a key that was issued another secret, and print it this once. The present one stays good for a while.
    #[command(
        after_help = "Example:\n  domicile keys rotate 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 1a1b7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 \\\n    \
                            --days 90 --overlap-hours 24 --config /etc/domicile/node.toml"
    )]
    Rotate {
        #[command(flatten)]
        rotation: operate::keys::Rotation,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Revoke a key for good, in every region, through the running node of a configuration.
    #[command(
        after_help = "A region that is cut off goes on accepting the key until it hears from a quorum.\n\n\
                            Example:\n  domicile keys revoke 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 --config /etc/domicile/node.toml"
    )]
    Revoke {
        /// The key's id: a UUID, or the part of the key between `dk_` and the second `_`. Never the whole key.
        #[arg(value_parser = operate::revoke::key_id, value_name = "KEY_ID")]
        key: KeyId,
        #[command(flatten)]
        file: ConfigFile,
    },
}

/// Which configuration file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The region's configuration file; deploy/config/node.toml is a commented sample.
    #[arg(long, short, value_name = "FILE", default_value = "node.toml")]
    pub config: PathBuf,
}

/// What to do with a cluster on this machine.
#[derive(Debug, Subcommand)]
enum DevAct {
    /// Start the cluster and supervise it.
    #[command(after_help = "Examples:\n  \
        domicile dev up                                  CA, NY and TX with 300 patients, until Ctrl-C\n  \
        domicile dev up --detach                         the same in the background\n  \
        domicile dev up --states WA,OR --people 1000     other states, more patients\n  \
        domicile dev up --wan rough                      with the distances and the losses between states\n  \
        domicile dev up --home /tmp/second               a second cluster beside the first")]
    Up(Up),
    /// List the sets of links that `up --wan` can put between the regions.
    Wan,
    /// Look at the links of a cluster that was started with `up --wan`, cut them, spoil them and heal them.
    #[command(after_help = dev::link::EXAMPLES)]
    Link {
        #[command(subcommand)]
        act: Option<dev::link::Act>,
        #[command(flatten)]
        home: HomeFolder,
    },
    /// Show what runs, where and how well; the exit code is 1 when something is down.
    Status(HomeFolder),
    /// Stop everything and wait until no process is left. The data stays.
    Down(HomeFolder),
    /// Show the log of a region's node, of its database, or of the router.
    #[command(
        after_help = "Examples:\n  domicile dev logs tx -f\n  domicile dev logs tx --postgres\n  domicile dev logs router"
    )]
    Logs {
        /// A state such as `tx` or `US-TX`, or `router`, or `supervisor`.
        of: String,
        /// Go on as lines arrive.
        #[arg(long, short)]
        follow: bool,
        /// The database's log instead of the node's.
        #[arg(long)]
        postgres: bool,
        /// How many lines to begin with.
        #[arg(long, short = 'n', default_value_t = 50, value_name = "LINES")]
        lines: usize,
        #[command(flatten)]
        home: HomeFolder,
    },
}

/// Which home folder.
#[derive(Debug, Clone, Args)]
pub struct HomeFolder {
    /// Where the cluster lives; `./dev` sets `.domicile` at the root of the repository, and else it is `.domicile` here.
    #[arg(long, value_name = "DIR", env = "DOMICILE_HOME", global = true)]
    pub home: Option<PathBuf>,
}

/// How to start a cluster.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// The states, districts or territories to serve, by postal code. Default: CA,NY,TX, or what the home folder holds.
    #[arg(long, value_delimiter = ',', value_parser = state, value_name = "STATES")]
    pub states: Option<Vec<Jurisdiction>>,
    /// How many synthetic patients there shall be in all, shared evenly among the states.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub people: u32,
    /// What the synthetic patients grow from: the same seed gives the same people. Default: 1, or what the home folder holds.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where the cluster lives.
    #[command(flatten)]
    pub home: HomeFolder,
    /// Go on in the background once everything is ready.
    #[arg(long)]
    pub detach: bool,
    /// The place where the router declares to be. Default: the first state.
    #[arg(long, value_parser = state, value_name = "STATE")]
    pub router_ingress: Option<Jurisdiction>,
    /// The router's port. Default: a free one, kept for the next time.
    #[arg(long, value_name = "PORT", value_parser = port())]
    pub router_port: Option<u16>,
    /// The first of a row of ports for everything else. Default: free ones, kept for the next time.
    #[arg(long, value_name = "PORT", value_parser = port())]
    pub port_base: Option<u16>,
    /// Send OpenTelemetry spans of every request to this collector, such as `http://127.0.0.1:4318/v1/traces`.
    #[arg(long, value_name = "URL")]
    pub traces: Option<String>,
    /// Put emulated links between the regions and the router, each in a network namespace of its own: `us`, `rough`,
    /// `narrow` or `still`; `domicile dev wan` says more. They are so from when everything is ready. All chance in them
    /// comes from `--seed`.
    #[arg(long, value_name = "PROFILE", value_parser = dev::wan::profile, conflicts_with = "traces")]
    pub wan: Option<links::Profile>,
    /// Set on the process that made itself a user namespace.
    #[arg(long, hide = true)]
    pub in_user_namespace: bool,
    /// Set by `--detach` on the process that stays.
    #[arg(long, hide = true)]
    pub in_background: bool,
}

fn port() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(i64::from(dev::plan::PORT_MIN)..=i64::from(dev::plan::PORT_MAX))
}

fn state(text: &str) -> Result<Jurisdiction, String> {
    let upper = text.trim().to_ascii_uppercase();
    Jurisdiction::from_postal(&upper).or_else(|_| upper.parse()).map_err(|_| {
        format!("`{text}` is no state, district or territory; expected a code such as TX or US-TX")
    })
}

fn node_help() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "Runs until SIGTERM or SIGINT, then finishes what is under way. Exit codes:\n  0   stopped in good order\n",
    );
    for cause in Cause::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<3} {}", cause.code(), cause.says());
    }
    text.push_str("\nExample:\n  domicile node --config /etc/domicile/node.toml");
    text
}

/// Reads the command line, plays the role, and says how it went.
pub fn run() -> ExitCode {
    // The first TLS handshake would otherwise ask for a process-wide default that nobody chose.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let played = match cli.role {
        RoleCommand::Dev { act } => match act {
            DevAct::Up(up) => dev::up::run(&up),
            DevAct::Wan => dev::wan::list(),
            DevAct::Link { act, home } => dev::link::run(&home, act.as_ref()),
            DevAct::Status(home) => dev::status::run(&home),
            DevAct::Down(home) => dev::down::run(&home),
            DevAct::Logs { of, follow, postgres, lines, home } => {
                dev::logs::run(&home, &of, &dev::logs::Wish { follow, postgres, lines })
            }
        },
        RoleCommand::Node(file) => lifecycle::node(&file.config),
        RoleCommand::Migrate { file, to: Some(to), lose_data } => {
            wiring::migrate::run_to(&file.config, to, lose_data)
        }
        RoleCommand::Migrate { file, to: None, .. } => wiring::migrate::run(&file.config),
        RoleCommand::Doctor { file, json } => doctor::run(&file.config, json),
        RoleCommand::Keys { act } => keys(act),
        RoleCommand::Orgs { act } => operate::orgs::run(&act),
        RoleCommand::Cluster(act) => cluster::run(&act),
        RoleCommand::Providers(act) => operate::verify::run(&act),
        RoleCommand::Policy { act } => policy::run(&act),
        RoleCommand::Residency { act: ResidencyAct::Verify(asked) } => return residency_verify::run(&asked),
        RoleCommand::Openapi => openapi(),
    };
    played.unwrap_or_else(|stop| {
        crate::tell::trouble(&stop);
        stop.exit_code()
    })
}

fn keys(act: KeysAct) -> Result<ExitCode, Stop> {
    match act {
        KeysAct::List { org, file } => operate::keys::list(&file.config, org),
        KeysAct::Issue { wanted, file } => operate::keys::issue(&file.config, &wanted),
        KeysAct::Rotate { rotation, file } => operate::keys::rotate(&file.config, &rotation),
        KeysAct::Revoke { key, file } => operate::revoke::run(&file.config, key),
    }
}

/// Prints the document that the API is generated into.
fn openapi() -> Result<ExitCode, Stop> {
    let document = node_clinical::openapi().to_pretty_json().map_err(|e| {
        Stop::new(Cause::Other, format!("the OpenAPI document cannot be written: {e}"), "this is a defect")
    })?;
    crate::tell::line(&document);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_state_is_read_by_postal_code_or_iso_code_in_any_case() {
        for text in ["TX", "tx", "US-TX", "us-tx", " tx"] {
            assert_eq!(state(text).map(Jurisdiction::code), Ok("US-TX"), "{text}");
        }
        assert!(state("ZZ").is_err() && state("").is_err() && state("US-").is_err());
    }

    #[test]
    fn the_help_of_node_lists_every_exit_code() {
        let help = node_help();
        for cause in Cause::ALL {
            assert!(help.contains(cause.says()), "{cause:?}");
        }
    }
}
