//! Watches the files of an application during development.
//!
//! It compares times of modification, because a shared folder of a virtual machine or a container reports no events.
//! It watches folders instead of the modules that are loaded: a module that could not be loaded is no module, and the
//! parent runs no Python that could list them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

/// The pause between two scans is at least this long, and ten times as long as a scan.
const PAUSE: Duration = Duration::from_millis(400);

/// Files that are written together, as by `git checkout`, count as one change: the scan is repeated after this time
/// until it finds no further change.
const SETTLE: Duration = Duration::from_millis(100);

/// The time of modification and the length of each file.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Reports a path whenever Python files below the folders have changed, appeared or disappeared. A thread scans them
/// for the life of the process.
pub(crate) fn watch(folders: Vec<PathBuf>) -> io::Result<mpsc::Receiver<PathBuf>> {
    let (sender, changes) = mpsc::channel(1);
    let mut known = scan(&folders);
    thread::Builder::new().name("reload".to_owned()).spawn(move || {
        let mut pause = PAUSE;
        loop {
            thread::sleep(pause);
            let begun = Instant::now();
            let mut files = scan(&folders);
            pause = PAUSE.max(begun.elapsed() * 10);
            let Some(changed) = difference(&known, &files) else { continue };
            loop {
                thread::sleep(SETTLE);
                let again = scan(&folders);
                let is_settled = again == files;
                files = again;
                if is_settled {
                    break;
                }
            }
            known = files;
            if sender.blocking_send(changed).is_err() {
                return;
            }
        }
    })?;
    Ok(changes)
}

/// A path that is in only one of the two, or has changed.
fn difference(before: &Files, after: &Files) -> Option<PathBuf> {
    let changed = after.iter().find(|(path, state)| before.get(*path) != Some(state));
    changed.map(|(path, _)| path.clone()).or_else(|| before.keys().find(|path| !after.contains_key(*path)).cloned())
}

fn scan(folders: &[PathBuf]) -> Files {
    let mut files = Files::new();
    for folder in folders {
        scan_folder(folder, &mut files);
    }
    files
}

/// Adds the Python files below a folder. A folder that disappears during the scan has no files.
fn scan_folder(folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        match entry.file_type() {
            // Links to folders are not followed: they may lead in a circle.
            Ok(kind) if kind.is_dir() && is_own(&path, &name) => scan_folder(&path, files),
            Ok(kind) if !kind.is_dir() && path.extension() == Some(OsStr::new("py")) => {
                if let Ok(metadata) = fs::metadata(&path) {
                    files.insert(path, (metadata.modified().ok(), metadata.len()));
                }
            }
            _ => {}
        }
    }
}

/// Whether a folder may have files of the application: not if it is hidden, a virtual environment, or another
/// language's packages.
fn is_own(path: &Path, name: &OsStr) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    !is_hidden && name != "node_modules" && name != "__pycache__" && !path.join("pyvenv.cfg").exists()
}
