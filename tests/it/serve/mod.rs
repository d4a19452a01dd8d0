//! The server: connections, addresses, timeouts, and shutdown.

mod addresses;
mod closing;
mod disconnect;
mod drain;
mod http2;
mod idle;
mod immediate_shutdown;
mod inherited;
mod listeners;
mod network;
mod services;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod unread;
mod upgrades;
mod write_stall;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway::{Chunks, Gateway, Pool, StartResponse, application_fn};

/// Where applications say that they were called, and wait until they are let go.
struct Gate {
    open: mpsc::Sender<()>,
    calls: mpsc::Receiver<()>,
}

/// The side of the applications.
#[derive(Clone)]
struct Waiting {
    opened: Arc<Mutex<mpsc::Receiver<()>>>,
    called: mpsc::Sender<()>,
}

fn gate() -> (Gate, Waiting) {
    let (open, opened) = mpsc::channel();
    let (called, calls) = mpsc::channel();
    (Gate { open, calls }, Waiting { opened: Arc::new(Mutex::new(opened)), called })
}

impl Gate {
    /// Waits until an application was called.
    fn await_call(&self) {
        self.calls.recv_timeout(Duration::from_secs(20)).expect("the application is called");
    }

    /// Lets one application go, now or later.
    fn open(&self) {
        self.open.send(()).expect("applications wait");
    }
}

impl Waiting {
    fn pass(&self) {
        // A test that does not look has no need to be told.
        let _ = self.called.send(());
        let _ = self.opened.lock().unwrap().recv();
    }
}

fn hello<'r>(start_response: &StartResponse<'_>) -> gateway::Result<Chunks<'r>> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(Chunks::new(["hello"]))
}

/// `/gated`, whose application waits, and `/fast`, which needs no thread.
fn gated(pool: &Pool, waiting: Waiting) -> Router {
    let app = application_fn(move |_, start_response| {
        waiting.pass();
        hello(&start_response)
    });
    Router::new()
        .route("/fast", get(|| async { "fast" }))
        .nest_service("/gated", Gateway::new(app).pool(pool))
        .fallback_service(Gateway::new(application_fn(|_, start_response| hello(&start_response))).pool(pool))
}

fn pool(threads: usize, queue: usize) -> Pool {
    Pool::builder().threads(threads).queue(queue).name("served").build().unwrap()
}
