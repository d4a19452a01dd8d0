//! Starting the interpreter, set up as `python3` sets itself up.
//!
//! Threads: the program's; blocks.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;

use crate::python::installation::{Installation, Version};
use crate::python::signals::Interrupt;
use crate::python::virtual_env::VirtualEnv;
use crate::python::{LoadError, attach, ffi, fork};
use crate::sync::{Mutex, lock};

/// The start of Python's interpreter, of which a process has one, with settings that cannot change later.
///
/// A program without such settings needs no `Interpreter`: the first [`Loader::load`](crate::python::Loader::load)
/// starts one with the defaults and the loader's [virtual environment](crate::python::Loader::virtual_env), and
/// [`pool`](crate::python::pool()) one with the defaults.
///
/// The interpreter has the configuration of a `python3` that is started in the same environment, a *Python
/// configuration* in the words of [PEP 587]:
///
/// * **Text**. Files, streams and arguments are UTF-8 in the locale `C` and where no locale is set, as in containers
///   and under systemd ([PEP 538], [PEP 540]).
/// * **Variables**. `PYTHONPATH`, `PYTHONUTF8`, `PYTHONUNBUFFERED`, `PYTHONDONTWRITEBYTECODE`, `PYTHONWARNINGS`,
///   `PYTHONDEVMODE` and all others of [`python3`] count.
/// * **Paths**. `sys.executable`, `sys.prefix` and `sys.path` are those of the virtual environment, otherwise those of
///   the installation that the interpreter's library belongs to. `PATH` is not searched.
/// * **Arguments**. `sys.argv` is the command line of this program.
/// * **Inherited sockets**. If the program has taken the sockets of `LISTEN_FDS` and removed this variable, the other
///   variables of that protocol (`LISTEN_FDNAMES`, `LISTEN_FDS_FIRST_FD`, `LISTEN_PIDFDID`) are removed from the
///   environment of the process, too: the application would take the sockets for its own.
/// * **Signals**. Python installs no handler. The disposition of SIGINT is still the program's when an application has
///   imported `signal`.
///
/// [PEP 587]: https://peps.python.org/pep-0587/
/// [PEP 538]: https://peps.python.org/pep-0538/
/// [PEP 540]: https://peps.python.org/pep-0540/
/// [`python3`]: https://docs.python.org/3/using/cmdline.html#environment-variables
///
/// # Example
///
/// ```no_run
/// use gateway::python::{Interpreter, Loader};
///
/// Interpreter::new().virtual_env(".venv").dev_mode(true).warning("error::DeprecationWarning").start()?;
/// let shop = Loader::new().path("src").load("shop:app")?;
/// # drop(shop);
/// # Ok::<(), gateway::python::LoadError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "the interpreter is started by `start`"]
pub struct Interpreter {
    virtual_env: Option<PathBuf>,
    dev_mode: bool,
    warnings: Vec<String>,
}

impl Default for Interpreter {
    fn default() -> Self {
        Self {
            virtual_env: std::env::var_os("VIRTUAL_ENV").filter(|path| !path.is_empty()).map(Into::into),
            dev_mode: false,
            warnings: Vec::new(),
        }
    }
}

impl Interpreter {
    /// An interpreter in the virtual environment that `VIRTUAL_ENV` names, if set.
    pub fn new() -> Self {
        Self::default()
    }
}

setters! {
    impl Interpreter;

    /// The folder of the virtual environment, instead of that in `VIRTUAL_ENV`. It may be made by `venv`, `virtualenv`
    /// or `uv`, for the minor version that this program is linked with. It need not be activated.
    pub fn virtual_env(mut self, folder: impl Into<PathBuf>) { self.virtual_env = Some(folder.into()) }

    /// Whether Python runs in its development mode, as with `python3 -X dev`. Default: only with `PYTHONDEVMODE=1`.
    pub fn dev_mode(mut self, is_on: bool) { self.dev_mode = is_on }

    /// Adds a filter of warnings, such as `error::ResourceWarning`, as `python3 -W` does. Later filters win.
    pub fn warning(mut self, filter: impl Into<String>) { self.warnings.push(filter.into()) }
}

/// Whether this process has an interpreter.
enum State {
    NotStarted,
    Running,
    /// CPython cannot be initialized a second time.
    Failed(String),
}

/// Held during the start, which runs Python's `site`. As in PyO3's own start, no thread that is attached waits for it:
/// there is nothing to attach to before.
static STATE: Mutex<State> = Mutex::new(State::NotStarted);

impl Interpreter {
    /// Starts the interpreter. Call it at the start of `main`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the virtual environment is missing or one for another version of Python, if CPython cannot be
    /// initialized, or if the interpreter is running: it is started once, before any [`Loader`](crate::python::Loader)
    /// loads and before [`pool`](crate::python::pool()).
    ///
    /// # Threads
    ///
    /// The calling thread becomes Python's main thread, for `signal` and `threading`. In the locale `C`, CPython sets
    /// `LC_CTYPE` in the environment of the process, which no other thread may read meanwhile: start the interpreter
    /// before other threads, and after [`InheritedSockets::from_env`](crate::serve::InheritedSockets::from_env), whose
    /// last variables it removes.
    pub fn start(&self) -> Result<(), LoadError> {
        match self.start_once()? {
            true => Ok(()),
            false => Err(LoadError::new(
                "the interpreter is running, with other settings perhaps; call Interpreter::start before Loader::load, \
                 python::pool and everything else that starts it",
            )),
        }
    }

