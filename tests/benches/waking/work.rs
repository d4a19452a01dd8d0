//! The kinds of work.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use gateway::{Application, Chunks, application_fn};

pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) clients: usize,
    /// The number of threads that can do this work at the same time.
    pub(crate) parallelism: usize,
    pub(crate) application: fn() -> Box<dyn Application>,
}

pub(crate) const ALL: [Work; 8] = [
    Work { name: "hello", about: "which answer at once", clients: 64, parallelism: 2, application: || applied(|| {}) },
    Work {
        name: "lock",
        about: "which compute for 100 µs under one lock, in four pieces, as under that of an interpreter",
        clients: 64,
        parallelism: 1,
        application: || applied(|| locked(4, Duration::from_micros(25))),
    },
    Work {
        name: "lock-wait",
        about: "which wait 1 ms for a database, and compute for 100 µs under one lock",
        clients: 64,
        parallelism: 1,
        application: || {
            applied(|| {
                std::thread::sleep(Duration::from_millis(1));
                locked(4, Duration::from_micros(25));
            })
        },
    },
    Work {
        name: "compute",
        about: "which compute for 1 ms",
        clients: 64,
        parallelism: 2,
        application: || applied(|| compute(Duration::from_millis(1))),
    },
    Work {
        name: "wait-1",
        about: "which wait 1 ms for a database",
        clients: 64,
        parallelism: 2,
        application: || applied(|| std::thread::sleep(Duration::from_millis(1))),
    },
    Work {
        name: "wait-50",
        about: "which wait 50 ms",
        clients: 256,
        parallelism: 2,
        application: || applied(|| std::thread::sleep(Duration::from_millis(50))),
    },
    Work {
        name: "mixed",
        about: "of which one in ten waits 10 ms, and all others answer at once",
        clients: 64,
        parallelism: 2,
        application: || one_in(10, Duration::from_millis(10)),
    },
    Work {
        name: "rare",
        about: "of which one in a thousand waits 10 ms, and all others answer at once",
        clients: 64,
        parallelism: 2,
        application: || one_in(1000, Duration::from_millis(10)),
    },
];

fn applied(work: impl Fn() + Send + Sync + 'static) -> Box<dyn Application> {
    Box::new(application_fn(move |_, start_response| {
        work();
        start_response("200 OK", &[("Content-Type", "text/plain")])?;
        Ok(Chunks::new(["Hello, world!"]))
    }))
}

fn one_in(many: usize, wait: Duration) -> Box<dyn Application> {
    let count = std::sync::atomic::AtomicUsize::new(0);
    applied(move || {
        if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(many) {
            std::thread::sleep(wait);
        }
    })
}

fn locked(pieces: u32, piece: Duration) {
    static LOCK: Mutex<()> = Mutex::new(());
    for _ in 0..pieces {
        let lock = LOCK.lock().expect("nobody panics");
        compute(piece);
        drop(lock);
    }
}

/// Uses about the given CPU time, regardless of preemption: the number of rounds is calibrated.
fn compute(time: Duration) {
    let rounds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) * rounds_per_microsecond() / 1000;
    spin(rounds);
}

fn spin(rounds: u64) {
    let mut value = std::hint::black_box(rounds);
    for _ in 0..rounds {
        value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

fn rounds_per_microsecond() -> u64 {
    static ROUNDS: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *ROUNDS.get_or_init(|| {
        const ROUNDS: u64 = 2_000_000;
        // Take the shortest of ten runs, which was probably not preempted.
        let shortest = (0..10).map(|_| {
            let begun = Instant::now();
            spin(ROUNDS);
            begun.elapsed()
        });
        let shortest = shortest.min().unwrap_or(Duration::from_millis(1));
        ROUNDS * 1000 / u64::try_from(shortest.as_nanos()).unwrap_or(1).max(1)
    })
}
