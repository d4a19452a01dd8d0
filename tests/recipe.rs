//! The tutorials of the book: each test runs the commands of a page, and compares the output.
//!
//! | block | what the reader does |
//! |---|---|
//! | `toml` | puts it into `Cargo.toml`, in the place of the section that it begins with |
//! | `rust` | puts each item into `src/main.rs`, in the place of the one of its name, or at the end |
//! | `console`, a line after `$` | types it; the lines below are its output, without `cargo`'s own messages |
//! | `console` with `$ cargo run` | stops the running program, and starts the current version |
//! | `console` without `$` | looks at the program's new output; `^C` stops the program |
//!
//! In the expected output, `…` matches any text. The network is not used: the packages are those of the workspace, in
//! the versions of its `Cargo.lock`. Other blocks are not read.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use gateway_tests::{BOUND, lines, run, skip};
use rustix::process::{Pid, Signal, kill_process};

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

struct Reader {
    home: tempfile::TempDir,
    /// The working directory of the next command.
    folder: PathBuf,
    address: String,
    has_curl: bool,
    /// The items of `main.rs`, each with its name.
    items: Vec<(String, String)>,
    /// Whether a file was written and no command has used it yet.
    unproven: bool,
    server: Option<RunningProgram>,
}

impl Reader {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // Terminals have this by default.
        fs::write(home.path().join(".curlrc"), "no-progress-meter\n").unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let has_curl = run(Command::new("sh").args(["-c", "curl --version"])).0.success();
        if !has_curl {
            skip("the requests of the recipes", "there is no curl; the programs are compiled and tested alone");
        }
        Self {
            folder: home.path().to_owned(),
            home,
            address: free.local_addr().unwrap().to_string(),
            has_curl,
            items: Vec::new(),
            unproven: false,
            server: None,
        }
    }

    fn read(mut self, page: &str) {
        let text = fs::read_to_string(Path::new(ROOT).join("book/src").join(page)).unwrap();
        let mut kinds = Vec::new();
        for (kind, block) in blocks(&text) {
            match kind {
                "toml" => self.write_manifest(block),
                "rust" => self.write_program(block),
                "console" => self.type_all(block),
                _ => continue,
            }
            kinds.push(kind);
        }
        for kind in ["toml", "rust", "console"] {
            assert!(kinds.contains(&kind), "{page} has no {kind}");
        }
        assert!(!self.unproven, "{page} ends with code that is never run");
    }

    fn write_manifest(&mut self, block: &str) {
        let path = self.folder.join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        let (section, _) = block.split_once('\n').unwrap();
        let before = manifest.split(section).next().unwrap();
        let root = fs::canonicalize(ROOT).unwrap();
        fs::write(path, format!("{before}{block}").replace(CHECKOUT, root.to_str().unwrap())).unwrap();
    }

    fn write_program(&mut self, block: &str) {
        let path = self.folder.join("src/main.rs");
        if self.items.is_empty() {
            self.items = items(&fs::read_to_string(&path).unwrap());
        }
        for (name, item) in items(block) {
            match self.items.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = item,
                None if name == "use" => self.items.insert(0, (name, item)),
                None => self.items.push((name, item)),
            }
        }
        let texts: Vec<&str> = self.items.iter().map(|(_, item)| item.as_str()).collect();
        fs::write(path, texts.join("\n").replace(ADDRESS, &self.address)).unwrap();
        self.unproven = true;
    }

    fn type_all(&mut self, block: &str) {
        if !block.starts_with("$ ") {
            let server = self.server.as_mut().expect("nothing runs that could print");
            return match block.strip_prefix("^C") {
                Some(last) => {
                    server.interrupt();
                    server.expect(last, &self.address);
                    self.server = None;
                }
                None if self.has_curl => server.expect(block, &self.address),
                None => {}
            };
        }
        for typed in block.split("$ ").skip(1) {
            let (command, output) = typed.split_once('\n').unwrap_or((typed, ""));
            self.type_in(command, output);
        }
    }

    fn type_in(&mut self, command: &str, output: &str) {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.folder.push(folder);
        } else if command == "cargo run" {
            self.type_in("cargo build", "");
            // The previous program is stopped first, because it uses the address.
            self.server = None;
            // Cargo executes the program in its own process, so the signal stops the program.
            let mut server = RunningProgram::start(self.command("cargo").args(["run", "--quiet"]));
            server.expect(output, &self.address);
            self.server = Some(server);
        } else if command.starts_with("cargo ") {
            self.unproven = false;
            let (status, printed, said) = run(self.command("sh").args(["-c", command]));
            assert!(status.success() && !said.contains("warning:"), "{command}\n{said}{printed}");
            assert!(fits(output.trim(), printed.trim()), "{command}\nprints\n{printed}\nand the page says\n{output}");
        } else if self.has_curl || command.starts_with("cp ") {
            let root = fs::canonicalize(ROOT).unwrap();
            let script = command.replace(CHECKOUT, root.to_str().unwrap()).replace(ADDRESS, &self.address);
            let (_, printed, _) = run(self.command("sh").args(["-c", &format!("exec 2>&1; {script}")]));
            let printed = printed.replace(&self.address, ADDRESS);
            assert!(fits(output.trim(), printed.trim()), "{command}\nprints\n{printed}\nand the page says\n{output}");
        }
    }

    /// A command in this machine's environment, but without a network.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(&self.folder).env("CURL_HOME", self.home.path()).env_remove("RUST_LOG").envs([
            ("CARGO_NET_OFFLINE", "true"),
            ("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/recipe")),
            ("CARGO_TERM_COLOR", "never"),
            ("NO_COLOR", "1"),
            // Incremental compilation and debug information take half of the time of a build.
            ("CARGO_INCREMENTAL", "0"),
            ("CARGO_PROFILE_DEV_DEBUG", "0"),
        ]);
        command
    }
}

