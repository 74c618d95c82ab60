//! How a clinician looks on the wire.

use jiff::civil::Date;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Shown, Views, too_little};
use residency_control::Provider;
use residency_policy::Problem;
use residency_policy::licensure::{Authority, EnteredBy, Licence, Taxonomy};
use serde::Serialize;
use utoipa::ToSchema;

/// The operator, where it is said who entered a licence.
pub(super) const OPERATOR: &str = "operator";

/// A clinician.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
#[serde(deny_unknown_fields)]
pub struct ProviderBody {
    /// The id.
    #[schema(format = Uuid)]
    id: String,
    /// The National Provider Identifier.
    #[schema(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    npi: String,
    /// The public name.
    #[schema(example = "Robin Sample, MD")]
    name: String,
    /// What they are, as NUCC taxonomy codes, the primary one first.
    #[schema(example = json!(["207Q00000X"]))]
    taxonomy: Vec<String>,
    /// The codes' names in their order, `null` where the code is not a common one.
    #[schema(example = json!(["Family Medicine Physician"]))]
    specialties: Vec<Option<&'static str>>,
    /// In which languages they see patients, as BCP 47 tags.
    #[schema(example = json!(["en", "es"]))]
    languages: Vec<String>,
    /// For which organisations they work.
    organisations: Vec<String>,
    /// What they may practise on.
    licences: Vec<LicenceBody>,
    /// The physician with whom they collaborate.
    #[schema(required, format = Uuid)]
    collaborating: Option<String>,
    /// Whether patients can be booked with them.
    active: bool,
    /// Whether they are made up.
    synthetic: bool,
    /// In a search by state: what gives them authority to practise there on that day.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<AuthorityBody>,
}

/// A licence, registration, certificate or privilege, as its issuer published it.
#[derive(Serialize, ToSchema)]
#[schema(as = Licence)]
#[serde(deny_unknown_fields)]
pub struct LicenceBody {
    /// Who issued it, as an ISO 3166-2 code.
    #[schema(example = "US-TX")]
    jurisdiction: &'static str,
    /// What it is: `full`, `telehealth`, or what a compact gives.
    #[schema(example = "full")]
    kind: &'static str,
    /// Who answers for it: `operator`, or the organisation that entered it. It counts at that organisation's acts, the
    /// operator's at everybody's.
    entered_by: String,
    /// Its number.
    #[schema(example = "T12345")]
    number: String,
    /// Its state at the board.
    #[schema(pattern = "^(active|expired|suspended|revoked|surrendered|pending)$", example = "active")]
    status: &'static str,
    /// Since which day it is in that state.
    status_since: Date,
    /// Its first day.
    from: Date,
    /// Its last day. `null` where there is none.
    #[schema(required)]
    until: Option<Date>,
    /// Where it was looked up.
    #[schema(pattern = "^(state-board|nursys|fsmb|compact-commission)$", example = "state-board")]
    source: &'static str,
    /// When it was looked up.
    verified: Date,
}

/// A clinician without the numbers of licences.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderListItem {
    /// The id.
    #[schema(format = Uuid)]
    id: String,
    /// The National Provider Identifier.
    #[schema(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    npi: String,
    /// The public name.
    #[schema(example = "Robin Sample, MD")]
    name: String,
    /// What they are, as NUCC taxonomy codes, the primary one first.
    #[schema(example = json!(["207Q00000X"]))]
    taxonomy: Vec<String>,
    /// The codes' names in their order, `null` where the code is not a common one.
    #[schema(example = json!(["Family Medicine Physician"]))]
    specialties: Vec<Option<&'static str>>,
    /// In which languages they see patients, as BCP 47 tags.
    #[schema(example = json!(["en", "es"]))]
    languages: Vec<String>,
    /// For which organisations they work.
    organisations: Vec<String>,
    /// What they may practise on.
    licences: Vec<LicenceListItem>,
    /// The physician with whom they collaborate.
    #[schema(required, format = Uuid)]
    collaborating: Option<String>,
    /// Whether patients can be booked with them.
    active: bool,
    /// Whether they are made up.
    synthetic: bool,
    /// In a search by state: what gives them authority to practise there on that day.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<AuthorityBody>,
}

