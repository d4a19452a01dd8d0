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
fn the_readme_of_the_examples_lists_each_of_them() {
    let index = fs::read_to_string(Path::new(ROOT).join("examples/README.md")).unwrap();
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        if path.extension().is_some_and(|extension| extension == "rs") {
            assert!(index.contains(&format!("`{name}`")), "{name} is not in examples/README.md");
        }
    }
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_in_the_doctests() {
    let summary = fs::read_to_string(Path::new(ROOT).join("book/src/SUMMARY.md")).unwrap();
    let doctests = fs::read_to_string(Path::new(ROOT).join("tests/src/book.rs")).unwrap();
    for (path, text) in files("book/src", "md") {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        if name == "SUMMARY.md" {
            continue;
        }
        assert!(summary.contains(&format!("]({name})")), "{name} is not in SUMMARY.md");
        if text.contains("```rust") {
            assert!(doctests.contains(&format!("/book/src/{name}")), "{name} is not in tests/src/book.rs");
        }
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
