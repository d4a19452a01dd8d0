//! Serves a Python WSGI application: Flask, Django, or any other callable.
//!
//! ```sh
//! cargo run --release --features python --example python -- shop.wsgi:application --python-path src --port 8000 --threads 16
//! cargo run --release --features python --example python -- 'shop:create_app()' --virtual-env .venv
//! ```
//!
//! The application is mounted at `/` and at `/app`, where its `SCRIPT_NAME` is `/app`. Request bodies are spooled
//! before the call; `--stream` streams them.

mod flags;

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use clap::Parser;
use gateway::python::{self, Callable, Loader};
use gateway::{Application, Pool};

use self::flags::Flags;

/// A server for Python's WSGI applications.
#[derive(Parser)]
pub(crate) struct Options {
    /// The application: a module, a colon, and an attribute, or a factory followed by `()`.
    application: String,
    /// A folder with modules; may be given several times.
    #[arg(long)]
    python_path: Vec<PathBuf>,
    /// The virtual environment, if not the active one.
    #[arg(long)]
    virtual_env: Option<PathBuf>,
    /// Streams request bodies instead of spooling them.
    #[arg(long)]
    stream: bool,
    /// The time for Python's threads and `atexit` handlers at the end, after the grace.
    #[arg(long, default_value_t = 30_000)]
    exit_ms: u64,
    #[command(flatten)]
    flags: Flags,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let end = || {
        // What it has cut off is in the log.
        let _ = python::finish(Duration::from_millis(options.exit_ms));
    };
    options.flags.run(|| build(&options), end)
}

/// The router, and the pool that its application runs on.
pub(crate) fn build(options: &Options) -> anyhow::Result<(Router, Pool)> {
    route(options, load(options)?)
}

/// Loads the application.
pub(crate) fn load(options: &Options) -> anyhow::Result<Callable> {
    let mut loader = options.python_path.iter().fold(Loader::new(), |loader, folder| loader.path(folder));
    if let Some(folder) = &options.virtual_env {
        loader = loader.virtual_env(folder);
    }
    Ok(loader.load(&options.application)?)
}

/// Mounts an application twice.
pub(crate) fn route(options: &Options, application: impl Application) -> anyhow::Result<(Router, Pool)> {
    let pool = options.flags.pool(python::pool()).build()?;
    let gateway = if options.stream { pool.mount(application) } else { python::mount(application, &pool)? };
    let gateway = options.flags.gateway(gateway)?;
    Ok((Router::new().nest_service("/app", gateway.clone()).fallback_service(gateway), pool))
}
