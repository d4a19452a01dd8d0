//! Routers on a loopback socket.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::segments::Segmented;
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

    pub(crate) fn build(self) -> Runtime {
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
    /// Serves a router with `gateway::serve`.
    pub fn start(router: Router) -> Self {
        Self::start_on(Flavour::MultiThread, router)
    }

    /// Serves a router on a runtime of this flavour.
    pub fn start_on(flavour: Flavour, router: Router) -> Self {
        Self::start_in(Segments::wanted(), flavour, router)
    }

    /// Serves a router on connections that carry segments of this size.
    pub fn start_in(segments: Segments, flavour: Flavour, router: Router) -> Self {
        Self::run(segments, flavour, move |listener| {
            gateway::serve(Segmented { listener, segments }, router).into_future()
        })
    }

    /// Serves a router with `axum::serve`, which tells the peer and no more.
    pub fn start_with_axum(router: Router) -> Self {
        Self::run(Segments::Whole, Flavour::MultiThread, move |listener| {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).into_future()
        })
    }

    fn run<F>(segments: Segments, flavour: Flavour, serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = flavour.build();
            runtime.block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
                ready.send(listener.local_addr().expect("a bound socket")).expect("the test waits");
                tokio::select! {
                    served = serve(listener) => served.expect("serving"),
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
