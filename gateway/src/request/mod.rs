//! The runtime side before the hop: what is known about the request, and the first bytes of its body. Nothing here blocks,
//! but for the application's half of [`Input`].

mod environ;
mod error_log;
mod feed;
mod host;
mod input;
pub(crate) mod latin1;
mod screen;
mod patience;
mod script_name;
mod target;
mod variables;

pub use self::environ::Environ;
pub use self::error_log::ErrorLog;
pub use self::input::{Input, InputChunks};

pub(crate) use self::feed::{Failure, Feed, Grant, Progress, Upload};
pub(crate) use self::patience::Patience;
pub(crate) use self::screen::screen;
pub(crate) use self::variables::declared_length;
