//! The runtime side after the hop: the head becomes a response, the chunks its body. Nothing here blocks.

mod access;
mod body;
mod file;
mod future;
mod head;
mod message;
mod plain;
mod refusal;
mod timer;
mod timing;
mod value;

pub use self::body::{Aborted, Body};
pub use self::future::ResponseFuture;
pub use self::head::ResponseHead;

pub(crate) use self::access::{Access, Outcome};
pub(crate) use self::file::FileStream;
#[cfg(feature = "serve")]
pub(crate) use self::future::end_connection;
pub(crate) use self::future::{Admission, Asked, KeepAlive, Pending};
pub(crate) use self::head::{check_trailers, forbids_body};
pub(crate) use self::message::{Answer, Inbox, LARGEST_FRAME, Message, Messages};
pub(crate) use self::plain::plain;
pub(crate) use self::refusal::ErrorPage;
pub(crate) use self::timer::Timer;
pub(crate) use self::timing::Timing;
pub(crate) use self::value::parse_length;
