//! The rules of ARCHITECTURE.md that a machine can check. Reads files, runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The files below a folder of the workspace with this extension, with their texts.
fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|known| known == extension) {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} files below {folder}");
    found
}

/// The lines that are code, without comments and docs.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn no_file_is_longer_than_400_lines() {
    for folder in ["gateway", "gateway-macros", "tests"] {
        for (path, text) in files(folder, "rs") {
            let lines = text.lines().count();
            assert!(lines <= 400, "{} has {lines} lines; what part of it is another noun?", path.display());
        }
    }
}

#[test]
fn nothing_in_worker_is_async() {
    for (path, text) in files("gateway/src/worker", "rs") {
        for line in code(&text) {
            let words = ["async ", ".await", "tokio"];
            assert!(!words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
    }
}

/// BP-04.
#[test]
fn nothing_on_the_runtime_side_blocks() {
    for folder in ["gateway/src/request", "gateway/src/response"] {
        for (path, text) in files(folder, "rs") {
            // The application's half of the body is meant to block.
            if path.ends_with("input.rs") {
                continue;
            }
            for line in code(&text) {
                let words = [".pull()", ".recv()", "thread::sleep", "block_on", "Condvar"];
                assert!(!words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
            }
        }
    }
}

/// A subscriber or a recorder that panics costs nothing, as those who call it are few.
#[test]
fn one_file_calls_the_log_and_one_the_metrics() {
    for (path, text) in files("gateway/src", "rs") {
        let is = |name: &str| path.ends_with(format!("gateway/src/{name}"));
        for line in code(&text) {
            let calls_log = line.contains("tracing::");
            assert!(!calls_log || is("log.rs"), "{}: use `crate::log` instead: {line}", path.display());
            let words = ["counter!", "gauge!", "histogram!", "with_recorder(|"];
            let calls_metrics = words.iter().any(|word| line.contains(&format!("metrics::{word}")));
            assert!(!calls_metrics || is("metrics.rs"), "{}: {line}", path.display());
        }
    }
    let metrics = fs::read_to_string(Path::new(ROOT).join("gateway/src/metrics.rs")).unwrap();
    assert_eq!(metrics.matches("metrics::with_recorder(|").count(), 1, "all figures go through one fence");
}

/// What is copied from an example, from the README or from the first page stops when it is told to, and has a log that
/// cannot stop it.
#[test]
fn every_program_that_is_there_to_be_copied_stops_on_signals() {
    let mut programs = files("examples", "rs");
    for page in ["README.md", "book/src/start.md", "book/src/tutorial.md", "book/src/python.md"] {
        programs.push((page.into(), fs::read_to_string(Path::new(ROOT).join(page)).unwrap()));
    }
    let mut servers = 0;
    for (path, text) in programs {
        let is_example = path.extension().is_some_and(|extension| extension == "rs");
        let program = if is_example { text.split("#[cfg(test)]").next().unwrap_or_default() } else { &text };
        if program.contains("gateway::serve(") {
            servers += 1;
            let stops = program.contains("stop_on_signals()?") || program.contains("stop_signals()?");
            assert!(stops, "{} does not stop on SIGTERM", path.display());
        }
        let starts_log = is_example && program.contains("tracing_subscriber::");
        assert!(!starts_log || path.ends_with("log/mod.rs"), "{}: use `log::Log` instead", path.display());
    }
    assert!(servers > 15, "only {servers} programs serve");
}

/// What the reliability page says of the end of a process, the policy says as well, and readers find it.
#[test]
fn what_cannot_be_survived_is_out_of_scope_of_the_security_policy() {
    let read = |file| fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let (page, policy) = (read("book/src/reliability.md"), read("SECURITY.md"));
    assert!(read("README.md").contains("](SECURITY.md)"), "the README does not lead to SECURITY.md");
    for heading in ["## What is promised", "## What is out of scope", "## How to report"] {
        assert!(policy.contains(heading), "SECURITY.md has no {heading}");
    }
    let policy = policy.split_whitespace().collect::<Vec<_>>().join(" ");
    let table = page.split("## What cannot be survived").nth(1).and_then(|rest| rest.split("\n\n").nth(2)).unwrap();
    let rows: Vec<&str> = table.lines().skip(2).filter_map(|row| row.strip_prefix("| ")?.split(" | ").next()).collect();
    assert!(rows.len() > 5, "where is the table? {table}");
    for row in rows {
        // The cause, without its details.
        let cause = row.split([':', ',']).next().unwrap_or(row).trim_end_matches(" in the profile");
        assert!(policy.contains(cause), "SECURITY.md does not name: {cause}");
    }
}

#[test]
fn both_crates_forbid_unsafe_code() {
    for file in ["gateway/src/lib.rs", "gateway-macros/src/lib.rs"] {
        let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file}");
    }
}

#[test]
fn every_mistake_has_its_message() {
    let messages = files("tests/ui/fail", "stderr");
    for (path, _) in files("tests/ui/fail", "rs") {
        let message = path.with_extension("stderr");
        assert!(messages.iter().any(|(known, _)| *known == message), "{} is missing", message.display());
    }
}

#[test]
fn the_readme_of_the_examples_lists_each_of_them_in_the_order_of_the_manifest() {
    let read = |file: &str| fs::read_to_string(Path::new(ROOT).join("examples").join(file)).unwrap();
    let (index, manifest) = (read("README.md"), read("Cargo.toml"));
    let listed: Vec<&str> = index.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let built: Vec<&str> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"')).collect();
    assert_eq!(listed, built);
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        if path.extension().is_some_and(|extension| extension == "rs") {
            assert!(listed.contains(&name), "{name} is not in examples/README.md");
        }
    }
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_its_code_is_compiled() {
    let summary = fs::read_to_string(Path::new(ROOT).join("book/src/SUMMARY.md")).unwrap();
    let doctests = fs::read_to_string(Path::new(ROOT).join("tests/src/book.rs")).unwrap();
    // Pages whose listings belong together.
    let typed = fs::read_to_string(Path::new(ROOT).join("tests/recipe.rs")).unwrap();
    let pages = files("book/src", "md");
    for (path, text) in &pages {
        let name = path.strip_prefix(Path::new(ROOT).join("book/src")).unwrap().to_str().unwrap();
        if name == "SUMMARY.md" {
            continue;
        }
        // What lies in a folder is a part of a page.
        if name.contains('/') {
            let include = format!("{{{{#include {name}}}}}");
            assert!(pages.iter().any(|(_, page)| page.contains(&include)), "no page includes {name}");
            continue;
        }
        assert!(summary.contains(&format!("]({name})")), "{name} is not in SUMMARY.md");
        if text.contains("```rust") {
            let compiled =
                doctests.contains(&format!("/book/src/{name}")) || typed.contains(&format!("read(\"{name}\")"));
            assert!(compiled, "{name} is neither in tests/src/book.rs nor in tests/recipe.rs");
        }
    }
}

#[test]
fn every_setting_is_on_the_page_of_configuration() {
    let page = fs::read_to_string(Path::new(ROOT).join("book/src/configuration.md")).unwrap();
    for file in [
        "settings.rs",
        "pool/builder.rs",
        "pool/share.rs",
        "request/spool.rs",
        "serve/mod.rs",
        "serve/settings.rs",
        "proxies/mod.rs",
        "python/loader.rs",
    ] {
        let text = fs::read_to_string(Path::new(ROOT).join("gateway/src").join(file)).unwrap();
        let settings =
            text.lines().filter_map(|line| line.trim_start().strip_prefix("pub fn ")?.split_once("(mut self"));
        let names: Vec<&str> = settings.filter_map(|(name, _)| name.split('<').next()).collect();
        assert!(!names.is_empty(), "where are the settings of {file}?");
        for name in names {
            assert!(page.contains(&format!("| `{name}(")), "{name} of {file} is not in configuration.md");
        }
    }
}

#[test]
fn every_feature_is_on_its_page_and_in_the_docs() {
    let read = |file| fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let (manifest, page, docs) = (read("gateway/Cargo.toml"), read("book/src/features.md"), read("gateway/src/lib.rs"));
    let table = manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    let defaults = table.lines().find_map(|line| line.strip_prefix("default = ")).unwrap();
    let features = table.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    for name in features.filter(|name| *name != "default") {
        let row = format!("| `{name}` | {} |", if defaults.contains(&format!("\"{name}\"")) { "yes" } else { "no" });
        assert!(page.contains(&row), "features.md lacks {row}");
        assert!(docs.contains(&format!("//! {row}")), "lib.rs lacks {row}");
    }
}

#[test]
fn every_dependency_is_justified() {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let library = manifest.split("# ── the library").nth(1).and_then(|rest| rest.split("# ── tests").next()).unwrap();
    let mut justified = false;
    for line in library.lines().skip(1) {
        match line {
            line if line.starts_with('#') => justified = true,
            "" => justified = false,
            line => assert!(std::mem::take(&mut justified), "{line:?} has no comment that says why"),
        }
    }
}

/// How many rules each part of the contract has. They are numbered from 1.
const RULES: [(&str, usize); 18] = [
    ("ENV", 44),
    ("IN", 28),
    ("LOG", 12),
    ("SR", 33),
    ("WR", 16),
    ("IT", 22),
    ("END", 12),
    ("ERR", 17),
    ("DISC", 14),
    ("BP", 10),
    ("POOL", 26),
    ("HTTP", 22),
    ("SEC", 13),
    ("MNT", 16),
    ("FW", 8),
    ("EXT", 5),
    ("MAC", 8),
    ("PY", 18),
];

/// What no test can show, as it asks for documentation.
const WITHOUT_TEST: [&str; 2] = ["ERR-17", "DISC-11"];

#[test]
fn the_conformance_page_lists_every_rule_and_tests_that_cite_it() {
    let page = fs::read_to_string(Path::new(ROOT).join("book/src/conformance.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect::<Vec<_>>())
        .filter(|cells| cells.len() == 3 && cells[0].contains('-') && !cells[0].starts_with('-'))
        .collect();
    let listed: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
    let expected = RULES.iter().flat_map(|(part, count)| (1..=*count).map(move |number| format!("{part}-{number:02}")));
    assert_eq!(listed, expected.collect::<Vec<_>>());
    for cells in rows {
        let [rule, behaviour, shown] = cells[..] else { panic!("{cells:?}") };
        assert!(!behaviour.trim().is_empty(), "{rule} says nothing");
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        assert_eq!(tests.is_empty(), WITHOUT_TEST.contains(&rule), "{rule}: {shown}");
        for test in tests {
            let cited = citations(test).unwrap_or_else(|problem| panic!("{rule}: {problem}"));
            assert!(cited.iter().any(|known| known == rule), "{rule}: {test} cites {cited:?}");
        }
    }
}

/// The rules that a test cites, or those of its module if it cites none itself.
fn citations(test: &str) -> Result<Vec<String>, String> {
    let (module, name) = test.rsplit_once("::").ok_or(format!("{test} has no module"))?;
    let file = match module.split_once("::") {
        Some((target @ ("it" | "wire" | "python"), module)) => {
            format!("tests/{target}/{}.rs", module.replace("::", "/"))
        }
        Some(("gateway", module)) => format!("gateway/src/{}.rs", module.replace("::", "/")),
        None if module == "tidy" => "tests/tidy.rs".to_owned(),
        None if module == "ui" => "tests/ui/main.rs".to_owned(),
        _ => return Err(format!("{test} is in no place where tests are")),
    };
    let text = fs::read_to_string(Path::new(ROOT).join(&file)).map_err(|error| format!("{file}: {error}"))?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines
        .iter()
        .position(|line| line.trim_start_matches("async ").starts_with(&format!("fn {name}(")))
        .ok_or(format!("{file} has no {name}"))?;
    let above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .copied()
        .collect();
    if !above.iter().any(|line| line.starts_with("#[") && line.contains("test") || line.contains("proptest")) {
        return Err(format!("{name} in {file} is no test"));
    }
    let own = rules(&above.into_iter().rev().collect::<Vec<_>>().join(" "));
    let of_module =
        || rules(&lines.iter().take_while(|line| line.starts_with("//!")).copied().collect::<Vec<_>>().join(" "));
    Ok(if own.is_empty() { of_module() } else { own })
}

/// The rules in a text, with those between two that are joined by "to".
fn rules(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut range = false;
    for word in text.split([' ', ',', ':', '.', ';', '(', ')']).filter(|word| !word.is_empty()) {
        let rule = word.split_once('-').and_then(|(part, number)| Some((part, number.parse::<usize>().ok()?)));
        let Some((part, number)) = rule.filter(|(part, _)| RULES.iter().any(|(known, _)| known == part)) else {
            range = word == "to" && !found.is_empty();
            continue;
        };
        let first = match found.last().and_then(|last| last.rsplit_once('-')) {
            Some((_, last)) if range => last.parse::<usize>().map_or(number, |last| last + 1),
            _ => number,
        };
        found.extend((first..=number).map(|number| format!("{part}-{number:02}")));
        range = false;
    }
    found
}