/// A licence, registration, certificate or privilege, without its number.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LicenceListItem {
    /// Who answers for it: `operator`, or the organisation that entered it.
    entered_by: String,
    /// Who issued it, as an ISO 3166-2 code.
    #[schema(example = "US-TX")]
    jurisdiction: &'static str,
    /// What it is: `full`, `telehealth`, or what a compact gives.
    #[schema(example = "full")]
    kind: &'static str,
    /// Its state at the board.
    #[schema(pattern = "^(active|expired|suspended|revoked|surrendered|pending)$", example = "active")]
    status: &'static str,
    /// Since which day it is in that state.
    status_since: Date,
    /// Its first day.
    from: Date,
    /// Its last day. `null` where there is none.
    #[schema(required)]
    until: Option<Date>,
    /// Where it was looked up.
    #[schema(pattern = "^(state-board|nursys|fsmb|compact-commission)$", example = "state-board")]
    source: &'static str,
    /// When it was looked up.
    verified: Date,
}

/// A clinician, as the caller's role is shown them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyProvider {
    /// For everybody who is not a marketer.
    Full(Box<ProviderBody>),
    /// For marketers.
    Listed(Box<ProviderListItem>),
}

/// What gives authority to practise in a state on a day.
#[derive(Serialize, ToSchema)]
#[schema(as = Authority)]
#[serde(deny_unknown_fields)]
pub struct AuthorityBody {
    /// Who issued it, as an ISO 3166-2 code.
    #[schema(example = "US-TX")]
    pub jurisdiction: &'static str,
    /// What it is.
    #[schema(example = "full")]
    pub kind: &'static str,
    /// Its last day. `null` where there is none.
    #[schema(required)]
    pub until: Option<Date>,
}

/// A page of clinicians.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderPage)]
#[serde(deny_unknown_fields)]
pub struct ProviderPage {
    /// The clinicians, in the order in which they were added.
    pub data: Vec<AnyProvider>,
    /// How the list goes on.
    pub page: PageInfo,
}

/// A clinician to be added, or what one shall be.
#[derive(Serialize, ToSchema)]
#[schema(as = NewProvider)]
#[serde(deny_unknown_fields)]
pub struct NewProviderBody {
    /// The National Provider Identifier. Its last digit checks the others. It never changes.
    #[schema(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    pub npi: String,
    /// The public name: letters, spaces and `' . , -`.
    #[schema(min_length = 1, max_length = 80, example = "Robin Sample, MD")]
    pub name: String,
    /// What they are, as NUCC taxonomy codes, the primary one first.
    #[schema(min_items = 1, max_items = 15, example = json!(["207Q00000X"]))]
    pub taxonomy: Vec<String>,
    /// In which languages they see patients, as BCP 47 tags: language, script, region.
    #[schema(max_items = 16, example = json!(["en", "es"]))]
    pub languages: Option<Vec<String>>,
    /// For which organisations they work; the caller's own if not given. Each is put there and taken away by its own
    /// administrator.
    #[schema(min_items = 1, max_items = 16)]
    pub organisations: Option<Vec<String>>,
    /// What they may practise on by the word of the caller's organisation. What others entered stays, whether it is left
    /// out or repeated; whoever repeats it says who entered it, and changes nothing of it.
    #[schema(max_items = 64)]
    pub licences: Option<Vec<NewLicenceBody>>,
    /// The physician with whom they collaborate.
    #[schema(format = Uuid)]
    pub collaborating: Option<String>,
    /// Whether patients can be booked with them; `true` if not given.
    pub active: Option<bool>,
    /// Whether they are made up; `false` if not given. It never changes.
    pub synthetic: Option<bool>,
}

