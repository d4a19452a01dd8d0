//! The flags that the example servers share, and their settings.

#[path = "../log/mod.rs"]
mod log;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use clap::{Args, ValueEnum};
use gateway::serve::Server;
use gateway::{Gateway, Pool, PoolBuilder, Spool};

/// The address and the limits. The default of a limit is the library's.
#[derive(Args)]
pub(crate) struct Flags {
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 9600)]
    port: u16,
    /// Listen on a Unix socket instead.
    #[arg(long)]
    uds: Option<PathBuf>,
    /// The maximum number of threads.
    #[arg(long)]
    threads: Option<usize>,
    /// The maximum number of queued requests.
    #[arg(long)]
    queue: Option<usize>,
    /// The queue timeout.
    #[arg(long)]
    queue_timeout_ms: Option<u64>,
    /// The largest request body, in bytes.
    #[arg(long)]
    max_body: Option<u64>,
    /// The timeout for the next bytes of a request body.
    #[arg(long)]
    body_idle_ms: Option<u64>,
    /// The timeout for a write that makes no progress.
    #[arg(long)]
    write_stall_ms: Option<u64>,
    /// The grace of a shutdown.
    #[arg(long)]
    grace_ms: Option<u64>,
    /// The timeout for the head of a request.
    #[arg(long)]
    header_timeout_ms: Option<u64>,
    /// How much of a request body is read before a thread is taken.
    #[arg(long)]
    read_ahead: Option<usize>,
    /// Spool request bodies.
    #[arg(long)]
    spool: bool,
    /// The runtime.
    #[arg(long, value_enum, default_value_t = Flavour::Multi)]
    runtime: Flavour,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flavour {
    Multi,
    Current,
}

impl Flags {
    /// The pool with the flags' settings.
    pub(crate) fn pool(&self, mut pool: PoolBuilder) -> PoolBuilder {
        if let Some(threads) = self.threads {
            pool = pool.threads(threads);
        }
        if let Some(queue) = self.queue {
            pool = pool.queue(queue);
        }
        if let Some(milliseconds) = self.queue_timeout_ms {
            pool = pool.queue_timeout(Duration::from_millis(milliseconds));
        }
        pool
    }

    /// The mount with the flags' settings.
    pub(crate) fn gateway(&self, mut gateway: Gateway) -> io::Result<Gateway> {
        if let Some(bytes) = self.max_body {
            gateway = gateway.body_limit(bytes);
        }
        if let Some(milliseconds) = self.body_idle_ms {
            gateway = gateway.body_idle(Duration::from_millis(milliseconds));
        }
        if let Some(milliseconds) = self.write_stall_ms {
            gateway = gateway.write_stall(Duration::from_millis(milliseconds));
        }
        if let Some(bytes) = self.read_ahead {
            gateway = gateway.read_ahead(bytes);
        }
        if self.spool {
            // Little of each body stays in memory, as there may be many slow ones.
            gateway = gateway.spool(&Spool::builder().memory(16 * 1024).total(4 << 30).build()?);
        }
        Ok(gateway)
    }

    /// Runs a server until a signal stops it. `build` returns the router and its pool. The log goes to stderr, also
    /// that of `end`, which is called last.
    pub(crate) fn run(
        &self,
        build: impl FnOnce() -> anyhow::Result<(Router, Pool)>,
        end: impl FnOnce(),
    ) -> anyhow::Result<()> {
        let _log = log::Log::start("warn", io::stderr());
        let outcome = self.run_server(build);
        end();
        outcome
    }

    fn run_server(&self, build: impl FnOnce() -> anyhow::Result<(Router, Pool)>) -> anyhow::Result<()> {
        let (router, pool) = build()?;
        let mut runtime = match self.runtime {
            Flavour::Multi => tokio::runtime::Builder::new_multi_thread(),
            Flavour::Current => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = runtime.enable_all().build()?;
        let outcome = runtime.block_on(self.serve(router, &pool));
        // The grace is over: do not wait for running requests.
        runtime.shutdown_background();
        outcome
    }

    async fn serve(&self, router: Router, pool: &Pool) -> anyhow::Result<()> {
        match &self.uds {
            Some(path) => {
                let listener = tokio::net::UnixListener::bind(path)?;
                // Install the signal handlers before the address is printed.
                let server = self.server(gateway::serve(listener, router)).pool(pool).stop_on_signals()?;
                println!("listening on unix:{}", path.display());
                server.await?;
                std::fs::remove_file(path)?;
            }
            None => {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.port)).await?;
                let address = listener.local_addr()?;
                let server = self.server(gateway::serve(listener, router)).pool(pool).stop_on_signals()?;
                println!("listening on http://{address}");
                server.await?;
            }
        }
        Ok(())
    }

    /// The server with the flags' settings.
    fn server<L, S>(&self, mut server: Server<L, S>) -> Server<L, S> {
        if let Some(milliseconds) = self.grace_ms {
            server = server.grace(Duration::from_millis(milliseconds));
        }
        if let Some(milliseconds) = self.write_stall_ms {
            server = server.write_stall(Duration::from_millis(milliseconds));
        }
        if let Some(milliseconds) = self.header_timeout_ms {
            server = server.header_timeout(Duration::from_millis(milliseconds));
        }
        server
    }
}
