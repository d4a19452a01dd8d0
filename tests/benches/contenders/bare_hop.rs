//! The minimal hop to a thread and back: a queue under a mutex, a condition variable and a `oneshot`, behind axum's own
//! handlers. The thread borrows the request, as an application does, and the request returns with the response, because
//! memory is freed at the lowest cost on the thread that allocated it. There is no limit, no check and no streaming,
//! and no handling of panics, of clients that disconnect, or of a shutdown. The cost of the gateway above this program
//! is the cost of its features; the cost of this program above async axum is the cost of the hop.
mod handlers;
mod work;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use axum::Router;
use axum::body::{HttpBody as _, to_bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use bytes::Bytes;
use clap::Parser;
use tokio::sync::oneshot;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    work: work::Options,
    /// The number of threads of the pool.
    #[arg(long)]
    threads: usize,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let Options { work, threads } = Options::parse();
    let address = work.apply();
    let app = Router::new()
        .route("/hello", get(async |State(hop): Hop, request| hop.run(request, |_, _| work::HELLO).await))
        .route(
            "/body",
            get(async |State(hop): Hop, request| hop.run(request, |head, _| work::body(head.uri.query())).await),
        )
        .route("/echo", post(async |State(hop): Hop, request| hop.run(request, |_, body| body).await))
        .route("/stream", get(async |State(hop): Hop, request| hop.run(request, |_, _| stream()).await))
        .route("/headers", get(async |State(hop): Hop, request| hop.run(request, |head, _| headers(head)).await))
        .route(
            "/query",
            get(async |State(hop): Hop, request| hop.run(request, |head, _| work::row(head.uri.query())).await),
        )
        .route("/sleep", get(async |State(hop): Hop, request| hop.run(request, |_, _| handlers::sleep()).await))
        .with_state(Threads::start(threads)?);
    handlers::serve(address, app).await
}

type Hop = State<Arc<Threads>>;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Threads {
    queue: Mutex<JobQueue>,
    wakeup: Condvar,
}

#[derive(Default)]
struct JobQueue {
    jobs: VecDeque<Job>,
    idle: usize,
}

impl Threads {
    fn start(count: usize) -> io::Result<Arc<Self>> {
        let threads = Arc::new(Self::default());
        for _ in 0..count {
            let threads = Arc::clone(&threads);
            thread::Builder::new().spawn(move || {
                loop {
                    threads.next()();
                }
            })?;
        }
        Ok(threads)
    }

    async fn run<T: Send + 'static>(
        &self,
        request: Request,
        work: impl FnOnce(&Parts, Bytes) -> T + Send + 'static,
    ) -> Result<T, StatusCode> {
        let (head, body) = request.into_parts();
        let body = match body.is_end_stream() {
            true => Bytes::new(),
            false => to_bytes(body, usize::MAX).await.map_err(|_| StatusCode::BAD_REQUEST)?,
        };
        let (sender, receiver) = oneshot::channel();
        let has_idle = {
            let mut queue = self.lock();
            queue.jobs.push_back(Box::new(|| {
                let answer = work(&head, body);
                let _ = sender.send((answer, head));
            }));
            queue.idle > 0
        };
        if has_idle {
            self.wakeup.notify_one();
        }
        let (answer, _head) = receiver.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        Ok(answer)
    }

    fn next(&self) -> Job {
        let mut queue = self.lock();
        let mut has_let_others_go_first = false;
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return job;
            }
            if !has_let_others_go_first {
                // Yield before the thread sleeps, as the gateway does: a yield costs less than a sleep and a wakeup.
                has_let_others_go_first = true;
                drop(queue);
                thread::yield_now();
                queue = self.lock();
                continue;
            }
            queue.idle += 1;
            queue = self.wakeup.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn headers(head: &Parts) -> String {
    handlers::read(RawQuery(head.uri.query().map(str::to_owned)), &head.headers)
}

fn stream() -> Vec<u8> {
    (0..work::PIECES).flat_map(|_| work::piece()).collect()
}