    /// Starts the interpreter if none is running. Returns whether it did.
    fn start_once(&self) -> Result<bool, LoadError> {
        let mut state = lock(&STATE);
        match &*state {
            State::Running => return Ok(false),
            State::Failed(message) => return Err(LoadError::new(message.clone())),
            State::NotStarted => {}
        }
        let interrupt = Interrupt::save();
        let environment = self.virtual_env.as_deref().map(VirtualEnv::find).transpose()?;
        // Otherwise the program has started an interpreter of its own.
        let is_ours = !ffi::is_initialized();
        let prepare = || {
            Python::attach(|py| {
                prepare(py, interrupt, is_ours).map_err(LoadError::raised(py, "Python cannot be prepared"))?;
                environment.as_ref().map_or(Ok(()), |environment| use_environment(py, environment))
            })
        };
        if is_ours {
            let prepared = self.initialize(environment.as_ref(), prepare).map_err(|message| {
                let message = format!("Python cannot be initialized: {message}");
                *state = State::Failed(message.clone());
                LoadError::new(message)
            })?;
            *state = State::Running;
            // For PyO3, which finds a running interpreter.
            Python::initialize();
            attach::start();
            return prepared.map(|()| true);
        }
        *state = State::Running;
        // Threads of the program's interpreter may wait for the state while they are attached.
        drop(state);
        attach::start();
        prepare().map(|()| false)
    }

    fn initialize<T>(&self, environment: Option<&VirtualEnv>, prepare: impl FnOnce() -> T) -> Result<T, String> {
        let installation = Installation::of_library();
        let home = environment.zip(installation.as_ref()).and_then(|(environment, installation)| {
            environment.has_other_library(installation).then(|| installation.prefix.clone())
        });
        let program = std::env::current_exe().ok();
        // CPython searches the standard library around its executable before it takes the folder that it was built
        // for. Without a name, it would search `PATH` for some `python3`, and then the present folder.
        let executable = match (environment, &installation) {
            (Some(environment), _) => Some(&environment.executable),
            (None, Some(installation)) => Some(&installation.executable),
            (None, None) => program.as_ref(),
        };
        let configuration = ffi::Configuration {
            executable: executable.map(PathBuf::as_path),
            home: home.as_deref(),
            arguments: std::env::args_os().collect(),
            dev_mode: self.dev_mode,
            warnings: &self.warnings,
        };
        ffi::initialize(&configuration, prepare)
    }
}

/// Starts the interpreter with its defaults, if none is running.
pub(super) fn start() -> Result<(), LoadError> {
    Interpreter::new().start_once().map(drop)
}

/// Starts the interpreter in this environment. A running interpreter gets the packages of the environment, which then
/// come before those of earlier ones.
pub(super) fn start_in(folder: &Path) -> Result<(), LoadError> {
    if !Interpreter::new().virtual_env(folder).start_once()? {
        let environment = VirtualEnv::find(folder)?;
        Python::attach(|py| use_environment(py, &environment))?;
    }
    Ok(())
}

/// Adds the environment, unless the interpreter was started in it.
fn use_environment(py: Python<'_>, environment: &VirtualEnv) -> Result<(), LoadError> {
    let used = environment.is_in_use(py).and_then(|is_in_use| if is_in_use { Ok(()) } else { environment.add(py) });
    used.map_err(LoadError::raised(py, format_args!("the virtual environment {}", environment.folder.display())))
}

/// What `python3` does before it runs a program, and what a program in another language has to add.
fn prepare(py: Python<'_>, interrupt: Interrupt, is_ours: bool) -> PyResult<()> {
    // The thread that imports it first is its main thread, which `threading._shutdown` does not join.
    py.import("threading")?;
    interrupt.restore(py, !is_ours)?;
    fork::mend(py)?;
    forget_sockets(py)?;
    name_executable(py)
}

/// Removes the variables that go with `LISTEN_FDS` from the environment, once the program has taken the sockets:
/// `listenfd` removes `LISTEN_FDS` and `LISTEN_PID` alone. The application, or a process that it starts, would take
/// them for its own. Python changes the environment of the process, too.
fn forget_sockets(py: Python<'_>) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    if !environ.contains("LISTEN_FDS")? {
        for name in ["LISTEN_FDNAMES", "LISTEN_FDS_FIRST_FD", "LISTEN_PIDFDID"] {
            environ.call_method1("pop", (name, py.None()))?;
        }
    }
    Ok(())
}

/// Sets `sys.executable` if it names this program, which is no Python: the interpreter is linked statically, and only
/// its start shows which installation it belongs to.
fn name_executable(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    let named: Option<PathBuf> = sys.getattr("executable")?.extract()?;
    if named.is_none() || named != std::env::current_exe().ok() {
        return Ok(());
    }
    let name = Version::linked().name();
    let prefix: PathBuf = sys.getattr("base_exec_prefix")?.extract()?;
    let mut executable = prefix.join("bin").join(&name);
    if !executable.is_file() {
        let folder: Option<PathBuf> = py.import("sysconfig")?.call_method1("get_config_var", ("BINDIR",))?.extract()?;
        executable = folder.map(|folder| folder.join(&name)).filter(|path| path.is_file()).unwrap_or_default();
    }
    // Empty if there is none, as CPython's docs say for `sys.executable`.
    sys.setattr("executable", executable.as_os_str())?;
    sys.setattr("_base_executable", executable.as_os_str())
}
