//! Jobs that compute for long, and what they leave to others.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway::{Application, Chunks, Gateway, Pool, ResponseFuture, application_fn};
use tokio::sync::mpsc;

fn call(gateway: &Gateway, path: &str) -> ResponseFuture {
    let request = http::Request::get(path).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    tower::Service::call(&mut gateway.clone(), request)
}

/// Computes: at `/long` until it is let go, anywhere else for a moment.
fn computing(is_let_go: &Arc<AtomicBool>) -> (impl Application + use<>, mpsc::UnboundedReceiver<()>) {
    let (begin, begun) = mpsc::unbounded_channel();
    let is_let_go = Arc::clone(is_let_go);
    let app = application_fn(move |environ, start_response| {
        if environ.path_info() == "/long" {
            begin.send(())?;
            while !is_let_go.load(Ordering::Relaxed) {
                spin_loop();
            }
        } else {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(100) {
                spin_loop();
            }
        }
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    (app, begun)
}

/// POOL-06: jobs that compute for ever have a processor each, and not the pool: those that come after them run, as
/// there are threads.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_never_end_hold_up_nobody() {
    let is_let_go = Arc::new(AtomicBool::new(false));
    let (app, mut begun) = computing(&is_let_go);
    let pool = Pool::builder()
        .threads(4)
        .queue(10_000)
        .parallelism(1)
        .queue_timeout(Duration::from_secs(600))
        .build()
        .unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    let long = tokio::spawn(call(&gateway, "/long"));
    begun.recv().await.unwrap();
    let short: Vec<_> = (0..3000).map(|_| tokio::spawn(call(&gateway, "/short"))).collect();
    let all = async {
        for answer in short {
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), all).await;
    let stats = pool.stats();
    is_let_go.store(true, Ordering::Relaxed);
    assert!(in_time.is_ok(), "{stats:?}");
    assert_eq!(long.await.unwrap().unwrap().status(), 200);
}
