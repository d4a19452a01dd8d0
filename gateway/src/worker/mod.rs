//! The blocking side of the hop: everything here runs on a pool thread and may block. Nothing here is async.

mod chunks;
mod exchange;
mod fence;
mod file;
mod job;
mod progress;
mod queue;
mod running;
mod start_response;
mod thread;
mod verdict;
mod write;

pub use self::chunks::{Chunk, Chunks, IntoChunks};
pub use self::job::Job;
pub use self::start_response::StartResponse;
pub use self::write::Write;

pub(crate) use self::exchange::Exchange;
pub(crate) use self::fence::fence;
pub(crate) use self::file::read_block;
pub(crate) use self::queue::{Admitted, Queue};
pub(crate) use self::running::RunningJobs;
pub(crate) use self::thread::start as start_thread;
