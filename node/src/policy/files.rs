//! Reading policies and questions from files.

use std::fs;
use std::path::Path;

use node_policy::{Class, Loaded, Request, SCHEMA, Source, Sources};
use serde::de::DeserializeOwned;

use crate::exit::{Cause, Stop};

/// The most bytes of a file of questions.
const REQUESTS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The policies of this program.
pub(super) fn shipped() -> Result<Loaded, Stop> {
    Loaded::shipped()
        .map_err(|e| Stop::new(Cause::Rules, e.to_string(), "the policies of this program are damaged"))
}

/// The policies of a folder.
pub(super) fn folder(folder: &Path) -> Result<Loaded, Stop> {
    load(folder, &sources(folder)?)
}

/// Reads and checks texts that came from here.
pub(super) fn load(from: &Path, sources: &Sources) -> Result<Loaded, Stop> {
    sources.load().map_err(|e| {
        let what = format!("{}/{e}", from.display());
        Stop::new(Cause::Rules, what, "nothing was changed; mend the file at that place")
    })
}

/// The texts of a folder. Without a schema there, with that of this program.
pub(super) fn sources(folder: &Path) -> Result<Sources, Stop> {
    let entries = fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?;
    let (mut schema, mut policies) = (None, Vec::new());
    for entry in entries {
        let path = entry.map_err(|e| unreadable(folder, &e))?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if !matches!(kind, Some("cedar" | "cedarschema")) {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = Source { name, text };
        if kind == Some("cedar") {
            policies.push(source);
        } else if schema.replace(source).is_some() {
            let what = format!("{} holds two schemas", folder.display());
            return Err(Stop::new(Cause::Rules, what, "leave one *.cedarschema there, or none"));
        }
    }
    if policies.is_empty() {
        let what = format!("{} holds no policies", folder.display());
        return Err(Stop::new(Cause::Rules, what, "name a folder of *.cedar files"));
    }
    policies.sort();
    Ok(Sources { schema: schema.unwrap_or_else(|| SCHEMA.into()), policies })
}

/// One question, or many: one JSON object a line.
pub(super) fn requests(file: &Path) -> Result<Vec<Request>, Stop> {
    read_lines(file, "a question", "see `domicile policy test --help` for a whole question")
}

/// What a node was asked, as `domicile policy recorded` writes it.
pub(super) fn classes(file: &Path) -> Result<Vec<Class>, Stop> {
    read_lines(file, "a recorded class", "name a file that `domicile policy recorded` has written")
}

fn read_lines<T: DeserializeOwned>(file: &Path, of: &str, hint: &'static str) -> Result<Vec<T>, Stop> {
    let bytes = fs::metadata(file).map_err(|e| unreadable(file, &e))?.len();
    if bytes > REQUESTS_BYTES_MAX {
        let what = format!("{} is longer than {REQUESTS_BYTES_MAX} bytes", file.display());
        return Err(Stop::new(Cause::Other, what, "split the file"));
    }
    let text = fs::read_to_string(file).map_err(|e| unreadable(file, &e))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|e| {
                let what = format!("{}:{}:{}: not {of}: {e}", file.display(), at + 1, e.column());
                Stop::new(Cause::Other, what, hint)
            })
        })
        .collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Stop {
    Stop::new(Cause::Other, format!("{} cannot be read: {error}", path.display()), "name a file that is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_folder_or_question_is_refused_with_its_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let says = |stop: Stop| stop.what;
        assert!(folder(dir.path()).map_err(says).is_err_and(|what| what.contains("no policies")));
        let text = "@id(\"a\")\n@citation(\"none\")\n@shape(\"full\")\npermit (principal, action, resource);\n";
        fs::write(dir.path().join("a.cedar"), text).expect("writes");
        fs::write(dir.path().join("notes.txt"), "nothing").expect("writes");
        assert!(folder(dir.path()).is_ok(), "the control");
        fs::write(dir.path().join("b.cedar"), "\npermit (principal, action)").expect("writes");
        let what = folder(dir.path()).map_err(says).err().expect("it is refused");
        assert!(what.contains("b.cedar:2:"), "{what}");

        let file = dir.path().join("asked.jsonl");
        fs::write(&file, "\n\n{\"principal\": \"nobody\"}\n").expect("writes");
        let what = requests(&file).map_err(says).expect_err("it is refused");
        assert!(what.contains("asked.jsonl:3:"), "{what}");
    }
}
