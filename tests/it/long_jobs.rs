//! Long-running jobs concurrent with short ones.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway::{Application, Gateway, Pool};
use gateway_tests::{answer_fn, call};
use tokio::sync::mpsc;

/// Computes: at `/long` until it is stopped, elsewhere for a short time.
fn computing(is_stopped: &Arc<AtomicBool>) -> (impl Application + use<>, mpsc::UnboundedReceiver<()>) {
    let (begin, begun) = mpsc::unbounded_channel();
    let is_stopped = Arc::clone(is_stopped);
    let app = answer_fn(move |environ| {
        if environ.path_info() == "/long" {
            begin.send(())?;
            while !is_stopped.load(Ordering::Relaxed) {
                spin_loop();
            }
        } else {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(100) {
                spin_loop();
            }
        }
        Ok(["ok"])
    });
    (app, begun)
}

/// POOL-06: a job that computes for ever occupies one thread only: later jobs run on the other threads.
#[tokio::test(crate = "crate::bounded", flavor = "multi_thread")]
async fn a_job_that_never_ends_holds_up_no_other() {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let (app, mut begun) = computing(&is_stopped);
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
    is_stopped.store(true, Ordering::Relaxed);
    assert!(in_time.is_ok(), "{stats:?}");
    assert_eq!(long.await.unwrap().unwrap().status(), 200);
}
