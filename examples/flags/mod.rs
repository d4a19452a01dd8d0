//! The flags that the example servers share, and their settings.

#[path = "../log/mod.rs"]
pub(crate) mod log;
mod socket;

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use clap::{Args, ValueEnum};
use gateway::serve::{MalformedHead, Server, stop_signals};
use gateway::{Gateway, Pool, PoolBuilder, Spool};
use tokio::runtime::Runtime;

use self::socket::{InTurns, UntilHandOver};
pub(crate) use self::socket::{Listener, Socket};

/// The address and the limits. The default of a limit is the library's.
#[derive(Args)]
pub(crate) struct Flags {
    /// The IP address to listen on; 0.0.0.0 is all of IPv4, as in a container.
    #[arg(long, default_value = "127.0.0.1", help_heading = "Address")]
    host: IpAddr,
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 9600, help_heading = "Address")]
    port: u16,
    /// Listen on a Unix socket instead. The file of a server that no longer runs is replaced.
    #[arg(long, value_name = "PATH", help_heading = "Address")]
    uds: Option<PathBuf>,
    /// The mode of the Unix socket's file, in octal, such as 660. Default: what the umask leaves.
    #[arg(long, value_name = "MODE", value_parser = file_mode, requires = "uds", help_heading = "Address")]
    uds_mode: Option<u32>,
    /// The maximum number of threads.
    #[arg(long, value_name = "NUMBER", value_parser = positive, help_heading = "Threads and queue")]
    threads: Option<usize>,
    /// The maximum number of queued requests.
    #[arg(long, value_name = "REQUESTS", help_heading = "Threads and queue")]
    queue: Option<usize>,
    /// The queue timeout.
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Threads and queue")]
    queue_timeout_ms: Option<u64>,
    /// The largest request body, in bytes.
    #[arg(long, value_name = "BYTES", help_heading = "Request bodies")]
    max_body: Option<u64>,
    /// How much of a request body is read before a thread is taken.
    #[arg(long, value_name = "BYTES", help_heading = "Request bodies")]
    read_ahead: Option<usize>,
    /// Spool request bodies.
    #[arg(long, help_heading = "Request bodies")]
    spool: bool,
    /// The timeout for the next bytes of a request body.
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Timeouts")]
    body_idle_ms: Option<u64>,
    /// The timeout for a write that makes no progress.
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Timeouts")]
    write_stall_ms: Option<u64>,
    /// The timeout for the head of a request.
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Timeouts")]
    header_timeout_ms: Option<u64>,
    /// How long a shutdown waits for open requests.
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Timeouts")]
    grace_ms: Option<u64>,
    /// Send header names as Content-Type on HTTP/1, not as content-type, for old clients.
    #[arg(long, help_heading = "Responses")]
    title_case_headers: bool,
    /// The runtime.
    #[arg(long, value_enum, default_value_t = Flavour::Multi, help_heading = "Threads and queue")]
    runtime: Flavour,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flavour {
    Multi,
    Current,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("there has to be one".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// The mode of a file from octal digits.
fn file_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is at most three octal digits, such as 660".to_owned()),
    }
}

/// Is told of the requests that the server has refused itself.
pub(crate) type OnMalformed = Box<dyn Fn(&MalformedHead) + Send + Sync>;

/// The futures that stop a server.
pub(crate) struct Stop<Drain, Cut> {
    /// It accepts no more connections, and serves those that it has. Another process listens on the same address.
    pub(crate) hand_over: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether `drain` is ready.
    pub(crate) is_draining: Box<dyn Fn() -> bool + Send>,
    /// It finishes its requests.
    pub(crate) drain: Drain,
    /// It ends the drain.
    pub(crate) cut: Cut,
}

/// The second signal.
pub(crate) type BoxedSignal = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The futures of a process that stops on signals: the first SIGTERM or Ctrl-C lets it drain, the second cuts.
pub(crate) fn on_signals() -> io::Result<Stop<impl Future<Output = ()> + Send + 'static, BoxedSignal>> {
    let (drain, cut) = stop_signals()?;
    // One process has no turns.
    Ok(Stop { hand_over: Box::pin(pending()), is_draining: Box::new(|| true), drain, cut: Box::pin(cut) })
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

    /// Runs a server until a signal stops it. `build` returns the router and its pool. The log goes to stderr.
    #[allow(dead_code, reason = "some servers bring their own log and their own signals")]
    pub(crate) fn run(&self, build: impl FnOnce() -> anyhow::Result<(Router, Pool)>) -> anyhow::Result<()> {
        let _log = log::Log::start("warn", io::stderr());
        let socket = self.bind(1)?;
        let (router, pool) = build()?;
        let runtime = self.runtime()?;
        let outcome = runtime.block_on(async {
            // Install the signal handlers before the address is printed.
            let stop = on_signals()?;
            socket.announce()?;
            self.serve(socket, router, &pool, stop, Box::new(|_| ())).await
        });
        // The grace is over: do not wait for running requests.
        runtime.shutdown_background();
        Ok(outcome?)
    }

    /// The socket at the address of the flags, for this number of processes.
    pub(crate) fn bind(&self, processes: usize) -> anyhow::Result<Socket> {
        match &self.uds {
            Some(path) => Socket::unix(path, self.uds_mode),
            None => Socket::tcp(self.host, self.port, processes),
        }
    }

    pub(crate) fn runtime(&self) -> io::Result<Runtime> {
        let mut runtime = match self.runtime {
            Flavour::Multi => tokio::runtime::Builder::new_multi_thread(),
            Flavour::Current => tokio::runtime::Builder::new_current_thread(),
        };
        runtime.enable_all().build()
    }

    /// How long a shutdown waits for open requests.
    #[allow(dead_code, reason = "only a parent of processes asks")]
    pub(crate) fn grace(&self) -> Duration {
        self.grace_ms.map_or(Duration::from_secs(30), Duration::from_millis)
    }

    /// Serves until the futures have stopped the server.
    pub(crate) async fn serve(
        &self,
        socket: Socket,
        router: Router,
        pool: &Pool,
        stop: Stop<impl Future<Output = ()> + Send + 'static, impl Future<Output = ()> + Send + 'static>,
        on_malformed: OnMalformed,
    ) -> io::Result<()> {
        // The listener is closed when the server drains. The file stays; a server that starts meanwhile replaces it.
        let Socket { mut listeners, is_shared, file: _file } = socket;
        let Stop { hand_over, is_draining, drain, cut } = stop;
        match listeners.pop().ok_or(io::ErrorKind::NotFound)? {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = InTurns::new(tokio::net::TcpListener::from_std(listener)?, is_shared, is_draining);
                let listener = UntilHandOver::new(listener, hand_over);
                let server = self.server(gateway::serve(listener, router), on_malformed).pool(pool);
                server.with_graceful_shutdown(drain).with_immediate_shutdown(cut).await
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = InTurns::new(tokio::net::UnixListener::from_std(listener)?, is_shared, is_draining);
                let listener = UntilHandOver::new(listener, hand_over);
                let server = self.server(gateway::serve(listener, router), on_malformed).pool(pool);
                server.with_graceful_shutdown(drain).with_immediate_shutdown(cut).await
            }
        }
    }

    /// The server with the flags' settings.
    fn server<L, S>(&self, server: Server<L, S>, on_malformed: OnMalformed) -> Server<L, S> {
        let mut server = server.title_case_headers(self.title_case_headers).on_malformed_head(on_malformed);
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
