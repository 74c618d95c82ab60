//! What must not compile. Each file of `tests/walls` is compiled twice: with `--cfg wall` the compiler must refuse
//! it with the code and on the line that its `//~` comment names, and nowhere else; without it must compile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;
use tests::workspace::{Graph, built, environment, files, root};

/// Below this many the walls have been taken down.
const CASES_MIN: usize = 20;

/// An error: its code and its line.
type Complaint = (String, usize);

/// The newest library of this name among those that this test process was built with.
fn library(name: &str) -> PathBuf {
    let folder = built().join("deps");
    let prefix = format!("lib{}-", name.replace('-', "_"));
    let age = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    std::fs::read_dir(&folder)
        .expect("the folder of built libraries")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|e| e == "rlib")
                && path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&prefix))
        })
        .max_by_key(age)
        .unwrap_or_else(|| panic!("no {prefix}*.rlib in {}", folder.display()))
}

/// Compiles one file and returns what the compiler complains of.
fn complaints(file: &Path, wall: bool, externs: &[&str]) -> Vec<Complaint> {
    let out = tempfile_for(file, wall);
    let mut rustc = Command::new(environment("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--error-format", "json"]);
    rustc.args(["--cap-lints", "allow", "--check-cfg", "cfg(wall)", "--crate-name", "wall"]);
    rustc.arg("-L").arg(format!("dependency={}", built().join("deps").display()));
    for name in externs {
        let name_in_code = name.replace('-', "_");
        rustc.arg("--extern").arg(format!("{name_in_code}={}", library(name).display()));
    }
    if wall {
        rustc.args(["--cfg", "wall"]);
    }
    let output = rustc.arg("-o").arg(&out).arg(file).current_dir(root()).output().expect("rustc runs");
    let errors: Vec<Complaint> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["level"] == "error")
        .flat_map(|message| {
            let code = message["code"]["code"].as_str().unwrap_or("none").to_owned();
            let text = message["message"].as_str().unwrap_or_default().to_owned();
            let mut lines: Vec<usize> = message["spans"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|span| span["is_primary"] == true)
                .map(line_in_file)
                .collect();
            // "aborting due to 2 previous errors" has no place.
            lines.dedup();
            lines.into_iter().map(move |line| (format!("{code} {text}"), line))
        })
        .collect();
    let _ = std::fs::remove_file(&out);
    assert_eq!(output.status.success(), errors.is_empty(), "{}: {:?}", file.display(), output);
    errors
}

/// The line of the file itself: an error inside a macro is where the macro is called.
fn line_in_file(span: &Value) -> usize {
    let mut span = span;
    while span["expansion"].is_object() {
        span = &span["expansion"]["span"];
    }
    span["line_start"].as_u64().and_then(|line| usize::try_from(line).ok()).unwrap_or(0)
}

fn tempfile_for(file: &Path, wall: bool) -> PathBuf {
    let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or("wall");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{name}-{wall}-{}.rmeta", std::process::id()))
}

/// The codes and lines that the file says it must be refused for.
fn expected(text: &str) -> Vec<Complaint> {
    text.lines()
        .enumerate()
        .filter_map(|(i, line)| Some((line.split_once("//~ ")?.1.trim().to_owned(), i + 1)))
        .collect()
}

/// Why a file is not a wall, or nothing when it is one.
fn breach(file: &Path, externs: &[&str]) -> Option<String> {
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let text = std::fs::read_to_string(file).expect("a wall can be read");
    let expected = expected(&text);
    if expected.is_empty() {
        return Some(format!("{name} does not say what it must be refused for"));
    }
    let twin = complaints(file, false, externs);
    if !twin.is_empty() {
        return Some(format!("{name}: the twin without the violation does not compile: {twin:?}"));
    }
    let found = complaints(file, true, externs);
    let missing =
        expected.iter().find(|(code, line)| !found.iter().any(|(c, l)| c.starts_with(code) && l == line));
    let unexpected = found
        .iter()
        .find(|(code, line)| !expected.iter().any(|(c, l)| code.starts_with(c.as_str()) && l == line));
    match (missing, unexpected) {
        (Some(missing), _) => Some(format!("{name}: compiles past {missing:?}; the compiler said {found:?}")),
        (_, Some(unexpected)) => Some(format!("{name}: is refused for something else: {unexpected:?}")),
        (None, None) => None,
    }
}

fn cases(folder: &str) -> Vec<PathBuf> {
    files(&[folder], ".rs")
}

#[test]
fn every_wall_stands() {
    let cases: Vec<PathBuf> =
        cases("tests/walls").into_iter().filter(|p| p.parent().is_some_and(|f| f.ends_with("walls"))).collect();
    assert!(cases.len() >= CASES_MIN, "only {} walls", cases.len());
    let half = cases.len() / 2;
    let breaches = std::thread::scope(|threads| {
        let first = threads.spawn(|| breaches(&cases[..half]));
        let mut second = breaches(&cases[half..]);
        second.extend(first.join().expect("no wall panics"));
        second
    });
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

fn breaches(cases: &[PathBuf]) -> Vec<String> {
    cases.iter().filter_map(|file| breach(file, &["tests"])).collect()
}

/// The router's own walls are compiled with what the router may import and nothing else.
#[test]
fn the_router_cannot_name_storage() {
    let graph = Graph::of_workspace().expect("cargo metadata");
    let imports = graph.direct("router");
    let mut externs = vec!["router"];
    externs.extend(imports.intersection(&graph.ours).map(String::as_str));
    let cases = cases("tests/walls/router");
    assert!(!cases.is_empty(), "the router's walls are gone");
    for file in cases {
        assert_eq!(breach(&file, &externs), None);
        // The control: with the import that the floors forbid, the same line compiles.
        externs.extend(["storage", "storage-keys", "tokio-postgres"]);
        assert_eq!(complaints(&file, true, &externs), [], "{} is refused for another reason", file.display());
        externs.truncate(externs.len() - 3);
    }
}

#[test]
fn a_wall_that_fell_is_caught() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let written = |name: &str, text: &str| {
        let path = folder.join(format!("{name}-{}.rs", std::process::id()));
        std::fs::write(&path, text).expect("a file is written");
        path
    };
    for (name, text, says) in [
        ("compiles", "#[cfg(wall)]\nfn f() -> u8 { 1 } //~ E0308\n", "compiles past"),
        ("otherwise", "#[cfg(wall)]\nfn f() -> u8 { x } //~ E0308\n", "compiles past"),
        (
            "twice",
            "#[cfg(wall)]\nfn f() -> u8 { \"\" } //~ E0308\n#[cfg(wall)]\nfn g() -> u8 { x }\n",
            "something else",
        ),
        ("twin", "fn f() -> u8 { \"\" } //~ E0308\n", "the twin"),
        ("silent", "fn f() {}\n", "does not say"),
    ] {
        let path = written(name, text);
        let found = breach(&path, &[]).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        assert!(found.contains(says), "{name}: {found}");
    }
}

/// What has a `Debug` all the same says nothing in it.
#[test]
fn what_may_be_printed_says_nothing() {
    let phi = storage::Phi::new("zzphi-family".to_owned());
    let minted = residency_control::keys::mint(&residency_control::system::SystemEntropy::new());
    let secret = storage::Secret::new("zzsecret");
    let printed = format!("{phi:?} {phi:#?} {:?} {:?} {secret:?}", Some(&phi), vec![&phi]);
    assert!(!printed.contains("zz"), "{printed}");
    let key = minted.text.reveal();
    assert!(!format!("{minted:?} {:?}", minted.text).contains(&key[36..]));
}
