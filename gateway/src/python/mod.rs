//! Python WSGI applications, such as Flask's and Django's, in this process beside Rust applications.
//!
//! A [`Callable`] is an [`Application`](crate::Application) like any other, with the same pool, limits, failures,
//! middleware and tests. The files of this module are named after their Rust counterparts.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use gateway::python::{self, Loader};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shop = Loader::new().path("src").load("shop.wsgi:application")?;
//! let pool = python::pool().threads(16).build()?;
//! let app = Router::new()
//!     .route("/health", get(|| async { "ok" }))
//!     .fallback_service(python::mount(shop, &pool)?);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await?;
//! python::finish(std::time::Duration::from_secs(30));
//! # Ok(())
//! # }
//! ```
//!
//! [`Interpreter`] says how Python is set up, [`finish`] how it ends.
//!
//! # What the application gets
//!
//! * `environ` is a new `dict` per request; its text is `str`, one character per byte. Beside the variables of
//!   [`Environ`] it has `wsgi.version`, `wsgi.multithread`, `wsgi.multiprocess`, `wsgi.run_once`,
//!   `wsgi.input_terminated`, `wsgi.input`, `wsgi.errors` and `wsgi.file_wrapper`, and
//!   `gateway.wait_for_disconnect(seconds)`, which returns whether the client has disconnected by then.
//! * `start_response` and the `write` it returns raise `TypeError` for a wrong type, and `ValueError` for an invalid
//!   value.
//! * `wsgi.input` is a readable file of Python's `io`. A body that cannot be read raises an `OSError`; if the
//!   application does not catch it, the response is 413, 408 or 400.
//! * A line that is written to `wsgi.errors` is one event of the log, however many writes `print` makes of it. Its
//!   level is the one that a record of Python's `logging` states in its text, as `WARNING:root:slow` does; otherwise
//!   error.
//! * `close` of the return value is called exactly once, even after a failure.
//!
//! # Failures
//!
//! An exception of any class, `SystemExit` included, is answered with 500, and its traceback goes only to the log.
//! After the first byte, it aborts the message.
//!
//! # Threads
//!
//! A pool's thread is attached to the interpreter at its first request, or when it drives connections and no request
//! runs Python, and keeps its Python thread state for life: `threading.local` and its content, such as database
//! connections, last. It holds the interpreter's lock only while Python runs, not while it waits for a request, for the
//! request body, or for room in the response. A [driver](crate::PoolBuilder::drivers) runs short requests, too, unless
//! another request runs Python at that moment. Each request has its own context (`contextvars`).
//!
//! `start_response`, `write` and `gateway.wait_for_disconnect` belong to their request and its thread: on another
//! thread, or later, they raise `RuntimeError`.
//!
//! # Signals
//!
//! The Rust program handles signals. An application that imports `signal` does not change the disposition of SIGINT.
//! A handler that an application sets while it is loaded is undone, with a warning in the log: no thread would run it.
//!
//! # Processes
//!
//! `sys.executable` is the interpreter of the [virtual environment](Interpreter::virtual_env) or of the installation,
//! so that `subprocess` and `multiprocessing` start Python, not this program. In a child that `multiprocessing` forks,
//! the request's thread is the main thread, and the child exits as one of `python3`.
//!
//! Threads: pool; blocks.

mod application;
mod attach;
mod chunks;
mod environ;
mod error;
mod error_log;
mod exit;
mod ffi;
mod file_wrapper;
mod fork;
mod input;
mod installation;
mod interpreter;
mod loader;
mod lock;
mod log_level;
mod monkey_patch;
mod mount;
mod objects;
mod request;
mod signals;
mod start_response;
mod text;
mod virtual_env;

pub use self::application::Callable;
pub use self::error::LoadError;
pub use self::exit::finish;
pub use self::interpreter::Interpreter;
pub use self::loader::Loader;
pub use self::mount::{mount, pool};
#[cfg(doc)]
use crate::Environ;

/// The version and the file of the library that this program is linked with. Needs no interpreter.
pub(crate) fn linked() -> String {
    // Before 3.10, the compiler is on a second line.
    let version = ffi::version().split_whitespace().collect::<Vec<_>>().join(" ");
    match ffi::library() {
        Some(file) => format!("{version}, in {}", file.display()),
        None => version,
    }
}
