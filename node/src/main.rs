//! The `domicile` binary: one program, many roles.

use std::process::ExitCode;

const _: () = assert!(storage::AUDITED, "a node without an access log is not built");

fn main() -> ExitCode {
    router::panics::say_only_where();
    node::cli::run()
}
