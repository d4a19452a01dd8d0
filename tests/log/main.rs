//! A log that cannot be written, or is not read, costs what is said in it, and nothing else.
//!
//! A binary of its own: there is one subscriber for a process.
#![cfg(unix)]

mod broken;
mod process;
mod requests;
