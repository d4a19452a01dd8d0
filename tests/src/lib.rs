//! Support for the tests: a server on a real socket, a client that speaks raw HTTP, and a journal of what happened.

mod journal;
mod server;
mod script;
mod wire;

pub use self::journal::{Journal, Logged, capture_log};
pub use self::script::{Script, Step};
pub use self::server::{Flavour, Server};
pub use self::wire::{Connection, Ending, Reply};
