//! The runtime side before the hop: what is known about the request, and the first bytes of its body. Nothing here blocks,
//! but for the application's half of [`Input`].

// In the order in which a request meets them.
mod id;
mod screen;
mod target;
mod script_name;
mod host;
mod local;
mod tls;
mod variables;
pub(crate) mod latin1;
mod environ;
mod source;
mod read_ahead;
mod feed;
mod drain;
mod patience;
mod spool;
mod input;
mod input_chunks;
mod error_log;

pub use self::environ::Environ;
pub use self::error_log::ErrorLog;
pub use self::id::RequestId;
pub use self::input::Input;
pub use self::input_chunks::InputChunks;
pub use self::local::LocalAddr;
pub use self::spool::{Spool, SpoolBuilder};
pub use self::tls::Tls;

pub(crate) use self::drain::drain;
#[cfg(feature = "python")]
pub(crate) use self::environ::{VARIABLES, Variable};
pub(crate) use self::error_log::LineSink;
pub(crate) use self::feed::{Feed, Upload};
pub(crate) use self::id::{LogField, late_span, span};
#[cfg(feature = "python")]
pub(crate) use self::input::into_io;
pub(crate) use self::patience::Patience;
pub(crate) use self::read_ahead::{ReadAhead, Rest};
#[cfg(feature = "serve")]
pub(crate) use self::screen::MOST_FIELD_BYTES;
pub(crate) use self::screen::screen;
pub(crate) use self::source::{Failure, Grant, Piece};
#[cfg(feature = "python")]
pub(crate) use self::variables::header_key;
pub(crate) use self::variables::{declared_length, expects_continue};
