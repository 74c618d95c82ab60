//! Auditing cannot be switched off: the one build that leaves records out is a benchmark's, and the node's binary
//! refuses to be part of it.

use tests::workspace::{files, root};

const BENCH: &str = "loadtest/unaudited/";

/// What is wrong with a file that names the feature, or should.
fn breach(name: &str, text: &str) -> Option<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with(['#', '/'])).collect();
    if name == "node/src/main.rs" {
        let asserts = code.contains("const _: () = assert!(storage::AUDITED,");
        return (!asserts).then(|| format!("{name} would be built without an access log"));
    }
    let defines = name == "storage/Cargo.toml" && code.contains("unaudited = []");
    let names = name.ends_with("Cargo.toml") && code.contains("unaudited");
    (names && !defines && !name.starts_with(BENCH)).then(|| format!("{name} enables what leaves records out"))
}

#[test]
fn no_program_but_a_benchmarks_leaves_records_out() {
    let manifests = files(&["residency", "storage", "router", "node", "loadtest", "tests"], "Cargo.toml")
        .into_iter()
        .chain([root().join("node/src/main.rs")]);
    let mut looked = 0;
    for path in manifests {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(breach(&name, &text), None);
        looked += 1;
    }
    assert!(looked > 12, "only {looked} files were looked at");
    let bench = std::fs::read_to_string(root().join(BENCH).join("Cargo.toml")).expect("the benchmark's");
    assert!(bench.contains("required-features = [\"unaudited\"]") && !bench.contains("default ="), "{bench}");
}

#[test]
fn a_way_to_switch_it_off_is_caught() {
    for (name, text) in [
        ("node/src/main.rs", "fn main() {}"),
        ("node/src/main.rs", "// const _: () = assert!(storage::AUDITED, \"\");"),
        ("node/Cargo.toml", "storage = { workspace = true, features = [\"unaudited\"] }"),
        ("storage/Cargo.toml", "default = [\"unaudited\"]"),
    ] {
        assert!(breach(name, text).is_some(), "{name}: {text}");
    }
}
