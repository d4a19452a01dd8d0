//! `wsgi.file_wrapper`.
//!
//! Threads: pool; blocks.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// A file as a body: iterated over in blocks by whoever does, and read without Python by the gateway if it is a plain
/// file.
#[pyclass(frozen, module = "gateway")]
pub(super) struct FileWrapper {
    file: Py<PyAny>,
    block_size: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (file, block_size=65536, /))]
    fn new(file: Py<PyAny>, block_size: usize) -> Self {
        Self { file, block_size }
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.file.bind(py).call_method1(intern!(py, "read"), (self.block_size,))?;
        // Text is not sent, and its end looks otherwise.
        let is_end = match block.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().is_empty(),
            Err(_) => !block.is_truthy()?,
        };
        Ok((!is_end).then_some(block))
    }

    /// It has a `close` if the file has one (PEP 3333, "Optional Platform-Specific File Handling").
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if name == "close" {
            return self.file.bind(py).getattr(intern!(py, "close"));
        }
        Err(PyAttributeError::new_err(format!("a file wrapper has no {name:?}")))
    }

    #[expect(clippy::needless_pass_by_value, reason = "Python's protocol hands it over")]
    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.file)
    }
}

impl FileWrapper {
    /// The same file, for Rust to read, from where Python has come to. `None` for all whose bytes are not simply those
    /// of the file system, and where the system does not give another handle.
    pub(super) fn plain_file(&self, py: Python<'_>) -> Option<File> {
        let file = self.file.bind(py);
        if !is_plain(file).unwrap_or(false) {
            return None;
        }
        let of_python = || {
            // What was written to it, too.
            file.call_method0(intern!(py, "flush"))?;
            let number: i32 = file.call_method0(intern!(py, "fileno"))?.extract()?;
            let position: u64 = file.call_method0(intern!(py, "tell"))?.extract()?;
            Ok::<_, PyErr>((number, position))
        };
        let (number, position) = of_python().ok()?;
        let reopened = py.detach(|| {
            let mut file = File::open(format!("/proc/self/fd/{number}"))?;
            file.seek(SeekFrom::Start(position))?;
            Ok::<_, std::io::Error>(file)
        });
        reopened.ok()
    }
}

/// Whether it is one of Python's own files. Any other class may give other bytes than its file has, as one that
/// decompresses does.
fn is_plain(file: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASSES: PyOnceLock<[Py<PyAny>; 3]> = PyOnceLock::new();
    let py = file.py();
    let [raw, reader, random] = CLASSES.get_or_try_init(py, || {
        let io = py.import("io")?;
        let class = |name| Ok::<_, PyErr>(io.getattr(name)?.unbind());
        Ok::<_, PyErr>([class("FileIO")?, class("BufferedReader")?, class("BufferedRandom")?])
    })?;
    let class = file.get_type();
    if class.is(reader) || class.is(random) {
        return Ok(file.getattr(intern!(py, "raw"))?.get_type().is(raw));
    }
    Ok(class.is(raw))
}
