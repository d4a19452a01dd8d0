//! Python's applications: what they see, what they may do, and what becomes of it. Each test brings its application as
//! source text.

mod process;
mod support;

mod loading;
mod environ;
mod input;
mod error_log;
mod start_response;
mod write;
mod iteration;
mod close;
mod files;
mod failures;
mod threads;
mod exit;
mod leaks;
