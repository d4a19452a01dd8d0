//! The runtime side after the hop: the head becomes a response, the chunks its body. Nothing here blocks.

mod body;
mod future;
mod head;
mod message;
mod refusal;

pub use self::body::{Aborted, Body};
pub use self::future::ResponseFuture;
pub use self::head::ResponseHead;

pub(crate) use self::future::{Admission, Pending};
pub(crate) use self::head::parse_length;
pub(crate) use self::message::{Inbox, Message, Messages};
pub(crate) use self::refusal::refusal;
