//! The cost of the parts of a request, each compared with an alternative without the gateway; in process, without
//! sockets.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench micro                  # all groups, in about two minutes
//! cargo bench -p gateway-tests --bench micro -- hop/multi     # the benchmarks whose names match
//! cargo bench -p gateway-tests --bench micro -- --test        # each once, without figures
//! ```
//!
//! | group | measured | compared with |
//! |---|---|---|
//! | `hop` | the hop of a request to a thread and back | `spawn_blocking`, and threads behind a channel |
//! | `handler` | a request to a blocking handler | an application that answers the same |
//! | `environ` | reading variables | a map of all variables |
//! | `head` | status and headers as text | typed status and headers |
//! | `stream` | a chunk of a streamed response | a tokio channel |
//!
//! The process has no `tracing` subscriber and no `metrics` recorder.
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

mod environ;
mod handler;
mod head;
mod hop;
mod hop_bare;
mod stream;
mod threads;

use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    // `cargo bench` passes this option; `cargo test --all-targets` does not, and must not run the benchmarks.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("nothing is measured but by cargo bench");
        return ExitCode::SUCCESS;
    }
    // Set the defaults before `configure_from_args`, so that arguments override them.
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .configure_from_args();
    hop::measure(&mut criterion);
    handler::measure(&mut criterion);
    environ::measure(&mut criterion);
    head::measure(&mut criterion);
    stream::measure(&mut criterion);
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// The runtimes, by name.
fn runtimes() -> [(&'static str, Runtime); 2] {
    let build = |mut builder: Builder| builder.worker_threads(2).enable_all().build().expect("a runtime");
    [("current", build(Builder::new_current_thread())), ("multi", build(Builder::new_multi_thread()))]
}
