//! The blocking side of the hop: everything here runs on a pool thread and may block. Nothing here is async.

mod chunk;
mod chunks;
mod crew;
mod exchange;
mod fence;
mod file;
mod job;
mod line;
mod probe;
mod meter;
mod progress;
mod queue;
mod start_response;
mod thread;
mod verdict;
mod waking;
mod write;

pub use self::chunk::{Chunk, IntoChunks};
pub use self::chunks::Chunks;
pub use self::job::Job;
pub use self::start_response::StartResponse;
pub use self::write::Write;

pub(crate) use self::crew::SeatId;
pub(crate) use self::exchange::{Exchange, Terms};
pub(crate) use self::fence::fence;
pub(crate) use self::file::read_block;
pub(crate) use self::job::Order;
pub(crate) use self::line::{COMMON, LaneId, Share};
pub(crate) use self::queue::{Census, Entry, Limits, Queue, Reserved};
pub(crate) use self::thread::{OnEnd, Threads};
