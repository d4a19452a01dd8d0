//! A program without a `tracing` subscriber. Three of its requests fail. It prints their statuses. With the argument
//! `logger`, it has a logger of the `log` facade, which prints the number of the errors.

use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::{Gateway, Pool, application_fn};
use tower::ServiceExt as _;

/// Counts the errors with the text of the failure.
struct Logger(AtomicUsize);

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Error && record.args().to_string().contains("the disk") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger(AtomicUsize::new(0));

fn main() -> std::io::Result<()> {
    let has_logger = std::env::args().any(|argument| argument == "logger");
    if has_logger {
        log::set_logger(&LOGGER).map_err(std::io::Error::other)?;
        log::set_max_level(log::LevelFilter::Error);
    }
    let pool = Pool::builder().threads(1).build()?;
    let app = application_fn(|_, _| Err(gateway::Error::new("the disk\nis gone")));
    let gateway = Gateway::new(app).pool(&pool);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for _ in 0..3 {
        let request = http::Request::new(axum::body::Body::empty());
        let Ok(response) = runtime.block_on(gateway.clone().oneshot(request));
        println!("{}", response.status().as_u16());
    }
    if has_logger {
        println!("{} errors", LOGGER.0.load(Ordering::Relaxed));
    }
    Ok(())
}
