//! Serves a Python WSGI application: Flask, Django, or any other callable.
//!
//! ```sh
//! cd shop
//! python shop.wsgi:application --port 8000 --threads 16               # modules are also searched in the current folder
//! python 'shop:create_app()' --virtual-env .venv --reload             # for development
//! python shop.wsgi:application --uds /run/shop/socket --uds-mode 660 --processes 4 --access-log combined
//! ```
//!
//! (`cargo run --release --features python --example python -- ARGUMENTS` builds and runs it.) `--help` lists the
//! flags. Request bodies are spooled before the call; `--stream` streams them.
//!
//! With `--processes` or `--reload` this process is the parent of the processes that serve; see `python/parent.rs`.

mod flags;

#[path = "python/access_log.rs"]
mod access_log;
#[path = "python/parent.rs"]
mod parent;
#[path = "python/watch.rs"]
mod watch;
#[path = "python/worker.rs"]
mod worker;

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use clap::Parser;
use gateway::python::{self, Callable, Interpreter, Loader};
use gateway::serve::{InheritedSockets, stop_signals};
use gateway::{Application, Pool, TrustedProxies};
use tokio::runtime::Runtime;

use self::access_log::{AccessLog, Format};
use self::flags::log::Log;
use self::flags::{Flags, OnMalformed, Socket, on_signals};
use self::parent::Plan;
use self::worker::Pipes;

/// A server for Python's WSGI applications.
#[derive(Parser)]
pub(crate) struct Options {
    /// The application: a module, a colon, and an attribute, or a factory followed by `()`.
    application: String,
    /// Change to this folder first.
    #[arg(long, value_name = "FOLDER", help_heading = "Application")]
    chdir: Option<PathBuf>,
    /// A folder with modules, searched before the current folder; may be given several times.
    #[arg(long, value_name = "FOLDER", help_heading = "Application")]
    python_path: Vec<PathBuf>,
    /// Do not search the current folder for modules, as `python3 -P`.
    #[arg(long, help_heading = "Application")]
    safe_path: bool,
    /// The virtual environment, if not the active one.
    #[arg(long, value_name = "FOLDER", help_heading = "Application")]
    virtual_env: Option<PathBuf>,
    /// The prefix of the application's paths, its script name; may be given several times.
    #[arg(long, value_name = "PREFIX", default_value = "/", value_parser = prefix, help_heading = "Application")]
    mount: Vec<String>,
    #[command(flatten)]
    flags: Flags,
    /// The time for Python's threads and `atexit` handlers at the end, after the grace.
    #[arg(long, default_value_t = 30_000, value_name = "MILLISECONDS", help_heading = "Timeouts")]
    exit_ms: u64,
    /// Streams request bodies instead of spooling them.
    #[arg(long, help_heading = "Request bodies")]
    stream: bool,
    /// A network of proxies, such as 10.0.0.0/8, whose X-Forwarded-For and X-Forwarded-Proto are trusted; `unix` for
    /// the peers on a Unix socket. May be given several times.
    #[arg(long, value_name = "NETWORK", value_parser = network, help_heading = "Address")]
    proxy: Vec<String>,
    /// The number of processes that serve, each with its own interpreter, on one socket.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Processes")]
    processes: Option<u16>,
    /// Start new processes when a Python file changes, for development.
    #[arg(long, help_heading = "Processes")]
    reload: bool,
    /// A folder to watch instead of the current one and those of --python-path; may be given several times.
    #[arg(long, value_name = "FOLDER", requires = "reload", help_heading = "Processes")]
    reload_dir: Vec<PathBuf>,
    /// Log each request in this format.
    #[arg(long, value_name = "FORMAT", help_heading = "Log")]
    access_log: Option<Format>,
    /// Append the access log to this file, instead of writing it to stdout.
    #[arg(long, value_name = "FILE", requires = "access_log", help_heading = "Log")]
    access_log_file: Option<PathBuf>,
    /// The pipes to the parent, in a process that serves for one.
    // Its name is far from those that a user may mistype: clap proposes hidden ones, too.
    #[arg(long = "pipes-of-parent", hide = true)]
    worker: Option<Pipes>,
}

impl Options {
    /// As `python3 -m`, gunicorn and waitress do, unless told otherwise.
    fn searches_current_folder(&self) -> bool {
        let is_safe = std::env::var_os("PYTHONSAFEPATH").is_some_and(|value| !value.is_empty());
        !self.safe_path && !is_safe
    }
}

/// A path that begins with a slash and does not end with one, without the characters that routers treat specially.
fn prefix(text: &str) -> Result<String, String> {
    let prefix = text.trim_end_matches('/');
    match (text.starts_with('/'), prefix.contains(['{', '}', '*', '?', '#']) || prefix.contains("/:")) {
        (true, false) => Ok(prefix.to_owned()),
        _ => Err("a prefix is a path such as / or /shop".to_owned()),
    }
}

