//! If the log cannot be written, or its reader is stuck, only log entries are lost.
//!
//! This is a binary of its own because a process has one subscriber.
#![cfg(unix)]

mod broken;
mod process;
mod requests;
