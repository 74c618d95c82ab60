//! What a stranger, a wrong key and broken input get.

mod access_matrix;
mod addresses;
mod answers;
mod assured_matrix;
mod decisions;
mod logs;
mod malformed;
mod patients_own;
mod policy_versions;
mod raw_http;
mod recorded;
mod route_coverage;
mod segregated_matrix;
mod sign_in;
mod sign_in_canaries;
mod things_of_others;
mod tls;
mod tls_report;
mod views;
