//! The gateway with a Python application, served as in `examples/python.rs`, but with these differences: no metrics,
//! because the other servers have none by default; a queue so long that no request is refused; and granian's allocator.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use axum::Router;
use clap::Parser;
use gateway::python::{self, Loader};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Options {
    /// The application, as `module:attribute`.
    application: String,
    /// The folder that contains the module of the application.
    #[arg(long)]
    python_path: PathBuf,
    /// The virtual environment that contains Flask.
    #[arg(long)]
    virtual_env: PathBuf,
    /// The number of threads of the pool.
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    port: u16,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let loader = Loader::new().path(options.python_path).virtual_env(options.virtual_env);
    let application = loader.load(&options.application)?;
    let pool = python::pool().threads(options.threads).queue(4096).build()?;
    let router = Router::new().fallback_service(python::mount(application, &pool)?);
    serve(router, &pool, options.port)?;
    Ok(())
}

#[tokio::main]
async fn serve(router: Router, pool: &gateway::Pool, port: u16) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    gateway::serve(listener, router).pool(pool).with_graceful_shutdown(tokio::signal::ctrl_c()).await
}
