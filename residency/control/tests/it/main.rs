//! The control plane's tests, in one binary.

mod again;
mod api_keys;
mod bookings;
mod clinicians;
mod devices;
mod directory;
mod federation;
mod given_up;
mod keys;
mod machine;
mod members;
mod peers;
mod power_cut;
mod providers;
mod reads;
mod released;
mod renewal;
mod roster;
mod settings;
mod signin;
mod slots;
mod snapshots;
mod store;
mod support;
mod tenants;
mod truncated;
