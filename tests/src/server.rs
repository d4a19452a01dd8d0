//! Routers on a loopback socket.

use std::net::SocketAddr;

use axum::Router;
use gateway::{Application, Gateway, Pool};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::bound::{join, recv};
use crate::segments::Segmented;
use crate::{Connection, Segments};

/// The flavour of the runtime that a server runs on.
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

/// A type that a server can serve: an application, a gateway, or a router. The parameter distinguishes the three impls.
pub trait IntoRouter<Kind: ?Sized>: Sized {
    /// The router that serves it at every path.
    fn into_router(self) -> Router;

    /// The same, and the pool for its jobs and its connections: its jobs run where they were read.
    fn into_driven(self, drivers: usize) -> (Router, Pool) {
        (self.into_router(), driving_pool(drivers, 1))
    }
}

impl<A: Application> IntoRouter<dyn Application> for A {
    fn into_router(self) -> Router {
        Gateway::new(self).into_router()
    }

    fn into_driven(self, drivers: usize) -> (Router, Pool) {
        let pool = driving_pool(drivers, 64);
        (Gateway::new(self).pool(&pool).assume_short().into_router(), pool)
    }
}

impl IntoRouter<Self> for Gateway {
    fn into_router(self) -> Router {
        Router::new().fallback_service(self)
    }
}

impl IntoRouter<Self> for Router {
    fn into_router(self) -> Router {
        self
    }
}

impl Server {
    /// Serves on a separate runtime with several threads: with `gateway::serve`, or the server that
    /// `GATEWAY_TEST_SERVER` names.
    pub fn of<K: ?Sized>(app: impl IntoRouter<K>) -> Self {
        Self::on(Flavour::MultiThread, app)
    }

    /// The same on a runtime of this flavour.
    pub fn on<K: ?Sized>(flavour: Flavour, app: impl IntoRouter<K>) -> Self {
        Self::in_segments(Segments::wanted(), flavour, app)
    }

    /// The same on connections with segments of this size.
    pub fn in_segments<K: ?Sized>(segments: Segments, flavour: Flavour, app: impl IntoRouter<K>) -> Self {
        match std::env::var("GATEWAY_TEST_SERVER").as_deref() {
            Ok("axum") => Self::in_axum(segments, flavour, app),
            Ok(other) => panic!("GATEWAY_TEST_SERVER is {other:?}; it can be \"axum\""),
            Err(_) => Self::in_gateway(segments, flavour, app),
        }
    }

    /// Serves with `gateway::serve`, for what no other server does.
    pub fn with_gateway<K: ?Sized>(app: impl IntoRouter<K>) -> Self {
        Self::in_gateway(Segments::wanted(), Flavour::MultiThread, app)
    }

    /// Serves with `axum::serve`, which provides only the peer's address.
    pub fn with_axum<K: ?Sized>(app: impl IntoRouter<K>) -> Self {
        Self::in_axum(Segments::Whole, Flavour::MultiThread, app)
    }

    fn in_gateway<K: ?Sized>(segments: Segments, flavour: Flavour, app: impl IntoRouter<K>) -> Self {
        let (router, pool) = match drivers() {
            0 => (app.into_router(), None),
            drivers => {
                let (router, pool) = app.into_driven(drivers);
                (router, Some(pool))
            }
        };
        Self::run(segments, flavour, move |listener| {
            let server = gateway::serve(Segmented { listener, segments }, router);
            match pool {
                Some(pool) => server.pool(&pool).into_future(),
                None => server.into_future(),
            }
        })
    }

    /// Only the client's segments have the size.
    fn in_axum<K: ?Sized>(segments: Segments, flavour: Flavour, app: impl IntoRouter<K>) -> Self {
        let service = app.into_router().into_make_service_with_connect_info::<SocketAddr>();
        Self::run(segments, flavour, move |listener| axum::serve(listener, service).into_future())
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
        let address = recv(&address);
        Self { address, segments, stop: Some(stop), thread: Some(thread) }
    }

    /// The address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        Connection::open_in(self.segments, self.address)
    }

    /// Sends a GET on a new connection.
    pub fn ask(&self, target: &str) -> Connection {
        let mut connection = self.connect();
        connection.send(&format!("GET {target} HTTP/1.1\r\nHost: test.local\r\n\r\n"));
        connection
    }

    /// Sends a GET on a new connection and reads the reply.
    pub fn get(&self, target: &str) -> crate::Reply {
        self.ask(target).reply()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A failed test reports its own panic.
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            join(thread);
        }
    }
}

/// How many threads drive the connections of a server: the environment variable `GATEWAY_TEST_DRIVERS` says it.
fn drivers() -> usize {
    std::env::var("GATEWAY_TEST_DRIVERS").map_or(0, |drivers| drivers.parse().expect("a number of drivers"))
}

fn driving_pool(drivers: usize, threads: usize) -> Pool {
    Pool::builder().threads(threads).drivers(drivers).build().expect("a pool")
}
