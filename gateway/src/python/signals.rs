//! Signals, which belong to the Rust program.
//!
//! Threads: the program's; blocks.

use pyo3::prelude::*;

use crate::log;
use crate::python::error::describe;
use crate::python::ffi::{Dispositions, LAST_SIGNAL};

/// SIGINT before Python. On its import, Python's module `signal` installs a handler for SIGINT if it has none. Flask
/// and Django import it. The handler raises `KeyboardInterrupt` on Python's main thread, which ends a `python3`, but
/// not a program in Rust: Ctrl-C would do nothing.
pub(super) struct Interrupt(Dispositions);

impl Interrupt {
    /// The present state. `site` may import `signal`, so this call comes before the start of the interpreter.
    pub(super) fn save() -> Self {
        Self(Dispositions::save())
    }

    /// Imports `signal`, which installs nothing when it is imported again, and restores SIGINT. In an interpreter of
    /// the program's own, an import by the program stays as it is.
    pub(super) fn restore(self, py: Python<'_>, is_own_interpreter: bool) -> PyResult<()> {
        let was_imported = py.import("sys")?.getattr("modules")?.contains("_signal")?;
        py.import("signal")?;
        if !(is_own_interpreter && was_imported) {
            self.0.restore(libc::SIGINT);
        }
        Ok(())
    }
}

/// The signals' handlers before an application is loaded, in Python and in the system.
pub(super) struct Handlers {
    python: Vec<(i32, Py<PyAny>)>,
    system: Dispositions,
}

impl Handlers {
    /// The present ones.
    pub(super) fn save(py: Python<'_>) -> PyResult<Self> {
        Ok(Self { python: in_python(py)?, system: Dispositions::save() })
    }

    /// Undoes what the application has changed, and logs it: Python runs a handler on its main thread, between two
    /// steps in Python, and that thread runs Rust. The handler would only take the signal away from the program.
    ///
    /// Handlers of other modules than Python's `signal`, such as those of `faulthandler`, stay: they run at once.
    pub(super) fn restore(self, py: Python<'_>, application: &str) {
        let changed = in_python(py).and_then(|present| {
            let pairs = self.python.iter().zip(&present).filter(|(before, now)| !before.1.is(&now.1));
            pairs
                .map(|(_, (number, handler))| Ok((*number, name(py, *number)?, handler.bind(py).repr()?.to_string())))
                .collect()
        });
        let changed: Vec<(i32, String, String)> = match changed {
            Ok(changed) => changed,
            Err(error) => return log::error!(error = describe(py, &error), "the handlers of signals cannot be read"),
        };
        // Also if Python's table is as before: `asyncio.run` sets a handler for SIGINT, and then the one of `signal`.
        self.system.restore(libc::SIGINT);
        for (number, signal, handler) in changed {
            self.system.restore(number);
            log::warn!(
                application,
                signal,
                handler,
                "the application has set a handler for a signal, which was undone: no handler in Python runs in this \
                 process; handle the signal in Rust, as `stop_on_signals` does, and clean up with `atexit`"
            );
        }
    }
}

/// The handlers that Python knows.
fn in_python(py: Python<'_>) -> PyResult<Vec<(i32, Py<PyAny>)>> {
    let signal = py.import("signal")?;
    // `getsignal` raises for a number that is no signal.
    let handler = |number| Some((number, signal.call_method1("getsignal", (number,)).ok()?.unbind()));
    Ok((1..=LAST_SIGNAL).filter_map(handler).collect())
}

/// Such as SIGTERM.
fn name(py: Python<'_>, number: i32) -> PyResult<String> {
    match py.import("signal")?.getattr("Signals")?.call1((number,)) {
        Ok(signal) => signal.getattr("name")?.extract(),
        // Real-time signals between the first and the last have no name.
        Err(_) => Ok(format!("signal {number}")),
    }
}
