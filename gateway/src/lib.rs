//! Runs blocking code inside async services.
//!
//! An [`Application`] is plain code that may block: it takes an [`Environ`] and a [`StartResponse`], and returns its
//! body in [`Chunks`]. That is the WSGI contract (PEP 3333) in Rust. [`Gateway`], a tower service, runs applications on
//! a bounded [`Pool`] of threads and streams their responses into axum, or into any other server of the `http` types.
//!
//! ```
//! use axum::{Router, routing::get};
//! use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};
//!
//! /// Streams the request body back; runs in constant memory, however large the body.
//! #[wsgi_app]
//! fn echo(
//!     environ: &mut Environ,
//!     start_response: StartResponse<'_>,
//! ) -> gateway::Result<impl Iterator<Item = std::io::Result<bytes::Bytes>>> {
//!     start_response("200 OK", &[("Content-Type", "application/octet-stream")])?;
//!     Ok(environ.input().chunks(64 * 1024))
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let pool = Pool::builder().threads(16).build()?;
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "async neighbours stay async" }))
//!     .route_service("/echo", Gateway::new(echo).pool(&pool));
//! # drop(app);
//! # assert_eq!(gateway::testing::Client::new(echo).post("/echo", "hello").text(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # One request
//!
#![doc = include_str!("../doc/request.svg")]
//!
//! | what | runs on |
//! |---|---|
//! | [`Gateway`], [`ResponseFuture`], [`Body`], [`Executor`], [`TrustedProxies`], [`Readiness`], [`StatusPage`] | the runtime; never blocks |
//! | [`Application::call`], [`StartResponse`], [`Write`], [`Chunks`] | one pool thread, for all of one request |
//! | [`Input`], [`ErrorLog`] | any thread of the application; block |
//! | [`Pool`] | anywhere; its methods hold a lock for a moment, and those that wait are `async` |
//!
//! *The runtime* means the threads that poll requests: those of the program's tokio runtime, or, under
//! [`serve`](crate::serve()) with a [pool](crate::serve::Server::pool), the pool's [drivers](PoolBuilder::drivers).
//!
//! # Coming from Twisted
//!
//! | `twisted.web.wsgi` | here |
//! |---|---|
//! | `WSGIResource(reactor, threadpool, application)` | [`Gateway::new(application).pool(&pool)`](Gateway) |
//! | `application` | [`Application`] |
//! | `environ` | [`Environ`] |
//! | `startResponse`; `status`, `headers` | [`StartResponse`], which holds the head until the first byte |
//! | `write` | [`Write`], which blocks while the client reads slowly |
//! | `start` | admission, when the [`Gateway`] is called: see [`Executor`] and [`Overload`] |
//! | `run` | [`Job::run`] |
//! | `_requestFinished` | [`Disconnected`], [`Environ::client_disconnected`] |
//! | `_log`, `wsgi.errors` | `tracing` events; [`ErrorLog`] |
//! | `reactor`, `threadpool` | the runtime; the [`Pool`] |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `macros` | yes | `#[wsgi_app]`, `#[debug_handler]` |
//! | `serve` | yes | [`serve()`], the server, and the module [`serve`](mod@serve) around it |
//! | `form` | yes | axum's `Form` and `Query`, and `Environ::form` |
//! | `json` | yes | axum's `Json`, and `Environ::json` |
//! | `files` | yes | `FileResponse`: files with conditional requests and ranges |
//! | `multipart` | no | `Multipart`: forms with files, streamed |
//! | `python` | no | the module `python`: WSGI applications in Python; requires Python's headers and library |
//! | `tls` | no | `serve::TlsListener`, with rustls; requires a C compiler |
//! | `metrics` | no | `Pool::publish_metrics`, and figures of each request, through the `metrics` facade |
//! | `tower-http` | no | the `RequestId` of tower-http is understood as a [`RequestId`] |
//!
//! # Panics
//!
//! A panic of an application costs its response, not its thread. In programs built with `panic = "abort"` it ends the
//! process, as everywhere in such programs; the first pool that is built once a subscriber is set logs a warning.
// One file has it, and only with the feature `python`: `python/ffi.rs`.
#![cfg_attr(not(feature = "python"), forbid(unsafe_code))]
#![cfg_attr(feature = "python", deny(unsafe_code))]
// Shows the required feature beside each item.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(any(test, gateway_fuzz)),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)
)]
#![doc(test(attr(deny(warnings))))]

