//! The `domicile` binary: one program, many roles.

use std::process::ExitCode;

fn main() -> ExitCode {
    router::panics::say_only_where();
    node::cli::run()
}
