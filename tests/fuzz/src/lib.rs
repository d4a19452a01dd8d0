//! Fuzz targets: each is a check of one input, with rules that share no code with the gateway.
//!
//! A target takes any bytes, and panics if the gateway breaks a rule. `main.rs` hands it the inputs of libFuzzer, and
//! `tests/corpora.rs` those that are kept in `corpus/`.
//!
//! Threads: the caller's.
#![allow(clippy::missing_panics_doc, reason = "a target panics where a test would")]

mod answer;
mod environ;
mod forwarded;
mod head;
mod lengths;
mod multipart;
mod ranges;
mod server;
mod start_response;
mod streams;

/// A check of one input.
pub type Check = fn(&[u8]);

/// All targets, by name. The folder of the same name in `corpus/` has its inputs.
pub const TARGETS: &[(&str, Check)] = &[
    ("environ", environ::check),
    ("forwarded", forwarded::check),
    ("lengths", lengths::check),
    ("multipart", multipart::check),
    ("ranges", ranges::check),
    ("start_response", start_response::check),
    ("streams", streams::check),
    #[cfg(gateway_fuzz)]
    gateway::__fuzz::TARGETS[0],
    #[cfg(gateway_fuzz)]
    gateway::__fuzz::TARGETS[1],
    #[cfg(gateway_fuzz)]
    gateway::__fuzz::TARGETS[2],
];
