//! The conformance page: one row for each rule, with the tests that cite it.

use std::fs;
use std::path::Path;

use crate::ROOT;

/// The number of rules in each part of the contract. They are numbered from 1.
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
    ("FW", 14),
    ("EXT", 5),
    ("MAC", 9),
    ("PY", 18),
];

/// Rules that require documentation, so that no test can check them.
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

/// The rules that a test cites, or the rules of its module if the test cites none.
fn citations(test: &str) -> Result<Vec<String>, String> {
    let (module, name) = test.rsplit_once("::").ok_or(format!("{test} has no module"))?;
    let file = match module.split_once("::") {
        Some((target @ ("it" | "wire" | "python" | "tidy"), module)) => {
            format!("tests/{target}/{}.rs", module.replace("::", "/"))
        }
        Some(("gateway", module)) => format!("gateway/src/{}.rs", module.replace("::", "/")),
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

/// The rules in a text, including the rules of a range that is written with "to".
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
