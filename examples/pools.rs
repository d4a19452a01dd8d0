//! Two mounts on one pool, one with a reserved thread: the checkout answers even if reports use all other threads.
//!
//! ```sh
//! cargo run --release --example pools
//! for i in $(seq 20); do curl -so /dev/null -w '%{http_code}\n' http://127.0.0.1:8000/reports & done
//! curl -w '%{http_code} after %{time_total} s\n' http://127.0.0.1:8000/checkout
//! curl http://127.0.0.1:8000/pool
//! wait
//! ```
//!
//! A report takes four seconds. Of the pool's four threads and eight places in the queue, one thread and two places are
//! reserved for the checkout. So of twenty reports three run, six are queued, and eleven get 503 at once with a
//! `retry-after` that `-i` shows. The checkout answers within milliseconds. Remove its `share`, and it gets 503 as
//! well.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway::{Application, Environ, Pool, Share, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(4).queue(8).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app(&pool, report, sell)?;
    gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
}

/// The routes. The tests pass their own applications.
fn app(pool: &Pool, reports: impl Application, checkout: impl Application) -> std::io::Result<Router> {
    let first = pool.share(Share::new().reserved_threads(1))?;
    let figures = pool.clone();
    Ok(Router::new()
        .route("/reports", get(pool.mount(reports).name("reports")))
        .route("/checkout", get(first.mount(checkout).name("checkout")))
        .route("/pool", get(|| async move { describe(&figures) })))
}

/// The state of the pool. An async handler, which answers even if all threads are busy.
fn describe(pool: &Pool) -> String {
    let stats = pool.stats();
    let head = format!("{} busy, {} queued, {} turned away\n", stats.busy, stats.queued, stats.shed);
    let jobs = pool.running().into_iter().map(|job| format!("{} on {} for {:.1?}\n", job.mount, job.thread, job.age));
    std::iter::once(head).chain(jobs).collect()
}

/// A slow query.
#[wsgi_app]
fn report(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    std::thread::sleep(Duration::from_secs(4));
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(["a report\n"])
}

/// Fast, if it gets a thread.
#[wsgi_app]
fn sell(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(["sold\n"])
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar, Mutex};

    use axum::body::Body;
    use axum::http::Request;
    use gateway::{Chunks, application_fn};
    use tokio::sync::mpsc;
    use tower::ServiceExt as _;

    use super::*;

    /// Blocks reports until the test opens it.
    #[derive(Default)]
    struct Gate {
        is_open: Mutex<bool>,
        opened: Condvar,
    }

    impl Gate {
        fn pass(&self) {
            drop(self.opened.wait_while(self.is_open.lock().unwrap(), |open| !*open).unwrap());
        }

        fn open(&self) {
            *self.is_open.lock().unwrap() = true;
            self.opened.notify_all();
        }
    }

    /// Reports that signal their start, and end when the gate opens.
    fn gated(gate: &Arc<Gate>) -> (impl Application + use<>, mpsc::UnboundedReceiver<()>) {
        let (begin, begun) = mpsc::unbounded_channel();
        let gate = Arc::clone(gate);
        let app = application_fn(move |_, start_response| {
            begin.send(())?;
            gate.pass();
            start_response("200 OK", &[])?;
            Ok(Chunks::empty())
        });
        (app, begun)
    }

    async fn status(app: Router, path: &'static str) -> u16 {
        app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn the_checkout_answers_while_reports_have_all_they_can_get() {
        let gate = Arc::new(Gate::default());
        let (reports, mut begun) = gated(&gate);
        let pool = Pool::builder().threads(4).queue(8).build().unwrap();
        let app = app(&pool, reports, sell).unwrap();
        let held: Vec<_> = (0..9).map(|_| tokio::spawn(status(app.clone(), "/reports"))).collect();
        for _ in 0..3 {
            begun.recv().await.unwrap();
        }
        while pool.stats().queued < 6 {
            tokio::task::yield_now().await;
        }
        assert_eq!(status(app.clone(), "/reports").await, 503);
        // More requests than places: each request frees its place for the next.
        for _ in 0..20 {
            assert_eq!(status(app.clone(), "/checkout").await, 200);
        }
        let text = describe(&pool);
        assert!(text.contains("6 queued, 1 turned away\nreports on gateway-"), "{text}");
        gate.open();
        for answer in held {
            assert_eq!(answer.await.unwrap(), 200);
        }
    }

    #[tokio::test]
    async fn without_a_reservation_it_would_not() {
        let gate = Arc::new(Gate::default());
        let (reports, mut begun) = gated(&gate);
        let pool = Pool::builder().threads(1).queue(0).build().unwrap();
        let app = Router::new().route("/reports", get(pool.mount(reports))).route("/checkout", get(pool.mount(sell)));
        let held = tokio::spawn(status(app.clone(), "/reports"));
        begun.recv().await.unwrap();
        assert_eq!(status(app, "/checkout").await, 503);
        gate.open();
        assert_eq!(held.await.unwrap(), 200);
    }
}
