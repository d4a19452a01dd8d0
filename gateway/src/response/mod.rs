//! Responses: made on the application's thread, sent on the runtime.
//!
//! Threads: pool, then runtime.

// On the application's thread.
pub(crate) mod start_response;
pub(crate) mod send_and_close;
pub(crate) mod streamed;
pub(crate) mod events;
pub(crate) mod trailers;
pub(crate) mod write;
pub(crate) mod chunk;
pub(crate) mod chunks;
pub(crate) mod file_body;
pub(crate) mod head;
mod known_length;
mod field;
pub(crate) mod chunk_bytes;
pub(crate) mod progress;
pub(crate) mod exchange;
// Handed over to the runtime, or made there.
pub(crate) mod message;
pub(crate) mod request_end;
pub(crate) mod body;
pub(crate) mod file;
pub(crate) mod axum_body;
pub(crate) mod passed;
pub(crate) mod passed_body;
pub(crate) mod error_page;
