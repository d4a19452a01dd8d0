//! Rules for code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{ROOT, files};

/// The lines of code, without comments.
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

/// The declaration of threads in the first lines of a file.
fn threads(text: &str) -> Option<&str> {
    text.lines().take_while(|line| line.starts_with("//!")).find_map(|line| line.strip_prefix("//! Threads: "))
}

#[test]
fn every_file_says_which_threads_its_code_runs_on() {
    for (path, text) in files("gateway/src", "rs") {
        let is_root = path.ends_with("gateway/src/lib.rs");
        assert!(is_root || threads(&text).is_some(), "{} has no line `//! Threads: …`", path.display());
    }
}

#[test]
fn nothing_on_a_pool_thread_is_async() {
    let mut seen = 0;
    for (path, text) in files("gateway/src", "rs") {
        if !threads(&text).is_some_and(|threads| threads == "pool." || threads == "pool; blocks.") {
            continue;
        }
        seen += 1;
        for line in code(&text) {
            let words = ["async ", ".await", "tokio"];
            assert!(!words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
    }
    assert!(seen > 20, "only {seen} files are of a pool's threads");
}

/// BP-04.
#[test]
fn nothing_on_the_runtime_side_blocks() {
    let mut seen = 0;
    for (path, text) in files("gateway/src", "rs") {
        if !threads(&text).is_some_and(|threads| threads.starts_with("runtime")) {
            continue;
        }
        seen += 1;
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code(program) {
            let words = [".pull()", ".recv()", "thread::sleep", "block_on", "Condvar"];
            assert!(!words.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
    }
    assert!(seen > 30, "only {seen} files are of the runtime");
}

#[test]
fn every_file_is_on_the_map() {
    let map = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("| `gateway/src/")).collect();
    for (path, _) in files("gateway/src", "rs") {
        let path = path.to_string_lossy().replace('\\', "/");
        let path = path.split("gateway/src/").nth(1).unwrap();
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let name = name.trim_end_matches(".rs");
        if path == "lib.rs" || matches!(name, "mod" | "tests" | "loom_tests" | "fuzz_tests") {
            continue;
        }
        let top = folder.split('/').next().unwrap();
        let is_listed = rows.iter().any(|row| {
            let place = row.split('|').nth(1).unwrap();
            match top {
                "" => place.contains(&format!("{name}.rs`")),
                _ => place.contains(&format!("`gateway/src/{top}/`")) && row.contains(&format!("`{name}`")),
            }
        });
        let is_of_folder = folder.contains('/')
            && rows.iter().any(|row| row.contains(&format!("`{}/`", folder.rsplit('/').next().unwrap())));
        assert!(is_listed || is_of_folder, "gateway/src/{path} is not on the map of ARCHITECTURE.md");
    }
}

/// Panics of a subscriber or a recorder are caught at the call. All calls of each are in one file.
#[test]
fn one_file_calls_the_log_and_one_the_metrics() {
    for (path, text) in files("gateway/src", "rs") {
        let is = |name: &str| path.ends_with(format!("gateway/src/{name}"));
        for line in code(&text) {
            let calls_log = line.contains("tracing::");
            assert!(!calls_log || is("log.rs"), "{}: use `crate::log` instead: {line}", path.display());
            let words = ["counter!", "gauge!", "histogram!", "with_recorder(|"];
            let calls_metrics = words.iter().any(|word| line.contains(&format!("metrics::{word}")));
            assert!(!calls_metrics || is("observe/metrics.rs"), "{}: {line}", path.display());
        }
    }
    let metrics = fs::read_to_string(Path::new(ROOT).join("gateway/src/observe/metrics.rs")).unwrap();
    assert_eq!(metrics.matches("metrics::with_recorder(|").count(), 1, "all figures go through one `catch_panic`");
}

/// Both crates forbid it; with the feature `python`, one file may have it.
#[test]
fn one_file_has_unsafe_code() {
    let read = |file| fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    assert!(read("gateway-macros/src/lib.rs").contains("\n#![forbid(unsafe_code)]\n"));
    let root = read("gateway/src/lib.rs");
    for attribute in [r#"(not(feature = "python"), forbid(unsafe_code))"#, r#"(feature = "python", deny(unsafe_code))"#]
    {
        assert!(root.contains(&format!("\n#![cfg_attr{attribute}]\n")), "{attribute}");
    }
    let allows = |text: &str| code(text).any(|line| line.contains("unsafe_code") || line.contains("unsafe "));
    let having = files("gateway/src", "rs").into_iter().filter(|(_, text)| allows(text)).map(|(path, _)| path);
    let having: Vec<_> = having.filter(|path| !path.ends_with("gateway/src/lib.rs")).collect();
    assert!(having.len() == 1 && having[0].ends_with("gateway/src/python/ffi.rs"), "{having:?}");
}

/// The top-level folder or file of the library that contains an item of `crate::`.
fn top(name: &str, root_names: &BTreeMap<String, String>) -> String {
    root_names.get(name).map_or(name, String::as_str).to_owned()
}

/// The imports between folders have no cycle, not even an indirect one.
#[test]
fn no_folder_imports_what_imports_it() {
    // `pub use self::pool::stats::Stats` makes `crate::Stats` a part of `pool`.
    let root = fs::read_to_string(Path::new(ROOT).join("gateway/src/lib.rs")).unwrap();
    let mut root_names = BTreeMap::new();
    for path in root.lines().filter_map(|line| line.strip_prefix("pub use self::")?.strip_suffix(';')) {
        let (module, names) = path.rsplit_once("::").unwrap();
        let module = module.split("::").next().unwrap();
        for name in names.trim_matches(['{', '}']).split(", ") {
            root_names.insert(name.to_owned(), module.to_owned());
        }
    }
    assert!(root_names.len() > 30, "{root_names:?}");
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files("gateway/src", "rs") {
        let path = path.to_string_lossy().replace('\\', "/");
        let place = path.split("gateway/src/").nth(1).unwrap().trim_end_matches(".rs").split('/').next().unwrap();
        if place == "lib" {
            continue;
        }
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code(program) {
            for (at, found) in line.match_indices("crate::") {
                let rest = &line[at + found.len()..];
                let names: Vec<&str> = match rest.strip_prefix('{') {
                    Some(list) => {
                        list.split(['{', '}', ',']).map(|name| name.split("::").next().unwrap().trim()).collect()
                    }
                    None => vec![
                        rest.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap(),
                    ],
                };
                let tops = names.into_iter().filter(|name| !name.is_empty()).map(|name| top(name, &root_names));
                imports.entry(place.to_owned()).or_default().extend(tops.filter(|top| top != place));
            }
        }
    }
    // Removes the folders that import no remaining folder, and those that no remaining folder imports, until only
    // cycles are left.
    let mut left = imports;
    loop {
        let before = left.len();
        let there: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, of| of.iter().any(|other| there.contains(other)));
        let imported: BTreeSet<String> = left.values().flatten().cloned().collect();
        left.retain(|one, _| imported.contains(one));
        if left.len() == before {
            break;
        }
    }
    let there: BTreeSet<&String> = left.keys().collect();
    let circle: Vec<String> = left
        .iter()
        .flat_map(|(one, of)| {
            of.iter().filter(|other| there.contains(other)).map(move |other| format!("{one} -> {other}"))
        })
        .collect();
    assert!(circle.is_empty(), "these import each other in a circle: {circle:#?}");
}