/// A licence, registration, certificate or privilege, as its issuer published it.
#[derive(Serialize, ToSchema)]
#[schema(as = NewLicence)]
#[serde(deny_unknown_fields)]
pub struct NewLicenceBody {
    /// Who issued it, as an ISO 3166-2 code: the state of the board. For a multistate licence or a certificate of a
    /// compact this is the home state, for a privilege the state that it is for.
    #[schema(example = "US-TX")]
    pub jurisdiction: String,
    /// What it is: `full`, `telehealth`, or what a compact gives, such as `nlc`, `imlc`, `psypact-apit`.
    #[schema(example = "full")]
    pub kind: String,
    /// Its number: letters, digits and `. / -`, with a digit.
    #[schema(min_length = 1, max_length = 24, example = "T12345")]
    pub number: String,
    /// Its state at the board.
    #[schema(pattern = "^(active|expired|suspended|revoked|surrendered|pending)$", example = "active")]
    pub status: String,
    /// Since which day it is in that state. Required unless it is `active` or `pending`.
    pub status_since: Option<Date>,
    /// Its first day; after a reinstatement, the day of that.
    pub from: Date,
    /// Its last day.
    pub until: Option<Date>,
    /// Where it was looked up.
    #[schema(pattern = "^(state-board|nursys|fsmb|compact-commission)$", example = "state-board")]
    pub source: String,
    /// When it was looked up.
    pub verified: Date,
    /// Who answers for it, as it is shown; the caller's organisation if not given.
    pub entered_by: Option<String>,
}

impl Views for AnyProvider {
    const ENTITY: Entity = Entity::Provider;
}

/// Everything of a clinician may be shown.
pub(super) type Full = shown::Full<AnyProvider>;

impl AnyProvider {
    /// Shows a clinician.
    pub(super) fn of(
        provider: &Provider,
        shown: &Shown<Self>,
        authority: Option<Authority>,
    ) -> Result<Self, Problem> {
        match shown {
            Shown::Full(full) => Ok(Self::Full(Box::new(ProviderBody::of(provider, authority, *full)))),
            Shown::Listed(listed) => {
                Ok(Self::Listed(Box::new(ProviderListItem::of(provider, authority, *listed))))
            }
            Shown::Token(_) => Err(too_little()),
        }
    }
}

impl ProviderBody {
    /// Shows a clinician with the numbers of licences.
    pub(super) fn of(provider: &Provider, authority: Option<Authority>, full: Full) -> Self {
        let item = ProviderListItem::of(provider, authority, full.into());
        let numbers = provider.licences.iter().map(|(_, licence)| licence.number.to_string());
        let numbered = |(licence, number): (LicenceListItem, String)| LicenceBody {
            entered_by: licence.entered_by,
            jurisdiction: licence.jurisdiction,
            kind: licence.kind,
            number,
            status: licence.status,
            status_since: licence.status_since,
            from: licence.from,
            until: licence.until,
            source: licence.source,
            verified: licence.verified,
        };
        Self {
            id: item.id,
            npi: item.npi,
            name: item.name,
            taxonomy: item.taxonomy,
            specialties: item.specialties,
            languages: item.languages,
            organisations: item.organisations,
            licences: item.licences.into_iter().zip(numbers).map(numbered).collect(),
            collaborating: item.collaborating,
            active: item.active,
            synthetic: item.synthetic,
            authority: item.authority,
        }
    }
}

impl ProviderListItem {
    fn of(provider: &Provider, authority: Option<Authority>, _: shown::Listed<AnyProvider>) -> Self {
        let codes = provider.taxonomy.as_slice();
        Self {
            id: provider.id.to_string(),
            npi: provider.npi.to_string(),
            name: provider.name.to_string(),
            taxonomy: codes.iter().map(Taxonomy::to_string).collect(),
            specialties: codes.iter().map(Taxonomy::name).collect(),
            languages: provider.languages.as_slice().iter().map(ToString::to_string).collect(),
            organisations: provider.orgs.as_slice().iter().map(ToString::to_string).collect(),
            licences: provider.licences.iter().map(LicenceListItem::of).collect(),
            collaborating: provider.collaborating.map(|id| id.to_string()),
            active: provider.active,
            synthetic: provider.synthetic,
            authority: authority.map(|authority| AuthorityBody {
                jurisdiction: authority.licence.jurisdiction.code(),
                kind: authority.licence.kind.as_str(),
                until: authority.licence.until,
            }),
        }
    }
}

impl LicenceListItem {
    fn of((by, licence): (EnteredBy, &Licence)) -> Self {
        Self {
            entered_by: match by {
                EnteredBy::Operator => OPERATOR.to_owned(),
                EnteredBy::Organisation(org) => org.to_string(),
            },
            jurisdiction: licence.jurisdiction.code(),
            kind: licence.kind.as_str(),
            status: licence.status.as_str(),
            status_since: licence.status_since,
            from: licence.from,
            until: licence.until,
            source: licence.source.as_str(),
            verified: licence.verified,
        }
    }
}
