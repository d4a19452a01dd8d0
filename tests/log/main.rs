//! A log that cannot be written, or is not read, loses its lines, and nothing else.
//!
//! This is a binary of its own because a process has one subscriber.
#![cfg(unix)]

mod broken;
mod process;
mod requests;
