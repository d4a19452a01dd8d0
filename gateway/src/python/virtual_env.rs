//! Virtual environments (PEP 405), whether `venv`, `virtualenv` or `uv` has made them.
//!
//! Threads: the program's; blocks.

use std::fs;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::python::LoadError;
use crate::python::installation::{Installation, Version};

/// A virtual environment for the version of Python that this program is linked with.
#[derive(Debug)]
pub(super) struct VirtualEnv {
    pub(super) folder: PathBuf,
    /// Its interpreter, which `sys.executable` names.
    pub(super) executable: PathBuf,
    packages: PathBuf,
    /// The folder of the interpreter that it was made with.
    home: Option<PathBuf>,
}

impl VirtualEnv {
    /// The environment in this folder, or in the present folder if the path is relative.
    pub(super) fn find(folder: &Path) -> Result<Self, LoadError> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let version = Version::linked();
        let refused = |reason: String| {
            let python = Installation::of_library()
                .map_or_else(|| version.name(), |installation| installation.executable.display().to_string());
            LoadError::new(format!(
                "{folder} is no virtual environment for Python {version}, which this program is linked with: {reason}; \
                 `{python} -m venv NAME` makes one",
                folder = folder.display()
            ))
        };
        let file = folder.join("pyvenv.cfg");
        let text = fs::read_to_string(&file).map_err(|error| refused(format!("{}: {error}", file.display())))?;
        // `venv` writes the key `version`, `uv` writes `version_info`, and `virtualenv` both.
        let its_version = value(&text, "version_info").or_else(|| value(&text, "version"));
        if let Some(its_version) = its_version
            && Version::parse(its_version) != Some((version.major, version.minor))
        {
            return Err(refused(format!("it is one for Python {its_version}")));
        }
        let packages = folder.join("lib").join(version.name()).join("site-packages");
        if !packages.is_dir() {
            return Err(refused(format!("there is no {}", packages.display())));
        }
        let executable = folder.join("bin/python");
        if !executable.is_file() {
            return Err(refused(format!("{} is missing, or a link to a missing file", executable.display())));
        }
        let home = value(&text, "home").map(PathBuf::from);
        Ok(Self { folder, executable, packages, home })
    }

    /// Whether CPython would find the standard library of another installation by the `home` of the environment, or
    /// none at all. The minor version is the same, but not the C code that the library belongs to.
    pub(super) fn has_other_library(&self, installation: &Installation) -> bool {
        let home = self.home.as_ref().and_then(|home| home.canonicalize().ok());
        let its_prefix = home.and_then(|home| Version::linked().prefix_around(&home));
        its_prefix.is_none_or(|prefix| prefix != installation.prefix)
    }

    /// Whether the interpreter runs in this environment.
    pub(super) fn is_in_use(&self, py: Python<'_>) -> PyResult<bool> {
        let prefix: PathBuf = py.import("sys")?.getattr("prefix")?.extract()?;
        // The paths may differ in links.
        let same = |prefix: PathBuf| Some(prefix.canonicalize().ok()? == self.folder.canonicalize().ok()?);
        Ok(same(prefix).unwrap_or(false))
    }

    /// Adds the packages of the environment to a running interpreter. If it runs in no environment, `sys.prefix` and
    /// `sys.executable` become those of this one.
    pub(super) fn add(&self, py: Python<'_>) -> PyResult<()> {
        let sys = py.import("sys")?;
        let search_path = sys.getattr("path")?.cast_into::<PyList>()?;
        let before: Vec<String> = search_path.extract()?;
        // `addsitedir` reads `.pth` files. It runs Python, so other threads may import meanwhile: the path must keep
        // its entries at every step.
        py.import("site")?.call_method1("addsitedir", (self.packages.as_os_str(),))?;
        // Its packages take precedence over the system's.
        let (added, others): (Vec<String>, Vec<String>) =
            search_path.extract::<Vec<String>>()?.into_iter().partition(|entry| !before.contains(entry));
        let whole = PyList::new(py, added.into_iter().chain(others))?;
        search_path.set_slice(0, search_path.len(), &whole)?;
        if sys.getattr("prefix")?.eq(sys.getattr("base_prefix")?)? {
            sys.setattr("prefix", self.folder.as_os_str())?;
            sys.setattr("exec_prefix", self.folder.as_os_str())?;
            sys.setattr("executable", self.executable.as_os_str())?;
        }
        Ok(())
    }
}

/// The value of a key in the text of `pyvenv.cfg`, read as CPython's `site` reads it.
fn value<'t>(text: &'t str, wanted: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        key.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}
