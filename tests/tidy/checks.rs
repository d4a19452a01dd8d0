//! Rules for the checks themselves, and for what only other systems compile.
//!
//! Threads: the test's; blocks.

use std::fs;
use std::path::Path;

use crate::{ROOT, files};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A check that only the workflow has would not run before a change is sent, and the other way round.
#[test]
fn the_workflow_runs_the_checks_of_the_repository_and_no_others() {
    let workflow = read(".github/workflows/ci.yml");
    let values = |key: &str| -> Vec<String> {
        let lines = workflow.lines().map(|line| line.trim_start().trim_start_matches("- "));
        lines.filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix(": ")?.to_owned())).collect()
    };
    assert_eq!(values("run"), [".ci/run"]);
    let others = values("uses");
    assert!(others.len() == 1 && others[0].starts_with("actions/checkout@"), "{others:?}");
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split("channel = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(values("container"), [format!("rust:{version}-bookworm")]);
}

#[test]
fn every_script_of_the_checks_is_called_by_their_first() {
    let first = read(".ci/run");
    for entry in fs::read_dir(Path::new(ROOT).join(".ci")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "run" || first.contains(&format!("\nstep .ci/{name}\n")), ".ci/run does not call {name}");
    }
}

#[test]
fn the_form_of_a_fault_asks_for_the_report_of_the_example() {
    assert!(read("examples/Cargo.toml").contains("\nname = \"report\"\n"));
    for page in [".github/ISSUE_TEMPLATE/fault.md", "CONTRIBUTING.md"] {
        assert!(read(page).contains("cargo run --example report"), "{page}");
    }
}

/// Names that only some systems have.
const OF_SOME_SYSTEMS: [&str; 8] = [
    "std::os::unix",
    "std::os::fd",
    "signal::unix",
    "signal::windows",
    "UnixListener",
    "UnixStream",
    "libc::sigaction",
    "libc::dladdr",
];

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether an attribute of the item or the statement in this line, or of one around it, says for which systems it is.
fn is_for_some_systems(lines: &[&str], at: usize) -> bool {
    let mut column = indentation(lines[at]);
    let mut is_at_attributes = true;
    for line in lines[..at].iter().rev().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start();
        if indentation(line) < column {
            column = indentation(line);
            is_at_attributes = true;
        } else if indentation(line) == column {
            is_at_attributes &= text.starts_with('#') || text.starts_with("//");
        } else {
            continue;
        }
        let names = ["unix", "windows", "target_os"];
        if is_at_attributes && text.starts_with("#[cfg(") && names.iter().any(|name| text.contains(name)) {
            return true;
        }
    }
    false
}

#[test]
fn what_only_some_systems_have_is_behind_a_cfg() {
    let mut seen = 0;
    for (path, text) in files("gateway/src", "rs") {
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines: Vec<&str> = program.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let is_code = !line.trim_start().starts_with("//");
            if is_code && OF_SOME_SYSTEMS.iter().any(|name| line.contains(name)) {
                seen += 1;
                assert!(is_for_some_systems(&lines, at), "{}:{}: {line}", path.display(), at + 1);
            }
        }
    }
    assert!(seen > 10, "only {seen} lines");
}
