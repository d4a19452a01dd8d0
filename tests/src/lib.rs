//! Support for the tests: a server on a real socket, a client that sends raw HTTP, and a journal of events.
#![allow(clippy::missing_errors_doc, clippy::missing_panics_doc, reason = "test support fails where a test would")]

mod allocations;
mod answer;
#[cfg(doctest)]
mod book;
mod bound;
mod call;
pub mod frames;
mod gate;
mod http2;
mod journal;
mod panics;
mod program;
mod script;
mod segments;
mod server;
mod sink;
mod skip;
mod stoppable;
mod wire;

pub use self::allocations::{Counted, Counting, Host, per_request};
pub use self::answer::{NotifyOnDrop, answer_fn, write_until_refused};
pub use self::bound::{BOUND, block_on, block_on_runtime, join, recv, until, until_async, wait_for, within};
pub use self::call::call;
pub use self::gate::{Gate, Waiter};
pub use self::http2::http2;
pub use self::journal::{Capture, Journal, Logged, capture_events, capture_failures, capture_log, capture_request};
pub use self::panics::panic_message;
pub use self::program::{exit_status, lines, remaining, run};
pub use self::script::{Script, Step};
pub use self::segments::{BYTEWISE, Segments};
pub use self::server::{Flavour, IntoRouter, Server};
pub use self::sink::Sink;
pub use self::skip::skip;
pub use self::stoppable::{App, Stoppable};
pub use self::wire::{Connection, Ending, Reply};