/// A network, an address, or `unix`.
fn network(text: &str) -> Result<String, String> {
    match text == "unix" {
        true => Ok(text.to_owned()),
        false => TrustedProxies::new([text]).map(|_| text.to_owned()).map_err(|error| error.to_string()),
    }
}

fn main() -> ExitCode {
    // Before there are threads, because it changes the environment.
    let inherited = InheritedSockets::from_env();
    run(&Options::parse(), inherited).unwrap_or_else(|error| {
        // There is no place left for an error of stderr.
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(options: &Options, inherited: InheritedSockets) -> anyhow::Result<ExitCode> {
    // What the application has chosen to log is not for this log to filter.
    let _log = Log::start("warn,server=info,gateway::serve=info,gateway::wsgi_errors=trace", io::stderr());
    if let Some(folder) = options.chdir.as_ref().filter(|_| options.worker.is_none()) {
        std::env::set_current_dir(folder).with_context(|| format!("--chdir {}", folder.display()))?;
    }
    let named = [("--python-path", &options.python_path), ("--reload-dir", &options.reload_dir)];
    for (flag, folders) in named {
        for folder in folders {
            ensure!(folder.is_dir(), "{flag} {}: there is no such folder", folder.display());
        }
    }
    if options.worker.is_none() && (options.reload || options.processes.is_some()) {
        return supervise(options, inherited);
    }
    let exit = Duration::from_millis(options.exit_ms);
    match serve(options, inherited) {
        Ok(served) => served.finish(exit)?,
        Err(error) => {
            // What it has cut off is in the log.
            let _ = python::finish(exit);
            return Err(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How long Python may take to end after the second signal.
const EXIT_AFTER_CUT: Duration = Duration::from_secs(1);

/// A server that has ended, in a process that still follows signals.
struct Served {
    runtime: Runtime,
    /// The second signal, or the order of the parent that has received it.
    cut: Pin<Box<dyn Future<Output = ()>>>,
    outcome: io::Result<()>,
}

impl Served {
    /// Ends Python within this time, or soon after the second signal.
    fn finish(self, exit: Duration) -> io::Result<()> {
        let Self { runtime, cut, outcome } = self;
        runtime.block_on(async {
            // What it has cut off is in the log.
            let ending = tokio::task::spawn_blocking(move || python::finish(exit));
            let is_late = async {
                cut.await;
                tokio::time::sleep(EXIT_AFTER_CUT).await;
            };
            tokio::select! {
                _ = ending => {}
                () = is_late => tracing::warn!(target: "server", "a second signal: Python's end was cut off"),
            }
        });
        // Neither requests that still run nor the end of Python are waited for any longer.
        runtime.shutdown_background();
        outcome
    }
}

/// Opens the socket, and starts processes that serve.
fn supervise(options: &Options, inherited: InheritedSockets) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let workers = options.processes.unwrap_or(1).into();
        let socket = socket(options, inherited, workers)?;
        let changes = match options.reload {
            true => Some(watch::watch(watched(options)?).context("cannot watch files")?),
            false => None,
        };
        let plan = Plan {
            workers,
            arguments: std::env::args_os().skip(1).collect(),
            grace: options.flags.grace(),
            exit: Duration::from_millis(options.exit_ms),
            changes,
        };
        parent::run(socket, plan).await
    })
}

/// Serves in this process, until a signal or the parent stops it.
fn serve(options: &Options, inherited: InheritedSockets) -> anyhow::Result<Served> {
    if let Some(pipes) = options.worker {
        pipes.end_with_parent()?;
    }
    // Before the threads of the runtime: it may change the environment.
    let interpreter =
        options.virtual_env.iter().fold(Interpreter::new(), |interpreter, folder| interpreter.virtual_env(folder));
    interpreter.start()?;
    let runtime = options.flags.runtime()?;
    let socket = runtime.block_on(async { socket(options, inherited, 1) })?;
    let (access_log, _lines) = match options.access_log {
        Some(format) => {
            let (log, lines) = AccessLog::open(format, options.access_log_file.as_deref())?;
            (Some(log), Some(lines))
        }
        None => (None, None),
    };
    let (router, pool) = build(options)?;
    let on_malformed: OnMalformed = match access_log.clone() {
        Some(log) => Box::new(move |head| log.malformed(head)),
        None => Box::new(|_| ()),
    };
    let router = match access_log {
        Some(log) => log.around(router),
        None => router,
    };
    // Around the log, which has the client that a proxy names.
    let router = match options.proxy.is_empty() {
        true => router,
        false => router.layer(proxies(options)?),
    };
    let served = runtime.block_on(async {
        // Installed after the application is loaded: until then, a signal ends the process, even if an import hangs.
        match options.worker {
            Some(pipes) => {
                let orders = pipes.orders()?;
                pipes.report_ready()?;
                let outcome =
                    options.flags.serve(socket, orders.around(router), &pool, orders.stop(), on_malformed).await;
                Ok((outcome, Box::pin(orders.cut()) as _))
            }
            None => {
                let (mut stop, (_, second)) = (on_signals()?, stop_signals()?);
                // The server may count two signals where the task below, which runs later, counts them as one.
                let (tell, told) = tokio::sync::oneshot::channel();
                let cut = std::mem::replace(&mut stop.cut, Box::pin(std::future::pending()));
                stop.cut = Box::pin(async move {
                    cut.await;
                    let _ = tell.send(());
                });
                // A task, as signals that come before the first poll count as one.
                let second = tokio::spawn(second);
                let outcome = async {
                    socket.announce()?;
                    options.flags.serve(socket, router, &pool, stop, on_malformed).await
                };
                let outcome = outcome.await;
                let cut = async {
                    tokio::select! {
                        Ok(()) = told => {}
                        _ = second => {}
                    }
                };
                Ok((outcome, Box::pin(cut) as Pin<Box<dyn Future<Output = ()>>>))
            }
        }
    });
    match served {
        Ok((outcome, cut)) => Ok(Served { runtime, cut, outcome }),
        Err(error) => {
            // The grace is over: do not wait for running requests.
            runtime.shutdown_background();
            Err(error)
        }
    }
}

/// The socket of the parent or the service manager, or else the one of the flags.
fn socket(options: &Options, inherited: InheritedSockets, processes: usize) -> anyhow::Result<Socket> {
    match inherited.is_empty() {
        false => Socket::inherited(inherited, options.worker.is_some_and(|pipes| pipes.is_shared)),
        true => options.flags.bind(processes),
    }
}

/// The layer that trusts the proxies of the flags. Without any, the application gets the forwarding headers as they
/// come: it may have middleware for them, such as Werkzeug's `ProxyFix`.
fn proxies(options: &Options) -> anyhow::Result<TrustedProxies> {
    let networks = options.proxy.iter().map(String::as_str).filter(|network| *network != "unix");
    let proxies = TrustedProxies::new(networks).context("--proxy")?.x_forwarded_for().x_forwarded_proto();
    Ok(if options.proxy.iter().any(|network| network == "unix") { proxies.unix_sockets() } else { proxies })
}

/// The folders whose files make a reload.
fn watched(options: &Options) -> anyhow::Result<Vec<PathBuf>> {
    if !options.reload_dir.is_empty() {
        return Ok(options.reload_dir.clone());
    }
    let mut folders = options.python_path.clone();
    if options.searches_current_folder() {
        folders.push(std::env::current_dir()?);
    }
    ensure!(!folders.is_empty(), "--reload: there is no folder to watch; name one with --reload-dir");
    Ok(folders)
}

/// The router, and the pool that its application runs on.
pub(crate) fn build(options: &Options) -> anyhow::Result<(Router, Pool)> {
    route(options, load(options)?)
}

/// Loads the application.
pub(crate) fn load(options: &Options) -> anyhow::Result<Callable> {
    let mut loader = options.python_path.iter().fold(Loader::new(), |loader, folder| loader.path(folder));
    if options.searches_current_folder() {
        loader = loader.path(std::env::current_dir().context("the current folder")?);
    }
    if let Some(folder) = &options.virtual_env {
        loader = loader.virtual_env(folder);
    }
    loader.load(&options.application).or_else(|error| bail!(exception_first(&error.to_string())))
}

/// The exception first, and its traceback below, if the text of a `LoadError` has one.
fn exception_first(error: &str) -> String {
    let traceback_end = error.lines().enumerate().filter(|(_, line)| line.starts_with(' ')).last();
    match (error.split_once(": "), traceback_end) {
        (Some((what, traceback)), Some((end, _))) => {
            let exception = error.lines().nth(end + 1).unwrap_or_default();
            format!("{what}: {exception}\n{traceback}")
        }
        _ => error.to_owned(),
    }
}

/// Mounts an application.
pub(crate) fn route(options: &Options, application: impl Application) -> anyhow::Result<(Router, Pool)> {
    let pool = options.flags.pool(python::pool()).build()?;
    let gateway = if options.stream { pool.mount(application) } else { python::mount(application, &pool)? };
    let gateway = options.flags.gateway(gateway)?.multiprocess(options.processes.is_some_and(|count| count > 1));
    // Each once: two spellings may be one prefix.
    let prefixes: BTreeSet<&String> = options.mount.iter().collect();
    let router = prefixes.into_iter().fold(Router::new(), |router, prefix| match prefix.as_str() {
        "" => router.fallback_service(gateway.clone()),
        prefix => router.nest_service(prefix, gateway.clone()),
    });
    Ok((router, pool))
}
