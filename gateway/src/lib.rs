#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr))]
#![doc(test(attr(deny(warnings))))]

// The modules in the order in which a request meets them.
mod application;
mod service;
mod settings;
mod executor;
mod request;
mod pipe;
mod worker;
mod response;
mod error;
mod sync;
pub mod testing;
#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;

pub use self::application::{Application, ApplicationFn, application_fn};
pub use self::error::{BoxError, ContractError, Disconnected, Error, InputError, Panicked, Result};
pub use self::executor::{Executor, Refused};
pub use self::request::{Environ, ErrorLog, Input, InputChunks};
pub use self::response::{Aborted, Body, ResponseFuture, ResponseHead};
pub use self::service::Gateway;
pub use self::worker::{Chunk, Chunks, IntoChunks, Job, Pool, PoolBuilder, StartResponse, Write};
#[cfg(feature = "macros")]
pub use gateway_macros::wsgi_app;
