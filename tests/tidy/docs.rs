//! Rules for the guide, the examples, the messages and the manifest.

use std::fs;
use std::path::Path;

use crate::{ROOT, files};

/// The maximum number of columns in a line of prose. Tables and code may be wider.
const COLUMNS: usize = 120;

/// Comments in code, and the pages of the guide.
#[test]
fn no_line_of_prose_is_wider_than_120_columns() {
    let mut texts = Vec::new();
    for folder in ["gateway", "gateway-macros", "tests", "examples"] {
        texts.extend(files(folder, "rs"));
    }
    for folder in ["book/src", "tests", "examples"] {
        texts.extend(files(folder, "md"));
    }
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
        texts.push((page.into(), fs::read_to_string(Path::new(ROOT).join(page)).unwrap()));
    }
    let mut wide = Vec::new();
    for (path, text) in &texts {
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        let mut is_code = false;
        for (at, line) in text.lines().enumerate() {
            let prose = match line.trim_start() {
                comment if !is_page => match comment.strip_prefix("//") {
                    Some(prose) => prose.trim_start_matches(['/', '!']),
                    None => {
                        is_code = false;
                        continue;
                    }
                },
                prose => prose,
            };
            if prose.trim_start().starts_with("```") {
                is_code = !is_code;
            }
            let is_table = prose.trim_start().starts_with('|');
            if !is_code && !is_table && line.chars().count() > COLUMNS {
                wide.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    }
    assert!(texts.len() > 300, "only {} files", texts.len());
    assert!(wide.is_empty(), "{wide:#?}");
}

/// Wider code would need a scroll bar in a window of 1280 pixels: see `book/theme/layout.css`. Other blocks wrap.
#[test]
fn no_code_of_the_book_is_wider_than_120_columns() {
    let mut wide = Vec::new();
    let mut blocks = 0;
    for (path, text) in files("book/src", "md") {
        let mut is_rust = false;
        for (at, line) in text.lines().enumerate() {
            if let Some(kind) = line.trim_start().strip_prefix("```") {
                is_rust = kind.starts_with("rust");
                blocks += usize::from(is_rust);
            }
            let is_hidden = line.starts_with("# ");
            if is_rust && !is_hidden && line.chars().count() > COLUMNS {
                wide.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    }
    assert!(blocks > 100, "only {blocks} blocks");
    assert!(wide.is_empty(), "{wide:#?}");
}

/// An example, and the listings in the README and on the first page, shut down on a signal, and have a log that cannot
/// block them.
#[test]
fn every_program_that_is_there_to_be_copied_stops_on_signals() {
    let mut programs = files("examples", "rs");
    for page in ["README.md", "book/src/start.md", "book/src/tutorial.md", "book/src/recipes.md", "book/src/python.md"]
    {
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

/// Every reason for the end of a process on the reliability page is also in the policy, and readers find it.
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

/// Lines of code, without tests, comments and empty lines.
#[test]
fn the_api_of_the_examples_is_no_longer_than_the_same_in_axum() {
    let lines = |file: &str| {
        let text = fs::read_to_string(Path::new(ROOT).join("examples").join(file)).unwrap();
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        program.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    };
    let (gateway, axum) = (lines("api.rs"), lines("api_axum.rs"));
    assert!(gateway > 100 && gateway <= axum, "{gateway} lines, and {axum} with axum");
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_its_code_is_compiled() {
    let summary = fs::read_to_string(Path::new(ROOT).join("book/src/SUMMARY.md")).unwrap();
    let doctests = fs::read_to_string(Path::new(ROOT).join("tests/src/book.rs")).unwrap();
    // The pages whose listings the recipe test types and runs.
    let typed = fs::read_to_string(Path::new(ROOT).join("tests/recipe/main.rs")).unwrap();
    let pages = files("book/src", "md");
    for (path, text) in &pages {
        let name = path.strip_prefix(Path::new(ROOT).join("book/src")).unwrap().to_str().unwrap();
        if name == "SUMMARY.md" {
            continue;
        }
        // A file in a folder is a part of a page.
        if name.contains('/') {
            let include = format!("{{{{#include {name}}}}}");
            assert!(pages.iter().any(|(_, page)| page.contains(&include)), "no page includes {name}");
            continue;
        }
        assert!(summary.contains(&format!("]({name})")), "{name} is not in SUMMARY.md");
        if text.contains("```rust") {
            let compiled =
                doctests.contains(&format!("/book/src/{name}")) || typed.contains(&format!("read(\"{name}\")"));
            assert!(compiled, "{name} is neither in tests/src/book.rs nor in tests/recipe/main.rs");
        }
    }
}

#[test]
fn every_setting_is_on_the_page_of_configuration() {
    let page = fs::read_to_string(Path::new(ROOT).join("book/src/configuration.md")).unwrap();
    for file in [
        "service/setters.rs",
        "pool/builder.rs",
        "pool/share.rs",
        "body/spool.rs",
        "serve/mod.rs",
        "serve/settings.rs",
        "proxies/mod.rs",
        "python/loader.rs",
        "python/interpreter.rs",
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
fn every_variable_is_on_the_page_of_the_request_and_the_other_way_round() {
    let read = |file| fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let (page, table) = (read("book/src/request.md"), read("gateway/src/environ/variables.rs"));
    let entries = table.split("\nvariables! {").nth(1).unwrap().lines().filter_map(|line| line.strip_prefix("    \""));
    let names = entries.filter_map(|entry| entry.split('"').next());
    let mut known: Vec<&str> = names.chain(["HTTP_…", "SSL_…"]).collect();
    let rows = page.split("| variable | typed |").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let mut documented: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    known.sort_unstable();
    documented.sort_unstable();
    assert_eq!(documented, known);
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
