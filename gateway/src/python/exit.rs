//! The end of Python's part of a program.
//!
//! Threads: the program's; blocks.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::log;
use crate::python::attach;
use crate::python::error::describe;

/// How long the log waits for the interpreter, to tell which handler was cut off.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// Ends Python's part of a program, as `python3` ends. Call it at the end of `main`, after the server and its pools
/// have ended, and before the log ends. In this order, it
///
/// 1. waits for the threads that the application has started and that are not daemons, and for the jobs of
///    `concurrent.futures`;
/// 2. runs the handlers of `atexit`;
/// 3. flushes `sys.stdout` and `sys.stderr`.
///
/// What has not ended `within` this time ends with the process, and the log says what it was. Returns whether all of it
/// has succeeded in time. Returns at once if there is no interpreter.
///
/// The interpreter is not finalized: requests that still run Python end with the process.
///
/// # Threads
///
/// Blocks. The steps run on a thread of their own, which is left behind if they take too long.
pub fn finish(within: Duration) -> bool {
    if !attach::is_used() {
        return true;
    }
    let deadline = Instant::now().checked_add(within);
    let (steps, reached) = mpsc::channel();
    let ending = thread::Builder::new().name("python-exit".to_owned()).spawn(move || {
        // The receiver may have timed out.
        let _ = Python::try_attach(|py| {
            if let Err(error) = end(py, &steps) {
                log::error!(error = describe(py, &error), "Python does not end as it should");
                let _ = steps.send(Step::Failed);
            }
        });
    });
    if let Err(error) = ending {
        log::error!(%error, "Python does not end as it should: there is no thread for it");
        return false;
    }
    let mut running = "the interpreter is busy, so that no step has begun".to_owned();
    let mut handlers = None;
    loop {
        let next = match deadline {
            Some(deadline) => reached.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => reached.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Step::Begins(step)) => (running, handlers) = (step, None),
            Ok(Step::Handlers(thread)) => (running, handlers) = ("the handlers of `atexit`".to_owned(), Some(thread)),
            Ok(Step::Done) => return true,
            // The thread has logged it, or the interpreter is being finalized by other code.
            Ok(Step::Failed) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(handler) = handlers.and_then(outermost_call) {
                    running = format!("{running}, now {handler}");
                }
                log::error!(
                    seconds = within.as_secs_f64(),
                    running,
                    "Python's end was cut off after the time that `python::finish` has; this step and those after it \
                     end with the process"
                );
                return false;
            }
        }
    }
}

/// How far the end is.
enum Step {
    Begins(String),
    /// The handlers of `atexit` begin, on the thread with this identifier.
    Handlers(u64),
    Done,
    Failed,
}

/// The steps of `Py_FinalizeEx` that run code of the application.
fn end(py: Python<'_>, steps: &Sender<Step>) -> PyResult<()> {
    // The receiver may have timed out: the rest runs until the process ends.
    let begin = |step| drop(steps.send(Step::Begins(step)));
    let threading = py.import("threading")?;
    let others = others(&threading)?;
    begin(match others.is_empty() {
        true => "waiting for the jobs of `concurrent.futures`".to_owned(),
        false => format!("waiting for the threads that are not daemons: {}", others.join(", ")),
    });
    let joined = join(&threading);
    let _ = steps.send(Step::Handlers(threading.call_method0("get_ident")?.extract()?));
    let called = py.import("atexit")?.call_method0("_run_exitfuncs");
    begin("flushing `sys.stdout` and `sys.stderr`".to_owned());
    let flushed = flush(py);
    joined.and(called)?;
    flushed?;
    let _ = steps.send(Step::Done);
    Ok(())
}

/// Waits for the threads, and for the jobs of `concurrent.futures`, which has its own hook in `_shutdown`.
fn join(threading: &Bound<'_, PyAny>) -> PyResult<()> {
    let main = threading.call_method0("main_thread")?;
    // Up to CPython 3.12, `_shutdown` ends the main thread for those that join it, if it is called on this thread. On
    // another, it waits for the main thread, which never ends for Python: so this thread takes its place.
    if main.hasattr("_tstate_lock")? {
        main.setattr("_ident", threading.call_method0("get_ident")?)?;
    }
    threading.call_method0("_shutdown").map(drop)
}

/// The names of the threads that are waited for. The threads of pools are daemons to others.
fn others(threading: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let main = threading.call_method0("main_thread")?;
    let mut names = Vec::new();
    for thread in threading.call_method0("enumerate")?.try_iter()? {
        let thread = thread?;
        if !thread.is(&main) && !thread.getattr("daemon")?.is_truthy()? {
            names.push(thread.getattr("name")?.extract()?);
        }
    }
    Ok(names)
}

/// The outermost call of a thread in Python, for the log. `None` if there is none, or if the interpreter is busy.
fn outermost_call(thread: u64) -> Option<String> {
    let (found, is_found) = mpsc::channel();
    let attach = move || {
        let call = Python::try_attach(|py| -> PyResult<String> {
            let frame = py.import("sys")?.call_method0("_current_frames")?.get_item(thread)?;
            let stack = py.import("traceback")?.call_method1("format_stack", (frame,))?;
            stack.get_item(0)?.extract()
        });
        // The receiver may have timed out.
        let _ = found.send(call);
    };
    thread::Builder::new().name("python-exit-log".to_owned()).spawn(attach).ok()?;
    let call = is_found.recv_timeout(LAST_LOOK).ok()??.ok()?;
    // The second line is the source text.
    Some(call.trim_start().lines().next()?.to_owned())
}

fn flush(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    for stream in ["stdout", "stderr"] {
        let stream = sys.getattr(stream)?;
        // Without a terminal a stream may be `None`.
        if !stream.is_none() {
            stream.call_method0("flush")?;
        }
    }
    Ok(())
}
