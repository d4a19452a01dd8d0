//! Two mounts on one pool, one of them with a thread of its own: reports may take all the others, the checkout answers.
//!
//! ```sh
//! cargo run --release --example pools
//! for i in $(seq 20); do curl -so /dev/null -w '%{http_code}\n' http://127.0.0.1:8000/reports & done
//! curl -w '%{http_code} after %{time_total} s\n' http://127.0.0.1:8000/checkout
//! curl http://127.0.0.1:8000/pool
//! wait
//! ```
//!
//! A report takes four seconds. Of the pool's four threads and eight places in the queue, the checkout keeps one and
//! two. So of twenty reports three run, six wait, and eleven get 503 at once; `-i` shows when they are to come again.
//! The checkout answers within milliseconds all the while. Take its `share` away, and it gets 503 like everybody else.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway::{Application, Environ, Gateway, Pool, Share, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(4).queue(8).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app(&pool, report, sell)?;
    gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
}

/// The routes. The tests have applications of their own.
fn app(pool: &Pool, reports: impl Application, checkout: impl Application) -> std::io::Result<Router> {
    let first = pool.share(Share::new().reserved_threads(1))?;
    let figures = pool.clone();
    Ok(Router::new()
        .route_service("/reports", Gateway::new(reports).name("reports").pool(pool))
        .route_service("/checkout", Gateway::new(checkout).name("checkout").pool(&first))
        .route("/pool", get(|| async move { describe(&figures) })))
}

/// How the pool is doing. Asks no thread, so it answers whatever the threads do.
fn describe(pool: &Pool) -> String {
    let stats = pool.stats();
    let head = format!("{} busy, {} queued, {} turned away\n", stats.busy, stats.queued, stats.shed);
    let jobs = pool.running().into_iter().map(|job| format!("{} on {} for {:.1?}\n", job.mount, job.thread, job.age));
    std::iter::once(head).chain(jobs).collect()
}

/// Slow, as such queries are.
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

    /// Holds back reports until the test opens it.
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

    /// Reports that tell when they have begun, and end when they are let.
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
        // More often than there are places: each leaves its own to the next.
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
        let app = Router::new()
            .route_service("/reports", Gateway::new(reports).pool(&pool))
            .route_service("/checkout", Gateway::new(sell).pool(&pool));
        let held = tokio::spawn(status(app.clone(), "/reports"));
        begun.recv().await.unwrap();
        assert_eq!(status(app, "/checkout").await, 503);
        gate.open();
        assert_eq!(held.await.unwrap(), 200);
    }
}
