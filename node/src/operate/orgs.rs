//! `domicile orgs`: what the operator does with organisations.

use std::process::ExitCode;

use clap::Subcommand;
use residency_policy::OrgId;

use super::{basis, found, open, resume};
use crate::cli::ConfigFile;
use crate::exit::Stop;

/// What to do with an organisation.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Add an organisation with its first administrator, who is invited to choose a password.
    #[command(
        after_help = "Prints an invitation that is shown this once. Everybody else is added and invited by the administrator.\n\n\
                            Example:\n  domicile orgs add \"Elm Street Clinic\" --kind provider --serves US-TX,US-NY \\\n    \
                            --administrator \"Robin Sample\" --login robin@elm.example --config /etc/domicile/node.toml"
    )]
    Add {
        /// Which organisation, and who.
        #[command(flatten)]
        wanted: found::Wanted,
        /// The node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Let an organisation's people and keys come from everywhere and on any device again, where its addresses or its known
    /// devices shut all of them out.
    #[command(
        after_help = "Example:\n  domicile orgs open 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 --config /etc/domicile/node.toml"
    )]
    Open {
        /// The organisation's id.
        #[arg(value_name = "ORG_ID")]
        org: OrgId,
        /// The node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Have the keys of an organisation accepted again that was set inactive. One that was closed stays closed.
    #[command(
        after_help = "Example:\n  domicile orgs resume 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 --config /etc/domicile/node.toml"
    )]
    Resume {
        /// The organisation's id.
        #[arg(value_name = "ORG_ID")]
        org: OrgId,
        /// The node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Record the document on which a marketing organisation may have what is referred to it, in place of the one before.
    #[command(
        after_help = "The document stays where it is kept. It holds from the first day to the last, in UTC.\n\n\
                            Example:\n  domicile orgs record-basis 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 \\\n    \
                            --kind business-associate-agreement --from 2026-11-22 --until 2027-11-21 \\\n    \
                            --document-sha256 $(sha256sum signed.pdf | cut -d' ' -f1) --config /etc/domicile/node.toml"
    )]
    RecordBasis {
        /// The organisation's id.
        #[arg(value_name = "ORG_ID")]
        org: OrgId,
        /// The document.
        #[command(flatten)]
        document: basis::Document,
        /// The node.
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take back what is recorded of a marketing organisation: from then on it has nothing of a patient.
    #[command(
        after_help = "Example:\n  domicile orgs remove-basis 0f0e7a52-5f1c-4d0e-9b7e-2f4f3f0c9a11 --config /etc/domicile/node.toml"
    )]
    RemoveBasis {
        /// The organisation's id.
        #[arg(value_name = "ORG_ID")]
        org: OrgId,
        /// The node.
        #[command(flatten)]
        file: ConfigFile,
    },
}

/// Does it.
pub fn run(act: &Act) -> Result<ExitCode, Stop> {
    match act {
        Act::Add { wanted, file } => found::run(&file.config, wanted),
        Act::Open { org, file } => open::run(&file.config, *org),
        Act::Resume { org, file } => resume::run(&file.config, *org),
        Act::RecordBasis { org, document, file } => basis::run(&file.config, *org, Some(document)),
        Act::RemoveBasis { org, file } => basis::run(&file.config, *org, None),
    }
}
