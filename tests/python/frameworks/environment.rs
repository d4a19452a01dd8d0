//! The virtual environment that the frameworks are in, applications from `apps/`, and servers for them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::Router;
use gateway::python::{self, Callable, Loader};
use gateway::{Application, Gateway};
use gateway_tests::Server;

use crate::process::Process;
use crate::support::python;

/// What makes the environment, from the folder of the workspace.
const COMMAND: &str = "python3 -m venv target/venv && target/venv/bin/pip install -r tests/python/requirements.txt";

/// The environment that `VIRTUAL_ENV` names, or else that of the workspace.
fn folder() -> PathBuf {
    match std::env::var_os("VIRTUAL_ENV") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target/venv"),
    }
}

/// Has the interpreter find the frameworks and the applications. All tests call this, and it runs once; no
/// thread that has the interpreter waits for it.
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

/// The application that a Python expression makes, with this module imported.
pub(crate) fn app(module: &str, expression: &str) -> Callable {
    prepare();
    python(&format!("import {module}\napp = {expression}"))
}

/// An application of Flask's, with a state of its own.
pub(crate) fn shop() -> Callable {
    app("shop", "shop.create_app()")
}

/// Django's, which is one for the process. Its folder stays behind, among what can be built again.
pub(crate) fn board() -> Arc<Callable> {
    static BOARD: LazyLock<Arc<Callable>> = LazyLock::new(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder").keep();
        Arc::new(app("board.project", &format!("board.project.make({folder:?})")))
    });
    Arc::clone(&BOARD)
}

/// Serves an application as [`python::mount`] does, at `/` and once more at `/app`.
pub(crate) fn serve(app: impl Application) -> Server {
    let pool = python::pool().threads(4).build().expect("a pool");
    start(python::mount(app, &pool).expect("a spool"))
}

/// Serves the application of this name in a process of its own.
pub(crate) fn process(name: &str, flags: &[&str]) -> Process {
    let (apps, folder) = (concat!(env!("CARGO_MANIFEST_DIR"), "/python/apps"), folder());
    let folder = folder.to_str().expect("a name that is text");
    Process::serve(name, &[&["--python-path", apps, "--virtual-env", folder], flags].concat())
}

/// Serves a mount at both places.
pub(crate) fn start(gateway: Gateway) -> Server {
    let gateway = gateway.body_limit(64 << 20);
    Server::of(Router::new().nest_service("/app", gateway.clone()).fallback_service(gateway))
}
