//! The blocking side of the hop: everything here runs on a pool thread and may block. Nothing here is async.

mod chunks;
mod exchange;
mod fence;
mod job;
mod pool;
mod queue;
mod start_response;
mod thread;
mod write;

pub use self::chunks::{Chunk, Chunks, IntoChunks};
pub use self::job::Job;
pub use self::pool::{Pool, PoolBuilder};
pub use self::start_response::StartResponse;
pub use self::write::Write;

pub(crate) use self::exchange::Exchange;