/// The program that the reader has started.
struct RunningProgram {
    child: Child,
    lines: Receiver<String>,
    /// The output since the reader's last look.
    printed: String,
}

impl RunningProgram {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, lines, printed: String::new() }
    }

    /// Waits until the program has printed this output, after any other output.
    fn expect(&mut self, output: &str, address: &str) {
        let pattern = format!("…{}", output.trim());
        while !fits(&pattern, self.printed.trim_end()) {
            let Ok(line) = self.lines.recv_timeout(BOUND) else {
                panic!("the program prints\n{}\nand the page says\n{output}", self.printed);
            };
            self.printed += &line.replace(address, ADDRESS);
            self.printed.push('\n');
        }
        self.printed.clear();
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fenced blocks of a page: the kind and the text of each.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

/// The items of a listing, each with its name: an item begins in the first column after an empty line. All `use`s are
/// one item.
fn items(listing: &str) -> Vec<(String, String)> {
    let mut items: Vec<(String, String)> = Vec::new();
    let mut item = String::new();
    for line in listing.lines().chain(["", "end"]) {
        let begins = item.ends_with("\n\n") && !line.is_empty() && !line.starts_with(' ');
        if begins {
            let name = name(&item);
            match items.last_mut() {
                Some((last, uses)) if last == "use" && name == "use" => uses.push_str(&item),
                _ => items.push((name, std::mem::take(&mut item))),
            }
            item.clear();
        }
        item.push_str(line);
        item.push('\n');
    }
    items
}

/// `fn app`, `impl Shelf`, `mod tests`.
fn name(item: &str) -> String {
    let line = item.lines().find(|line| !line.starts_with("//") && !line.starts_with("#[")).unwrap_or_default();
    if line.starts_with("use ") {
        return "use".to_owned();
    }
    let head = line.split(['(', '{', '<', ':', ';']).next().unwrap_or_default();
    head.trim().trim_start_matches("async ").to_owned()
}

/// Whether a text matches a pattern, in which `…` matches any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}
