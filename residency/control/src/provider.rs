//! One clinician, as every region knows them: public data only (45 CFR 162.412, the registers of the boards).

use residency_policy::licensure::{Attested, Compact, Licence, Licences};
use residency_policy::{Npi, OrgId, ProviderId};
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
        /// For which organisations they work, in the order in which they came. Each of them speaks for itself.
        pub orgs: ProviderOrgs,
        /// What they may practise on, and where, and who answers for it: the operator, or one of those organisations.
        pub licences: Attested,
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
    /// Who keeps what is common to the organisations that they work for: the one that came first.
    pub fn keeper(&self) -> Option<OrgId> {
        self.orgs.as_slice().first().copied()
    }

    /// What a compact gave them that does not fit something that they are listed as.
    pub fn unfit(&self) -> Option<Compact> {
        let all: Vec<Licence> = self.licences.iter().map(|(_, licence)| *licence).collect();
        residency_policy::licensure::unfit(self.taxonomy.as_slice(), &all)
    }
}

record! {
    /// A clinician as releases wrote them that did not keep who entered a licence. It is read and never written.
    #[derive(Debug)]
    pub struct FirstProvider {
        /// The id.
        pub id: ProviderId,
        /// The National Provider Identifier.
        pub npi: Npi,
        /// The public name.
        pub name: ProviderName,
        /// What they are.
        pub taxonomy: Taxonomies,
        /// In which languages they see patients.
        pub languages: Languages,
        /// For which organisations they work.
        pub orgs: ProviderOrgs,
        /// What all of those answer for.
        pub licences: Licences,
        /// The physician with whom they collaborate.
        pub collaborating: Option<ProviderId>,
        /// Whether patients can be booked with them.
        pub active: bool,
        /// Whether they are made up.
        pub synthetic: bool,
        /// The version.
        pub version: u64,
    }
}

/// What one of their organisations changed then, all of them changed: each answers for it.
impl From<FirstProvider> for Provider {
    fn from(first: FirstProvider) -> Self {
        let FirstProvider { id, npi, name, taxonomy, languages, orgs, licences, .. } = first;
        // A clinician has fewer organisations than there may be lists.
        let licences = Attested::alike(orgs.as_slice(), &licences).unwrap_or_default();
        Self {
            id,
            npi,
            name,
            taxonomy,
            languages,
            orgs,
            licences,
            collaborating: first.collaborating,
            active: first.active,
            synthetic: first.synthetic,
            version: first.version,
        }
    }
}
