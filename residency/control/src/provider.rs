//! One clinician, as every region knows them: public data only (45 CFR 162.412, the registers of the boards).

use residency_policy::licensure::{Compact, Licences};
use residency_policy::{Npi, ProviderId};
use serde::{Deserialize, Serialize};

use crate::command::{must_be_replicated, record};
use crate::{Languages, ProviderName, ProviderOrgs, Taxonomies};

record! {
    /// A clinician.
    #[derive(Debug)]
    pub struct Provider {
        /// The id that calendars and bookings name.
        pub id: ProviderId,
        /// The National Provider Identifier. It never changes, and no two have the same.
        pub npi: Npi,
        /// The public name.
        pub name: ProviderName,
        /// What they are, the primary one first.
        pub taxonomy: Taxonomies,
        /// In which languages they see patients.
        pub languages: Languages,
        /// For which organisations they work. Each of them speaks for itself.
        pub orgs: ProviderOrgs,
        /// What they may practise on, and where.
        pub licences: Licences,
        /// The physician with whom they collaborate, where a state asks for one.
        pub collaborating: Option<ProviderId>,
        /// Whether patients can be booked with them.
        pub active: bool,
        /// Whether they are made up. Nothing about such a one may leave for a real register.
        pub synthetic: bool,
        /// 1 when added, and one more with every change. The state counts: what a command says is not looked at.
        pub version: u64,
    }
}

impl Provider {
    /// What a compact gave them that does not fit something that they are listed as.
    pub fn unfit(&self) -> Option<Compact> {
        residency_policy::licensure::unfit(self.taxonomy.as_slice(), &self.licences)
    }
}
