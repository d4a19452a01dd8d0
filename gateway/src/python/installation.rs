//! The installation of Python that the interpreter's library belongs to.
//!
//! Threads: the program's.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::python::ffi;

/// The minor version of the library that this program is linked with, such as 3.11. `python3.11` is the name of its
/// executable and of its folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: u8,
    pub(super) minor: u8,
    /// It has no global lock. Such a build has folders of its own.
    is_free_threaded: bool,
}

impl Version {
    /// That of the library.
    pub(super) fn linked() -> Self {
        // "3.13.0 experimental free-threading build (main, …) [GCC …]"
        let text = ffi::version();
        let (major, minor) = Self::parse(&text).unwrap_or_default();
        Self { major, minor, is_free_threaded: text.contains("free-threading") }
    }

    /// The first two numbers of a text such as `3.11.2.final.0`.
    pub(super) fn parse(text: &str) -> Option<(u8, u8)> {
        let mut numbers = text.split(|character: char| !character.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// The name of the executable, and of the folder of the standard library.
    pub(super) fn name(self) -> String {
        let Self { major, minor, is_free_threaded } = self;
        format!("python{major}.{minor}{}", if is_free_threaded { "t" } else { "" })
    }

    /// The innermost folder around `place` that has the standard library of this version below it, found as CPython
    /// finds it from its executable (`Modules/getpath.py`).
    pub(super) fn prefix_around(self, place: &Path) -> Option<PathBuf> {
        let has_library = |folder: &&Path| {
            ["lib", "lib64"].iter().any(|platform| folder.join(platform).join(self.name()).join("os.py").is_file())
        };
        place.ancestors().find(has_library).map(Path::to_owned)
    }
}

/// As in "Python 3.11".
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// An installation, such as `/usr` and `/usr/bin/python3.11`.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) prefix: PathBuf,
    pub(super) executable: PathBuf,
}

impl Installation {
    /// The installation that has the library's file. `None` if the interpreter is linked statically: then its library
    /// is this program.
    pub(super) fn of_library() -> Option<Self> {
        let library = ffi::library()?.canonicalize().ok()?;
        if std::env::current_exe().and_then(|program| program.canonicalize()).is_ok_and(|program| program == library) {
            return None;
        }
        let executable = |prefix: &Path| prefix.join("bin").join(Version::linked().name());
        let prefix = library.ancestors().skip(1).find(|prefix| executable(prefix).is_file())?;
        Some(Self { prefix: prefix.to_owned(), executable: executable(prefix) })
    }
}
