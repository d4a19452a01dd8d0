//! The virtual environment with the servers and Flask.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The packages whose versions are reported.
const NAMED: [&str; 10] =
    ["bjoern", "cheroot", "FastWSGI", "Flask", "granian", "gunicorn", "Twisted", "uWSGI", "waitress", "Werkzeug"];

/// Prints the version of the interpreter, and the versions of the packages in the arguments.
const ASK: &str = "
import importlib.metadata, platform, sys
print('CPython', platform.python_version())
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
";

/// A virtual environment with the packages of `requirements.txt`.
pub(crate) struct Environment {
    pub(crate) folder: PathBuf,
    versions: BTreeMap<String, String>,
}

impl Environment {
    pub(crate) fn find(folder: &Path, requirements: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(requirements).with_context(|| requirements.display().to_string())?;
        let wanted: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once("==")).collect();
        let found = ask(&folder.join("bin/python"), &wanted).unwrap_or_default();
        let wrong: Vec<&str> = wanted
            .iter()
            .filter(|(name, version)| found.get(**name).is_none_or(|found| found != *version))
            .map(|(name, _)| *name)
            .collect();
        if !wrong.is_empty() {
            let (folder, requirements) = (folder.display(), requirements.display());
            bail!(
                "the servers are missing, or have other versions ({}); with the Python that the gateway is built for:\n\
                 python3 -m venv {folder} && {folder}/bin/pip install -r {requirements}",
                wrong.join(", ")
            );
        }
        Ok(Self { folder: folder.to_owned(), versions: found })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The versions of the interpreter and of the servers' packages.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let mut versions = self.versions.clone();
        versions.retain(|name, _| name == "CPython" || NAMED.contains(&name.as_str()));
        versions
    }
}

fn ask(python: &Path, wanted: &BTreeMap<&str, &str>) -> Option<BTreeMap<String, String>> {
    let mut command = Command::new(python);
    command.args(["-c", ASK]).args(wanted.keys()).stdin(Stdio::null());
    let text = String::from_utf8(command.output().ok()?.stdout).ok()?;
    Some(
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, version)| (name.into(), version.into()))
            .collect(),
    )
}
