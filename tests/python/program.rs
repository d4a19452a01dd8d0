//! The program of the docs of `gateway::python`: it starts the interpreter with settings. By default it has no handlers
//! of signals.

use std::path::PathBuf;

use axum::Router;
use clap::Parser;
use gateway::python::{self, Interpreter, Loader};

/// A server.
#[derive(Parser)]
struct Options {
    application: String,
    #[arg(long)]
    python_path: PathBuf,
    #[arg(long)]
    virtual_env: Option<PathBuf>,
    /// The loader's, while the interpreter runs in the other.
    #[arg(long)]
    second_virtual_env: Option<PathBuf>,
    #[arg(long)]
    dev_mode: bool,
    #[arg(long)]
    warning: Vec<String>,
    /// Loaded before the application, whether that succeeds or not.
    #[arg(long)]
    first: Option<String>,
    /// Stops on signals, with handlers from before the application is loaded.
    #[arg(long)]
    stop_on_signals: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = Options::parse();
    let signals = options.stop_on_signals.then(gateway::serve::stop_signals).transpose()?;
    let mut interpreter = Interpreter::new().dev_mode(options.dev_mode);
    if let Some(folder) = options.virtual_env {
        interpreter = interpreter.virtual_env(folder);
    }
    options.warning.into_iter().fold(interpreter, Interpreter::warning).start()?;
    let mut loader = Loader::new().path(options.python_path);
    if let Some(folder) = options.second_virtual_env {
        loader = loader.virtual_env(folder);
    }
    let _first = options.first.map(|name| loader.load(&name));
    let app = loader.load(&options.application)?;
    let pool = python::pool().threads(1).build()?;
    let router = Router::new().fallback_service(python::mount(app, &pool)?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = gateway::serve(listener, router).pool(&pool);
    match signals {
        Some((first, second)) => server.with_graceful_shutdown(first).with_immediate_shutdown(second).await?,
        None => server.await?,
    }
    Ok(())
}
