//! The WSGI variables that describe the server.
//!
//! Threads: any.

use crate::Environ;

impl Environ {
    /// `wsgi.version`.
    pub fn wsgi_version(&self) -> (u8, u8) {
        (1, 0)
    }

    /// `wsgi.multithread`: whether the application may be called by several threads at once.
    pub fn multithread(&self) -> bool {
        self.mount.is_concurrent()
    }

    /// `wsgi.multiprocess`: whether other processes may call an equal application, as
    /// [`Gateway::multiprocess`](crate::Gateway::multiprocess) says.
    pub fn multiprocess(&self) -> bool {
        self.mount.settings().multiprocess
    }

    /// `wsgi.run_once`: whether the application is called only once. Always false.
    pub fn run_once(&self) -> bool {
        false
    }

    /// `wsgi.input_terminated`: whether [`input`](Environ::input) ends by itself, so that it can be read without a
    /// length. Always true.
    pub fn input_terminated(&self) -> bool {
        true
    }
}
