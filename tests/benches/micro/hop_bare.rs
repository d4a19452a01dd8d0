//! The hop of the pool without the rest of the gateway.

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use gateway::{Accepted, Executor, Gateway, Job, Pool, Refused, ResponseFuture};
use tokio::runtime::Runtime;
use tower::Service as _;

use crate::hop::{hello, request};

/// The number of jobs that are created at a time if they run one after another.
const BATCH: u64 = 256;

/// An executor that stores a job instead of running it.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Option<Job>>>);

impl Keeper {
    fn keep(&self, job: Job) {
        *self.0.lock().expect("nobody panics") = Some(job);
    }
}

#[async_trait]
impl Executor for Keeper {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.keep(job);
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        self.keep(job);
        Ok(Accepted::at_once())
    }
}

/// A pool, and jobs that have not been submitted to it.
#[derive(Clone)]
pub(crate) struct Bare {
    pool: Pool,
    keeper: Keeper,
    gateway: Gateway,
}

impl Bare {
    pub(crate) fn new(pool: Pool) -> Self {
        let keeper = Keeper::default();
        Self { pool, gateway: Gateway::new(hello).executor(keeper.clone()), keeper }
    }

    /// Measures the time from submitting jobs, `in_flight` at a time, to receiving their responses.
    pub(crate) fn measure(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        runtime: &Runtime,
        in_flight: usize,
        name: &str,
    ) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let bare = self.clone();
                let client = runtime.spawn(async move {
                    match in_flight {
                        1 => bare.one_by_one(rounds).await,
                        _ => bare.at_a_time(in_flight, rounds).await,
                    }
                });
                runtime.block_on(client).expect("the client does not panic")
            });
        });
    }

    async fn one_by_one(&self, rounds: u64) -> Duration {
        let mut took = Duration::ZERO;
        let mut left = rounds;
        while left > 0 {
            let batch = left.min(BATCH);
            let jobs: Vec<_> = (0..batch).map(|_| self.job()).collect();
            let begun = Instant::now();
            for (job, response) in jobs {
                self.hand_over(job);
                black_box(response.await).ok();
            }
            took += begun.elapsed();
            left -= batch;
        }
        took
    }

    async fn at_a_time(&self, in_flight: usize, rounds: u64) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..rounds {
            let (jobs, responses): (Vec<_>, Vec<_>) = (0..in_flight).map(|_| self.job()).unzip();
            let begun = Instant::now();
            for job in jobs {
                self.hand_over(job);
            }
            for response in responses {
                black_box(response.await).ok();
            }
            took += begun.elapsed();
        }
        took
    }

    fn job(&self) -> (Job, ResponseFuture) {
        let response = self.gateway.clone().call(request());
        (self.keeper.0.lock().expect("nobody panics").take().expect("the gateway hands it over"), response)
    }

    fn hand_over(&self, job: Job) {
        let _: Accepted = self.pool.try_execute(job).expect("the pool has room");
    }
}
