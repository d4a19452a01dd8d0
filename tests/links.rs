//! Every link of the guide, the READMEs and ARCHITECTURE.md is valid: the file exists, and so does the heading in it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The other pages that are checked, beside those of the guide.
const OTHERS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "tests/README.md",
    "tests/benches/NOTES.md",
];

/// One Markdown file: its links, and the anchors that other files may link to.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    pictures: Vec<(String, String)>,
    ids: HashSet<String>,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(&with_includes(&text, path))
    }

    /// Parses a page with the extensions of mdBook.
    fn parse(text: &str) -> Self {
        let extensions = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_HEADING_ATTRIBUTES;
        let (mut page, mut times) = (Self::default(), HashMap::new());
        // The text of the current heading or image, if there is one.
        let mut open: Option<String> = None;
        let mut own_id = None;
        let mut source = String::new();
        for event in Parser::new_ext(text, extensions) {
            match event {
                Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.into_string()),
                Event::Start(Tag::Image { dest_url, .. }) => {
                    source = dest_url.into_string();
                    open = Some(String::new());
                }
                Event::End(TagEnd::Image) => {
                    page.pictures.push((std::mem::take(&mut source), open.take().unwrap_or_default()));
                }
                Event::Start(Tag::Heading { id, .. }) => {
                    own_id = id.map(|id| id.into_string());
                    open = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    let content = open.take().unwrap_or_default();
                    page.ids.insert(unique(own_id.take().unwrap_or_else(|| id(&content)), &mut times));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(content) = &mut open {
                        content.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// The id that mdBook gives to a heading. GitHub's id is the same for all headings that are linked to.
fn id(content: &str) -> String {
    let kept = |letter: char| match letter {
        letter if letter.is_alphanumeric() || letter == '_' || letter == '-' => Some(letter),
        letter if letter.is_whitespace() => Some('-'),
        _ => None,
    };
    content.trim().to_lowercase().chars().filter_map(kept).collect()
}

/// The second heading with the same text gets the suffix `-1`, and so on.
fn unique(id: String, times: &mut HashMap<String, usize>) -> String {
    let before = times.entry(id.clone()).and_modify(|times| *times += 1).or_insert(0);
    if *before == 0 { id } else { format!("{id}-{before}") }
}

/// A page with its includes.
fn with_includes(text: &str, path: &Path) -> String {
    let lines =
        text.lines().map(|line| match line.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}")) {
            Some(part) => {
                fs::read_to_string(path.with_file_name(part)).unwrap_or_else(|error| panic!("{part}: {error}"))
            }
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

fn pages() -> Vec<PathBuf> {
    let book = fs::read_dir(Path::new(ROOT).join("book/src")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = book.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    assert!(pages.len() > 10, "where is the guide?");
    pages.extend(OTHERS.map(|other| Path::new(ROOT).join(other)));
    pages.sort();
    pages
}

/// The error in a link from this page, if there is one.
fn problem(link: &str, from: &Path, own: &Page) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { from.to_owned() } else { from.with_file_name(file) };
    if !target.exists() {
        return Some(format!("there is no {}", target.display()));
    }
    let heading = heading?;
    let there = if file.is_empty() { own.ids.contains(heading) } else { Page::read(&target).ids.contains(heading) };
    (!there).then(|| format!("{} has no heading with the id {heading}", target.display()))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let mut problems = Vec::new();
    for path in pages() {
        let page = Page::read(&path);
        for link in page.links.iter().chain(page.pictures.iter().map(|(source, _)| source)) {
            problems
                .extend(problem(link, &path, &page).map(|problem| format!("{}: {link}: {problem}", path.display())));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_picture_says_what_it_shows() {
    let mut pictures = 0;
    for path in pages() {
        for (source, says) in Page::read(&path).pictures {
            assert!(!says.trim().is_empty(), "{}: {source} has no text in its place", path.display());
            pictures += 1;
        }
    }
    assert!(pictures > 0, "where are the pictures?");
}

#[test]
fn every_picture_is_shown_somewhere() {
    let shown: HashSet<String> =
        pages().iter().flat_map(|path| Page::read(path).pictures).map(|(source, _)| source).collect();
    for entry in fs::read_dir(Path::new(ROOT).join("book/src/pictures")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(shown.contains(&format!("pictures/{name}")), "{name} is on no page");
    }
}

/// Each message of the macro is on the page of the attribute, with the same text, below the heading that it names.
#[test]
fn every_message_of_the_macro_is_explained() {
    let messages = fs::read_to_string(Path::new(ROOT).join("gateway-macros/src/diagnostics.rs")).unwrap();
    let path = Path::new(ROOT).join("book/src/macro.md");
    let (page, ids) = (fs::read_to_string(&path).unwrap(), Page::read(&path).ids);
    let table = messages.split("messages! {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let texts: Vec<(&str, &str)> = table.lines().filter_map(|line| line.trim().split_once(": \"")).collect();
    assert!(texts.len() > 10, "where are the messages? {texts:?}");
    for (name, text) in texts {
        let text = text.trim_end_matches("\";");
        assert!(page.contains(&format!("error: {text}\n")), "macro.md does not explain: {text}");
        assert!(ids.contains(&name.replace('_', "-")), "macro.md has no heading for {name}");
    }
}

/// The compiler's output links to that page, too.
#[test]
fn every_reference_in_a_message_leads_somewhere() {
    let root = Path::new(ROOT).join("README.md");
    let mut found = 0;
    for entry in fs::read_dir(Path::new(ROOT).join("tests/ui/fail")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "stderr") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                let Some(link) = line.split_once("see book/").and_then(|(_, rest)| rest.split(' ').next()) else {
                    continue;
                };
                found += 1;
                let problem = problem(&format!("book/{link}"), &root, &Page::default());
                assert_eq!(problem, None, "{}", path.display());
            }
        }
    }
    assert!(found > 20, "only {found} messages say where to read on");
}

#[test]
fn a_broken_link_is_found() {
    let page = Page::parse("# `a` b_c?\n\n## Same\n\n## Same\n\n[x](#a-b_c) [y](#same-1) [z](#same-2) [w](none.md)");
    let from = Path::new(ROOT).join("README.md");
    let found = page.links.iter().map(|link| problem(link, &from, &page).is_some()).collect::<Vec<_>>();
    assert_eq!(found, [false, false, true, true]);
}
