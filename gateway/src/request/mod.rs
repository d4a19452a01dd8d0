//! The runtime side before the hop: what is known about the request, and the first bytes of its body. Nothing here blocks,
//! but for the application's half of [`Input`].

// In the order in which a request meets them.
mod screen;
mod target;
mod script_name;
mod host;
mod variables;
pub(crate) mod latin1;
mod environ;
mod feed;
mod patience;
mod input;
mod error_log;

pub use self::environ::Environ;
pub use self::error_log::ErrorLog;
pub use self::input::{Input, InputChunks};

pub(crate) use self::feed::{Failure, Feed, Grant, Progress, Upload};
pub(crate) use self::patience::Patience;
pub(crate) use self::screen::screen;
pub(crate) use self::variables::declared_length;
