//! Servers that a test shuts down.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::mpsc;

use axum::BoxError;
use axum::body::Body;
use gateway::serve::{Listener, Server, ShutdownReport};
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::Service;

use crate::bound::recv;
use crate::{Connection, Flavour, Segments};

/// A server on a socket, which runs until the test shuts it down, and then returns a report.
#[derive(Debug)]
pub struct Stoppable {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    reports: mpsc::Receiver<ShutdownReport>,
}

/// A service that a server can run: a router, or another service.
pub trait App:
    Service<Request<Body>, Response = Response<Body>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static
{
}

impl<S> App for S where
    S: Service<Request<Body>, Response = Response<Body>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static
{
}

impl Stoppable {
    /// Serves on a free port of the loopback address, on a runtime of this flavour.
    pub fn start<L: Listener, S: App>(
        flavour: Flavour,
        configure: impl FnOnce(TcpListener) -> Server<L, S> + Send + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1", flavour, configure)
    }

    /// Serves on a free port of this address.
    pub fn start_at<L: Listener, S: App>(
        address: &str,
        flavour: Flavour,
        configure: impl FnOnce(TcpListener) -> Server<L, S> + Send + 'static,
    ) -> Self {
        let listener = StdListener::bind((address, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("no blocking");
        let address = listener.local_addr().expect("a bound socket");
        let (stop, reports) =
            Self::run(flavour, move || configure(TcpListener::from_std(listener).expect("a runtime")));
        Self { address, stop: Some(stop), reports }
    }

    /// Runs a server in a separate thread. The closure creates the server on the runtime. The server shuts down when
    /// the sender is used or dropped.
    pub fn run<L: Listener, S: App>(
        flavour: Flavour,
        make: impl FnOnce() -> Server<L, S> + Send + 'static,
    ) -> (oneshot::Sender<()>, mpsc::Receiver<ShutdownReport>) {
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, reports) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = flavour.build();
            let report = runtime.block_on(async { make().with_graceful_shutdown(stopped).run().await });
            // A test that does not need the report drops the receiver.
            let _ = sender.send(report.expect("serving"));
            runtime.shutdown_background();
        });
        (stop, reports)
    }

    /// The address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        Connection::open_in(Segments::Whole, ([127, 0, 0, 1], self.address.port()).into())
    }

    /// Sends a GET on a new connection.
    pub fn get(&self, target: &str) -> Connection {
        let mut connection = self.connect();
        connection.send(&format!("GET {target} HTTP/1.1\r\nHost: test.local\r\n\r\n"));
        connection
    }

    /// Starts the graceful shutdown.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Shuts the server down, and waits for its end.
    pub fn report(&mut self) -> ShutdownReport {
        self.stop();
        self.ended()
    }

    /// Waits for the end of the server, which is not caused by [`stop`](Self::stop).
    pub fn ended(&self) -> ShutdownReport {
        recv(&self.reports)
    }
}
