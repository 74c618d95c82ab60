//! Who may practise where, and on which day.
//!
//! The rule: a clinician must be authorised where the patient **is** at the time of the service. What gives that
//! authority is a licence of that jurisdiction, a telehealth registration there, or what a compact gives; each of
//! them is dated, and so is every state's membership in a compact ([`Compacts`]). [`authority`] reads all of it and
//! nothing else: no clock, no default. What is unknown, uncertain or not in force gives no authority. Whose word a licence
//! is counts too: [`Attested`] says which of them an organisation may rest on.

mod attested;
mod authority;
mod compact;
mod compacts;
mod licence;
mod taxonomy;

pub use attested::{Attested, EnteredBy, NotAttested};
pub use authority::{Authority, Lack, NoAuthority, authority};
pub use compact::{Compact, NotACompact, Scheme, unfit};
pub use compacts::{Compacts, CompactsError, Membership};
pub use licence::{
    Licence, LicenceKind, LicenceNumber, LicenceSource, LicenceStatus, Licences, NotALicenceKind,
    NotALicenceNumber, NotALicenceSource, NotALicenceStatus, NotLicences,
};
pub use taxonomy::{NotATaxonomy, Profession, Taxonomy};
