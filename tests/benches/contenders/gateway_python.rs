//! The gateway with an application that is written in Python, as `examples/python.rs` serves one, but built without
//! metrics, as the other servers come; and with a queue so long that nobody is refused; and with the allocator that
//! granian has.

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
    /// The folder of its module.
    #[arg(long)]
    python_path: PathBuf,
    /// Where Flask is.
    #[arg(long)]
    virtual_env: PathBuf,
    /// The threads of the pool.
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
