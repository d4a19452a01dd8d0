//! Python's WSGI applications, Flask's and Django's among them, in this process and beside Rust's.
//!
//! A [`Callable`] is an [`Application`](crate::Application) like any other: the same pool and the same limits,
//! failures, middleware and tests. The files here are called like those of the Rust side, so that it is easy to see
//! what stands for what.
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
//! gateway::serve(listener, app).pool(&pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What the application gets
//!
//! * `environ` is a `dict` of its own, its text is `str`, one character for one byte; beside the variables of
//!   [`Environ`] it has `wsgi.version`, `wsgi.multithread`, `wsgi.multiprocess`, `wsgi.run_once`,
//!   `wsgi.input_terminated`, `wsgi.input`, `wsgi.errors` and `wsgi.file_wrapper`, and
//!   `gateway.wait_for_disconnect(seconds)`, which says whether the client has left by then.
//! * `start_response` and the `write` it returns raise `TypeError` for what is of a wrong type, and `ValueError` for
//!   what must not be sent.
//! * `wsgi.input` reads as a file does. A body that cannot be read raises an `OSError`; left alone, it is 413, 408 or
//!   400.
//! * `close` of what was returned is called once, whatever happened before.
//!
//! # Failures
//!
//! An exception of any class, `SystemExit` included, is a 500, and its traceback goes to the log alone. One that comes
//! after the first byte breaks the message off.
//!
//! # Threads
//!
//! A thread of a pool is attached to the interpreter at its first request, and stays known to it for life:
//! `threading.local` and what it holds, such as connections to databases, last. It holds the interpreter's lock only
//! while Python runs, not while it waits for a request, for the request's body, or for room in the response. Each
//! request has a context of its own (`contextvars`).
//!
//! `start_response`, `write` and the environ's handle on the client belong to their request and to its thread: anywhere
//! else, and later, they raise `RuntimeError`.
//!
//! Python sees no signals: they are the Rust program's.
//!
//! Threads: pool; blocks.
//!
//! Threads: pool; blocks.

mod application;
mod attach;
mod chunks;
mod environ;
mod error;
mod error_log;
mod file_wrapper;
mod input;
mod loader;
mod mount;
mod request;
mod start_response;

pub use self::application::Callable;
pub use self::attach::finish;
pub use self::error::LoadError;
pub use self::loader::Loader;
pub use self::mount::{mount, pool};
#[cfg(doc)]
use crate::Environ;
