//! Request bodies: received, read ahead or spooled before a thread is taken, and read by the application.
//!
//! Threads: runtime; the application's for `input`, `input_chunks`, `lent_body`, `read_deadline` and
//! `unread_pieces`.

// From the network to the application.
pub(crate) mod source;
pub(crate) mod timeouts;
pub(crate) mod read_ahead;
mod read_deadline;
mod unread_pieces;
pub(crate) mod spool;
pub(crate) mod pump;
pub(crate) mod uploads;
pub(crate) mod discard;
pub(crate) mod input;
pub(crate) mod input_chunks;
#[cfg(any(feature = "form", feature = "json"))]
pub(crate) mod lent_body;
