//! PHI stays at its home: at rest, on every route, and when things go wrong.

mod canary_life;
mod fence;
mod no_quorum;
mod redirect_deny;
mod restart_alone;
mod stays_home;
mod verified;
mod wrong_region;