// The contract, its other forms, and middleware.
#[macro_use]
mod macros;
mod application;
mod http_fn;
mod dispatcher;
mod validator;
// The arguments of applications, and their results.
mod environ;
mod body;
mod response;
// From a request to a thread and back.
mod service;
mod handler;
#[cfg(feature = "files")]
mod files;
#[cfg(feature = "multipart")]
mod multipart;
mod settings;
mod run_times;
mod connection_context;
mod test_request;
mod job;
mod work;
mod failure;
mod executor;
mod pool;
mod pipe;
// In front of the service, and beside it.
mod proxies;
mod request_id_layer;
mod readiness;
mod status_page;
mod plain_text;
mod bug_report;
mod observe;
// Used by all of them.
mod error;
mod error_response;
mod bodiless;
mod refusal;
mod catch_panic;
mod contained;
mod declared_length;
mod latin1;
mod log;
mod log_text;
mod sync;
mod timer;
#[cfg(all(test, not(gateway_loom)))]
mod bound;
pub mod migration;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "serve")]
pub mod serve;
pub mod testing;
#[cfg(all(test, gateway_loom))]
mod models;
#[cfg(all(test, not(gateway_loom)))]
mod fuzz_corpora;
#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;

pub use self::application::{Application, ApplicationFn, application_fn};
pub use self::body::input::Input;
pub use self::body::input_chunks::InputChunks;
pub use self::body::spool::{Spool, SpoolBuilder};
#[doc(hidden)]
pub use self::body::uploads::Uploads;
pub use self::bug_report::BugReport;
pub use self::dispatcher::Dispatcher;
pub use self::environ::Environ;
pub use self::environ::error_log::ErrorLog;
pub use self::environ::forwarded::Forwarded;
pub use self::environ::id::RequestId;
pub use self::environ::local::LocalAddr;
pub use self::environ::tls::Tls;
pub use self::error::{
    BoxError, CallError, ContractError, DeadlineExceeded, Disconnected, Error, InputError, Panicked, Result,
};
#[doc(hidden)]
pub use self::executor::DropReason;
pub use self::executor::{Accepted, Executor, Refused};
#[cfg(feature = "files")]
pub use self::files::conditions::Conditions;
#[cfg(feature = "files")]
pub use self::files::{FileError, FileResponse};
pub use self::handler::{BlockingFn, BlockingHandler, HandlerFuture, InputRejection};
pub use self::http_fn::{HttpFn, http_fn};
pub use self::job::Job;
#[cfg(feature = "multipart")]
pub use self::multipart::Multipart;
#[cfg(feature = "multipart")]
pub use self::multipart::error::MultipartError;
#[cfg(feature = "multipart")]
pub use self::multipart::field::Field;
pub use self::pool::Pool;
pub use self::pool::builder::{Overload, PoolBuilder};
pub use self::pool::share::Share;
pub use self::pool::stats::{RunningJob, Stats};
pub use self::proxies::{Proxied, ProxiedFuture, TrustedProxies};
pub use self::readiness::{NotReady, Readiness};
pub use self::request_id_layer::{RequestIdFuture, RequestIdLayer, RequestIdService};
pub use self::response::body::{Aborted, Body};
pub use self::response::chunk::{Chunk, IntoChunks};
pub use self::response::chunks::Chunks;
pub use self::response::events::{Event, Events};
pub use self::response::head::ResponseHead;
pub use self::response::request_end::Wait;
pub use self::response::start_response::StartResponse;
pub use self::response::streamed::Streamed;
pub use self::response::write::Write;
#[cfg(feature = "serve")]
pub use self::serve::serve;
pub use self::service::Gateway;
pub use self::service::response_future::ResponseFuture;
pub use self::status_page::StatusPage;
pub use self::validator::Validator;
#[cfg(feature = "macros")]
pub use gateway_macros::{debug_handler, wsgi_app};

/// The fuzz targets of private modules, for `tests/fuzz`: a build with `--cfg gateway_fuzz` alone has them.
#[cfg(gateway_fuzz)]
#[doc(hidden)]
pub mod __fuzz {
    /// A check of one input.
    pub type Check = fn(&[u8]);

    /// Name and check of each target.
    pub const TARGETS: [(&str, Check); 3] = [
        ("lifecycle", crate::serve::lifecycle_history),
        ("scanner", crate::serve::scanned_stream),
        ("scheduler", crate::pool::queue::fuzz_tests::check),
    ];
}

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
