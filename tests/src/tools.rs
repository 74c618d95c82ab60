//! Programs of others that judge us: schemathesis, openapi-spec-validator. `./dev test` installs them.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::workspace::environment;

/// Where a program is, or how to get it. A check that cannot run is a failure: it would prove nothing.
pub fn tool(name: &str) -> Result<PathBuf> {
    let cache = environment("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".cache")))
        .unwrap_or_default();
    let folders =
        environment("DOMICILE_TOOLS").map(PathBuf::from).into_iter().chain([cache.join("domicile/tools-venv")]);
    for folder in folders {
        for path in [folder.join(name), folder.join("bin").join(name)] {
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    bail!("{name} is not installed: run the tests with `./dev test`, which installs it, or set DOMICILE_TOOLS")
}
