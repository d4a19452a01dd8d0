//! The signals that stop a program.
//!
//! Threads: runtime.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC as Signal, ctrl_c};

/// Two futures: one is ready at the first SIGTERM or Ctrl-C, the other at the second, in any combination of the two
/// signals. The first is for [`with_graceful_shutdown`](crate::serve::Server::with_graceful_shutdown), the second for
/// [`with_immediate_shutdown`](crate::serve::Server::with_immediate_shutdown). For programs that act between the signal
/// and the stop; others use [`stop_on_signals`](crate::serve::Server::stop_on_signals).
///
/// This call installs the handlers for the life of the process; neither signal ends the process by itself any more.
/// Call it before the listener is bound: a signal without a handler ends the process, and with it the connections that
/// wait in the backlog. Process 1 of a container needs a handler: for it the system has no default action. Where there
/// is no SIGTERM, as on Windows, only Ctrl-C counts.
///
/// # Errors
///
/// The system allows no handler.
///
/// # Panics
///
/// Panics outside of a tokio runtime with I/O enabled.
///
/// # Example
///
/// A server that first notifies the load balancer and serves for five more seconds; a second signal ends the wait:
///
/// ```no_run
/// # async fn run(app: axum::Router, pool: gateway::Pool) -> std::io::Result<()> {
/// let (first, second) = gateway::serve::stop_signals()?;
/// let draining = pool.clone();
/// let stop = async move {
///     first.await;
///     draining.begin_drain();
///     tokio::time::sleep(std::time::Duration::from_secs(5)).await;
/// };
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
/// gateway::serve(listener, app).pool(&pool).with_graceful_shutdown(stop).with_immediate_shutdown(second).await
/// # }
/// # let _ = run;
/// ```
pub fn stop_signals() -> io::Result<(impl Future<Output = ()> + Send + use<>, impl Future<Output = ()> + Send + use<>)>
{
    // Both receive from here on: a signal before the first poll of a future is not lost.
    let (mut first, mut second) = (Signals::install()?, Signals::install()?);
    Ok((async move { first.next().await }, async move {
        second.next().await;
        second.next().await;
    }))
}

/// Receives the signals since its creation. Each instance receives every signal.
struct Signals(Vec<Signal>);

impl Signals {
    fn install() -> io::Result<Self> {
        #[cfg(unix)]
        let signals = vec![signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        #[cfg(windows)]
        let signals = vec![ctrl_c()?];
        Ok(Self(signals))
    }

    /// Receives one signal per call, so that a SIGINT and a SIGTERM that are pending together count as two.
    async fn next(&mut self) {
        poll_fn(|cx| match self.0.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}
