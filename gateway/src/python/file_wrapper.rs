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

/// A file as a body. Python may iterate over its blocks; the gateway reads a plain file without Python.
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
        // The end of a text file is an empty `str`; text itself is refused later.
        let is_end = match block.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().is_empty(),
            Err(_) => !block.is_truthy()?,
        };
        Ok((!is_end).then_some(block))
    }

    /// Has a `close` if the file has one (PEP 3333, "Optional Platform-Specific File Handling").
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
    /// The same file for Rust to read, from Python's position. `None` if its bytes may differ from the file system's,
    /// and if the system cannot open it again.
    pub(super) fn plain_file(&self, py: Python<'_>) -> Option<File> {
        let file = self.file.bind(py);
        if !is_plain(file).unwrap_or(false) {
            return None;
        }
        let of_python = || {
            // Writes buffered by Python must be in the file.
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

/// Whether it is an instance of Python's own file classes. Another class may yield other bytes than its file has, such
/// as a decompressor.
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
