//! A page of recipes.

use std::fs;
use std::path::Path;

use crate::listing::blocks;
use crate::program::RunningProgram;
use crate::reader::Reader;
use crate::{ADDRESS, ROOT};

/// One recipe: its listing, and its commands with their output.
struct Recipe<'p> {
    heading: &'p str,
    listing: String,
    consoles: Vec<&'p str>,
    reader: Reader,
}

impl<'p> Recipe<'p> {
    fn new(section: &'p str) -> Self {
        let (heading, text) = section.split_once('\n').unwrap();
        let of_kind = |wanted| blocks(text).filter(move |(kind, _)| *kind == wanted).map(|(_, block)| block);
        let (listing, consoles) = (of_kind("rust").collect::<String>(), of_kind("console").collect::<Vec<_>>());
        assert!(!listing.is_empty() && !consoles.is_empty(), "{heading} has no program, or no command");
        Self { heading, listing, consoles, reader: Reader::new() }
    }

    /// `work_after_the_response`
    fn name(&self) -> String {
        self.heading.to_lowercase().replace(['-', ' '], "_")
    }
}

/// Compiles the recipes of a page as one program, each as a module, because they share their dependencies and their
/// `main`. Then runs the program once for each recipe, in a folder of its own, and types the commands of the recipe.
pub(crate) fn read(page: &str) {
    let text = fs::read_to_string(Path::new(ROOT).join("book/src").join(page)).unwrap();
    let (start, rest) = text.split_once("\n## ").unwrap();
    let mut recipes: Vec<Recipe<'_>> = rest.split("\n## ").map(Recipe::new).collect();

    let mut package = Reader::new();
    package.type_all("$ cargo new recipes\n$ cd recipes\n$ cp ../gateway/Cargo.lock .\n");
    let (mut modules, mut calls, mut shared) = (String::new(), String::new(), String::new());
    for (kind, block) in blocks(start) {
        match kind {
            "toml" => package.write_manifest(block),
            "rust" => shared += block,
            _ => {}
        }
    }
    for recipe in &recipes {
        let (name, listing, address) = (recipe.name(), &recipe.listing, &recipe.reader.address);
        let module = format!("{listing}{shared}pub fn run() {{ main().unwrap(); }}").replace(ADDRESS, address);
        modules += &format!("mod {name} {{\n{module}\n}}\n");
        calls += &format!("Some(\"{name}\") => {name}::run(),\n");
    }
    let main = format!("fn main() {{ match std::env::args().nth(1).as_deref() {{ {calls} _ => unreachable!() }} }}");
    fs::write(package.folder.join("src/main.rs"), format!("{modules}{main}\n")).unwrap();
    package.type_all("$ cargo build\n");

    for recipe in &mut recipes {
        let (name, reader) = (recipe.name(), &mut recipe.reader);
        // Below the package, so that cargo finds it.
        reader.folder = package.folder.join(&name);
        fs::create_dir(&reader.folder).unwrap();
        let mut server = RunningProgram::start(reader.command("cargo").args(["run", "--quiet", "--", &name]));
        server.expect(&format!("listening on http://{ADDRESS}"), &reader.address);
        reader.server = Some(server);
        for console in &recipe.consoles {
            reader.type_all(console);
        }
        reader.server = None;
    }
    assert!(recipes.len() > 10, "{page} has only {} recipes", recipes.len());
}
