//! The tutorials and the recipes of the book: each test runs the commands of a page, and compares the output.
//!
//! A page that is one tutorial is read by a [`Reader`](reader::Reader):
//!
//! | block | what the reader does |
//! |---|---|
//! | `toml` | puts it into `Cargo.toml`, in the place of the section that it begins with |
//! | `rust` | puts each item into `src/main.rs`, in the place of the one of its name, or at the end |
//! | `console`, a line after `$` | types it; the lines below are its output, without `cargo`'s own messages |
//! | `console` with `$ cargo run` | stops the running program, and starts the current version |
//! | `console` without `$` | looks at the program's new output; `^C` stops the program, and waits for its end |
//!
//! A page of [recipes] has one program for each heading: its `rust` blocks, and those before the first heading. The
//! program runs before the commands of the recipe.
//!
//! In the expected output, `…` matches any text. The network is not used: the packages are those of the workspace, in
//! the versions of its `Cargo.lock`. Other blocks are not read.
#![cfg(unix)]

mod listing;
mod program;
mod reader;
mod recipes;

use reader::Reader;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The address in the pages. The tests replace it by a free port.
const ADDRESS: &str = "127.0.0.1:8000";
/// The path of the checkout in the pages.
const CHECKOUT: &str = "../gateway";

#[test]
fn the_page_getting_started_works() {
    Reader::new().read("start.md");
}

#[test]
fn the_tutorial_works() {
    Reader::new().read("tutorial.md");
}

#[test]
fn each_recipe_answers_as_its_page_says() {
    recipes::read("recipes.md");
}
