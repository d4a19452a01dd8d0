//! A reader who types a page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway_tests::{run, skip};

use crate::listing::{blocks, fits, items};
use crate::program::RunningProgram;
use crate::{ADDRESS, CHECKOUT, ROOT};

/// Does what a page says, in a folder of its own.
pub(crate) struct Reader {
    home: tempfile::TempDir,
    /// The working directory of the next command.
    pub(crate) folder: PathBuf,
    pub(crate) address: String,
    has_curl: bool,
    /// The items of `main.rs`, each with its name.
    items: Vec<(String, String)>,
    /// Whether a file was written and no command has used it yet.
    unproven: bool,
    pub(crate) server: Option<RunningProgram>,
}

impl Reader {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn read(mut self, page: &str) {
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

    pub(crate) fn write_manifest(&mut self, block: &str) {
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

    pub(crate) fn type_all(&mut self, block: &str) {
        if !block.starts_with("$ ") {
            let server = self.server.as_mut().expect("nothing runs that could print");
            return match block.strip_prefix("^C") {
                Some(last) => {
                    server.interrupt();
                    server.expect(last, &self.address);
                    if let Some(server) = self.server.take() {
                        server.end();
                    }
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

    pub(crate) fn type_in(&mut self, command: &str, output: &str) {
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
    pub(crate) fn command(&self, name: &str) -> Command {
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
