//! The virtual environment with the frameworks, the applications from `apps/`, and servers for them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::Router;
use gateway::python::{self, Callable, Loader};
use gateway::{Application, Gateway};
use gateway_tests::Server;

use crate::process::{Process, server};
use crate::support::python;

/// The command that creates the environment, run in the folder of the workspace.
const COMMAND: &str = "python3 -m venv target/venv && target/venv/bin/pip install -r tests/python/requirements.txt";

/// The environment that `VIRTUAL_ENV` names, or otherwise that of the workspace.
fn folder() -> PathBuf {
    match std::env::var_os("VIRTUAL_ENV") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target/venv"),
    }
}

/// Adds the frameworks and the applications to the interpreter's search path. All tests call this function, and its
/// body runs once. No thread waits for it while it holds the interpreter.
pub(crate) fn prepare() {
    static PREPARED: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let folder = folder();
        let loader = Loader::new().virtual_env(&folder).path(concat!(env!("CARGO_MANIFEST_DIR"), "/python/apps"));
        for name in ["flask:Flask", "django:setup", "stderr:written"] {
            if let Err(error) = loader.load(name) {
                return Err(format!("the frameworks are not in {}. Run: {COMMAND}\n{error}", folder.display()));
            }
        }
        Ok(())
    });
    if let Err(message) = &*PREPARED {
        panic!("{message}");
    }
}

/// The application that a Python expression returns, with this module imported.
pub(crate) fn app(module: &str, expression: &str) -> Callable {
    prepare();
    python(&format!("import {module}\napp = {expression}"))
}

/// A new Flask application, with its own state.
pub(crate) fn shop() -> Callable {
    app("shop", "shop.create_app()")
}

/// The Django application, of which a process has only one. Its folder is not deleted; it is among the build output.
pub(crate) fn board() -> Arc<Callable> {
    static BOARD: LazyLock<Arc<Callable>> = LazyLock::new(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder").keep();
        Arc::new(app("board.project", &format!("board.project.make({folder:?})")))
    });
    Arc::clone(&BOARD)
}

/// Serves an application with [`python::mount`], at `/` and at `/app`.
pub(crate) fn serve(app: impl Application) -> Server {
    let pool = python::pool().threads(4).build().expect("a pool");
    start(python::mount(app, &pool).expect("a spool"))
}

/// Serves the application with this name in a separate process.
pub(crate) fn process(name: &str, flags: &[&str]) -> Process {
    let (apps, folder) = (concat!(env!("CARGO_MANIFEST_DIR"), "/python/apps"), folder());
    let folder = folder.to_str().expect("a name that is text");
    Process::spawn(server(name).args(["--python-path", apps, "--virtual-env", folder]).args(flags))
}

/// Serves a mount at `/` and at `/app`.
pub(crate) fn start(gateway: Gateway) -> Server {
    let gateway = gateway.body_limit(64 << 20);
    Server::of(Router::new().nest_service("/app", gateway.clone()).fallback_service(gateway))
}
