//! Who is calling, what they may do, and how every answer looks.
//!
//! A request for PHI passes these, in this order, and each can refuse:
//! 1. [`Caller`](caller): the API key or the session. Nobody known: 401.
//! 2. [`authorize`]: role, entity, action, purpose and facts, asked of the policies. Not permitted: 403.
//! 3. The shape of the request: parameters, headers, body. None of it depends on whether the patient exists.
//! 4. [`call::PatientCall::permit`]: placement and rules. Unknown, or a home that the key does not serve: 404.
//! 5. The home's own database: its fence, and row-level security. Another organisation's patient: 404.
//! 6. The policies again, with what only the home knows: the patient's consent, and whether the caller broke the glass. Not
//!    permitted: 403 to the patient's own organisation.
//!
//! Because 1 to 3 never look at the directory or the database, and 4 and 5 say the same 404, a patient that
//! does not exist and one that the caller may not see get the same bytes.

pub mod admit;
mod arrive;
mod asker;
pub mod authorize;
pub mod body;
pub mod call;
pub mod caller;
pub mod change;
pub mod cookies;
pub mod doc;
pub mod etag;
mod facts;
pub mod finish;
mod headers;
pub mod here;
pub mod idempotency;
mod log_token;
pub mod metrics;
pub mod own;
pub mod page;
pub mod parameters;
pub mod policies;
pub mod problem;
mod scope;
mod second_look;
mod secret;
pub mod settings;
pub mod shown;
mod step_up;
pub mod violations;

pub use admit::Admission;
pub use authorize::{Act, Asker, step_up_required};
pub use call::{OpenCall, PatientCall, RegionCall, Via};
pub use caller::{Credential, Jurisdictions, NotRecognised};
pub use change::NotMade;
pub use here::{
    ChangeRefused, Changes, Check, Checks, Directory, Here, Limits, LogIndex, NewOrganisation, OrgView, Parts,
    Readiness, RegionView,
};
pub use log_token::LogToken;
pub use metrics::Metrics;
pub use node_policy::{Action, Entity, LicenceState, Loaded, RefusalReason, Shape, Sources};
pub use problem::{Disclosable, Refused};
pub use secret::Secret;
