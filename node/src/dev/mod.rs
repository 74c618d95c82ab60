//! A whole cluster on one machine: regions with databases, keys and certificates of their own, a router, people.
//!
//! For trying and developing. The certificate authority, the KMS keys and the policy key all lie in the home
//! folder of whoever starts it, so nothing here protects one region from another's operator; what it shows is
//! how the parts behave, with the same binaries, protocols and refusals as in production.

pub mod admit;
pub mod authority;
pub mod banner;
pub mod calendars;
pub mod clinicians;
pub mod cluster_json;
pub mod credentials;
pub mod down;
pub mod govern;
pub mod hold;
pub mod inspect;
pub mod keep;
pub mod layout;
pub mod link;
pub mod logs;
pub mod people;
pub mod plan;
pub mod postgres;
pub mod provision;
pub mod rulebook;
pub mod run;
pub mod sealing_key;
pub mod sheets;
pub mod stale_lock;
pub mod status;
pub mod supervise;
pub mod up;
pub mod visit;
pub mod wan;
