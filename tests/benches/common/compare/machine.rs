//! The machine and the versions with which the figures were measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};

/// The machine, as its operating system describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let kilobytes = field("/proc/meminfo", "MemTotal").split(' ').next().and_then(|size| size.parse().ok());
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kilobytes.map_or(0.0, |size: f64| (size / f64::from(1 << 20) * 10.0).round() / 10.0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// The first value of a name in a file of names and values.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values
        .filter(|(known, _)| known.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
        .next()
        .unwrap_or_default()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The versions of the compiler, and of the packages in `Cargo.lock`.
pub(crate) fn versions(packages: &[&str]) -> BTreeMap<String, String> {
    let lock = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"));
    let mut versions = BTreeMap::new();
    for &package in packages {
        let entries = lock.split("[[package]]\n").filter(|entry| entry.starts_with(&format!("name = \"{package}\"\n")));
        // If a package has several versions, the newest is the last, and is the direct dependency.
        let version = entries.last().and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
        versions.insert(package.to_owned(), version.unwrap_or("unknown").to_owned());
    }
    versions.insert("rustc".to_owned(), say("rustc", &["--version"]).trim_start_matches("rustc ").to_owned());
    versions
}

/// Today's date as year, month and day.
pub(crate) fn date() -> String {
    say("date", &["-u", "+%Y-%m-%d"])
}

fn say(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
