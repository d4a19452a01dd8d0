//! Sockets that the service manager has opened.
//!
//! Threads: the program's.

use std::io;

use listenfd::ListenFd;

/// The listening sockets that a service manager has opened for this process (systemd's socket activation:
/// `LISTEN_FDS`).
///
/// The manager keeps them open while the program restarts, so that no client is refused, and may bind privileged ports.
/// Sockets are numbered from 0, in the order of the unit's `Listen…` lines.
///
/// # Example
///
/// ```no_run
/// # async fn run(app: axum::Router, pool: gateway::Pool) -> std::io::Result<()> {
/// use gateway::serve::InheritedSockets;
///
/// let mut inherited = InheritedSockets::from_env();
/// let listener = match inherited.is_empty() {
///     false => inherited.tcp(0)?,
///     // Started by hand.
///     true => tokio::net::TcpListener::bind("127.0.0.1:8000").await?,
/// };
/// gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
/// # }
/// # let _ = run;
/// ```
pub struct InheritedSockets {
    sockets: ListenFd,
}

impl InheritedSockets {
    /// Takes the sockets of `LISTEN_FDS` if `LISTEN_PID` is this process. Both variables are removed, so that neither a
    /// child nor a second call takes the sockets again. (With the feature `python`, the start of the interpreter
    /// removes `LISTEN_FDNAMES` and the like.)
    ///
    /// # Threads
    ///
    /// Changes the process environment: call it before another thread reads the environment.
    pub fn from_env() -> Self {
        Self { sockets: ListenFd::from_env() }
    }

    /// The number of inherited sockets.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether no sockets were inherited.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a TCP listener.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound) if there is no such socket, or it was taken already.
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a TCP socket.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn tcp(&mut self, number: usize) -> io::Result<tokio::net::TcpListener> {
        let listener = self.sockets.take_tcp_listener(number)?.ok_or_else(|| self.missing(number))?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    }

    /// Takes a Unix listener.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound) if there is no such socket, or it was taken already.
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a Unix stream socket.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[cfg(unix)]
    pub fn unix(&mut self, number: usize) -> io::Result<tokio::net::UnixListener> {
        let listener = self.sockets.take_unix_listener(number)?.ok_or_else(|| self.missing(number))?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }

    fn missing(&self, number: usize) -> io::Error {
        let problem = match self.len() {
            0 => "no sockets were inherited: LISTEN_FDS is not set, or LISTEN_PID is another process".to_owned(),
            count if number < count => format!("inherited socket {number} was taken already"),
            count => format!("there is no inherited socket {number}; there are {count}, from 0"),
        };
        io::Error::new(io::ErrorKind::NotFound, problem)
    }
}

partial_debug!(InheritedSockets, |this| len: this.len());
