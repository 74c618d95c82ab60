//! Finds clinicians: by state and day, specialty, language, NPI.

use std::sync::Arc;

use jiff::civil::Date;
use node_access::parameters::bad;
use node_access::{Act, OpenCall, change};
use residency_control::{Language, Provider, ProviderRank, Providers, Wanted};
use residency_policy::licensure::{Authority, Compacts, Taxonomy, authority};
use residency_policy::{Jurisdiction, Npi, OrgId, Problem};

use crate::calendars::window::Window;

/// The query parameters of a search.
pub(super) const PARAMETERS: &[&str] = &[
    "state",
    "specialty",
    "language",
    "on",
    "npi",
    "active",
    "available_from",
    "available_to",
    "limit",
    "cursor",
    change::CONSISTENCY,
];

/// Candidates that are looked at before others get their turn.
const AT_ONCE: usize = 2_048;

/// What a search asks for.
pub(super) struct Search {
    wanted: Wanted,
    on: Date,
    npi: Option<Npi>,
    any: bool,
    org: OrgId,
    available: Option<Window>,
}

/// Somebody who was found.
pub(super) struct Found {
    /// The place in the list.
    pub(super) rank: ProviderRank,
    /// The clinician.
    pub(super) provider: Arc<Provider>,
    /// What gives authority in the state that was asked for.
    pub(super) authority: Option<Authority>,
}

impl Search {
    /// Reads the query.
    pub(super) fn read<A: Act>(call: &OpenCall<A>) -> Result<Self, Problem> {
        let parameters = &call.parameters;
        let state = parameters.get("state").map(|text| {
            let state = text.parse().or_else(|_| Jurisdiction::from_postal(text));
            state.map_err(|_| bad("state", "not-a-code", "is a state such as TX or US-TX"))
        });
        let specialty = parameters.get("specialty").map(|text| {
            let code: Result<Taxonomy, _> = text.parse();
            code.map_err(|_| bad("specialty", "format", "is a NUCC taxonomy code such as 207Q00000X"))
        });
        let language = parameters.get("language").map(|text| {
            let language: Result<Language, _> = text.parse();
            language.map_err(|_| bad("language", "format", "is a BCP 47 tag such as es or es-MX"))
        });
        let on = parameters
            .get("on")
            .map(|text| day(text).ok_or_else(|| bad("on", "format", "is a day such as 2026-12-01")));
        let npi = parameters.get("npi").map(|text| {
            text.parse().map_err(|_| bad("npi", "format", "is ten digits of which the last checks the others"))
        });
        let any = match parameters.get("active") {
            None => false,
            Some("any") => true,
            Some(_) => return Err(bad("active", "not-a-code", "is any, or left out")),
        };
        let wanted = Wanted {
            licensed: state.transpose()?,
            specialty: specialty.transpose()?,
            language: language.transpose()?,
        };
        Ok(Self {
            wanted,
            on: on.transpose()?.unwrap_or_else(|| call.today()),
            npi: npi.transpose()?,
            any,
            org: call.caller.org,
            available: Window::read(call)?,
        })
    }

    /// At most so many of those who are asked for and come after a rank.
    pub(super) async fn find(
        &self,
        providers: &Providers,
        after: Option<ProviderRank>,
        at_most: usize,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        let mut looked = 0_usize;
        for (rank, provider) in providers.find(self.wanted, after) {
            looked += 1;
            if looked.is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
            found.extend(self.found(rank, provider));
            if found.len() >= at_most {
                break;
            }
        }
        found
    }

    /// The one with the NPI that is asked for, if it is all else that is asked for.
    pub(super) fn by_npi(&self, providers: &Providers) -> Option<Vec<Found>> {
        let npi = self.npi?;
        let one = providers.by_npi(npi).and_then(|provider| {
            let rank = providers.rank(provider.id).filter(|_| self.wanted.fits(provider))?;
            self.found(rank, provider)
        });
        Some(one.into_iter().collect())
    }

    /// Somebody to be shown, with what they may practise on in the state that is asked for, if one is.
    fn found(&self, rank: ProviderRank, provider: &Arc<Provider>) -> Option<Found> {
        if !provider.active && !self.any {
            return None;
        }
        let authority = match self.wanted.licensed {
            Some(state) => Some(self.authority(provider, state)?),
            None => None,
        };
        if self.available.as_ref().is_some_and(|window| !window.has_room(provider, self.wanted.licensed)) {
            return None;
        }
        Some(Found { rank, provider: Arc::clone(provider), authority })
    }

    /// What gives somebody authority at the caller's organisation; of others' clinicians, at one of theirs.
    fn authority(&self, provider: &Provider, state: Jurisdiction) -> Option<Authority> {
        let at = |org| authority(&provider.licences.at(org), Compacts::shipped(), state, self.on).ok();
        if provider.orgs.contains(self.org) {
            return at(self.org);
        }
        provider.orgs.as_slice().iter().find_map(|org| at(*org))
    }
}

/// A day in its one spelling.
pub(super) fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}
