//! Routers on a loopback socket.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use tower::util::MapRequestLayer;

use crate::segments::{Peer, Segmented};
use crate::{Connection, Segments};

/// The runtime a server runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// One thread for everything.
    CurrentThread,
    /// Two worker threads.
    MultiThread,
}

impl Flavour {
    /// Every flavour.
    pub const ALL: [Self; 2] = [Self::CurrentThread, Self::MultiThread];

    fn build(self) -> Runtime {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    segments: Segments,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Serves a router with `axum::serve`, telling it who its peers are.
    pub fn start(router: Router) -> Self {
        Self::start_on(Flavour::MultiThread, router)
    }

    /// Serves a router on a runtime of this flavour.
    pub fn start_on(flavour: Flavour, router: Router) -> Self {
        Self::start_in(Segments::wanted(), flavour, router)
    }

    /// Serves a router on connections that carry segments of this size.
    pub fn start_in(segments: Segments, flavour: Flavour, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = flavour.build();
            runtime.block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
                ready.send(listener.local_addr().expect("a bound socket")).expect("the test waits");
                let service = router.layer(MapRequestLayer::new(tell_peer));
                let service = service.into_make_service_with_connect_info::<Peer>();
                tokio::select! {
                    served = axum::serve(Segmented { listener, segments }, service) => served.expect("serving"),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = address.recv().expect("the server started");
        Self { address, segments, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        Connection::open_in(self.segments, self.address)
    }

    /// Sends a GET on a connection of its own and reads the reply.
    pub fn get(&self, target: &str) -> crate::Reply {
        let mut connection = self.connect();
        connection.send(&format!("GET {target} HTTP/1.1\r\nHost: test.local\r\n\r\n"));
        connection.reply()
    }
}

/// Tells the peer as `axum::serve` would on a plain listener.
fn tell_peer(mut request: Request) -> Request {
    if let Some(&ConnectInfo(Peer(peer))) = request.extensions().get() {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let stopped = thread.join();
            if !std::thread::panicking() {
                stopped.expect("the server did not panic");
            }
        }
    }
}
