//! Request bodies: how they come in, what is read of them before a thread is taken, and how applications read them.
//!
//! Threads: runtime, but for `input` and `input_chunks`.

// From the network to the application.
pub(crate) mod source;
pub(crate) mod timeouts;
pub(crate) mod read_ahead;
pub(crate) mod spool;
pub(crate) mod pump;
pub(crate) mod discard;
pub(crate) mod input;
pub(crate) mod input_chunks;
