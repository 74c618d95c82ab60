//! A node whose reads leave no access record: what the benchmark of reading measures the price of the records with.
//!
//! It is no product. `domicile` refuses to compile with the feature that this needs, and this refuses to work
//! anywhere but in a folder for temporary files.

use std::path::Path;
use std::process::ExitCode;

const _: () = assert!(!storage::AUDITED, "build it with --features unaudited, or build domicile");

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).filter(|word| word.starts_with('/')).collect();
    let temporary = |path: &String| Path::new(path).starts_with(std::env::temp_dir());
    if paths.is_empty() || !paths.iter().all(temporary) {
        return ExitCode::from(64);
    }
    node::cli::run()
}
