//! The calls into C that PyO3 has no safe form for: CPython's initialization from a configuration, the number of
//! references to an object, and, on Unix, the file of CPython's library and the dispositions of signals. It is the only
//! file of the crate with `unsafe`.
//!
//! Threads: the program's; blocks. `references`: any.
#![allow(unsafe_code, reason = "PyO3 has no safe form for these calls")]

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::ptr::{self, addr_of_mut};

use pyo3::{Bound, ffi};

/// The highest number of a signal on all systems: Linux has the most.
pub(super) const LAST_SIGNAL: c_int = 64;

/// What differs from the configuration of a `python3` without arguments.
pub(super) struct Configuration<'a> {
    /// `sys.executable`. Also decides where the virtual environment and the standard library are.
    pub(super) executable: Option<&'a Path>,
    /// The folder of the standard library's installation, if `executable` does not decide it. As `PYTHONHOME`.
    pub(super) home: Option<&'a Path>,
    /// `sys.argv`.
    pub(super) arguments: Vec<OsString>,
    /// As `-X dev`.
    pub(super) dev_mode: bool,
    /// As `-W`.
    pub(super) warnings: &'a [String],
}

/// Whether there is an interpreter.
pub(super) fn is_initialized() -> bool {
    // SAFETY: callable at any time, from any thread (CPython's docs, "Before Python Initialization").
    unsafe { ffi::Py_IsInitialized() != 0 }
}

/// How many references there are to an object, that of the argument included. The number of an object that no other
/// code can reach does not change.
pub(super) fn references<T>(object: &Bound<'_, T>) -> isize {
    // SAFETY: the pointer is that of a live object, and this thread is attached.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// The version of the interpreter's library, as in `sys.version`. Callable before the initialization.
pub(super) fn version() -> String {
    // SAFETY: callable at any time, from any thread; it returns a static string.
    let version = unsafe { CStr::from_ptr(ffi::Py_GetVersion()) };
    version.to_string_lossy().into_owned()
}

/// Initializes the interpreter with a Python configuration (PEP 587), calls `first` before any other thread can attach,
/// and leaves the interpreter unlocked. Installs no signal handlers. The calling thread is Python's main thread from
/// now on.
///
/// # Errors
///
/// CPython's message. There is no way back then: a further call has undefined results in Python.
///
/// # Panics
///
/// Panics if there is an interpreter. The caller lets one thread in at a time.
pub(super) fn initialize<T>(configuration: &Configuration<'_>, first: impl FnOnce() -> T) -> Result<T, String> {
    assert!(!is_initialized(), "the interpreter is initialized once");
    let mut preconfig = MaybeUninit::<ffi::PyPreConfig>::zeroed();
    // SAFETY: the pointer is valid for writes, and the call sets all fields, which are integers. `Py_PreInitialize`
    // only reads them. It may call `setenv` for `LC_CTYPE` (PEP 538): the docs of `Interpreter::start` tell the program
    // to call it before it starts threads. Every later write to `os.environ` in Python has the same condition.
    unsafe {
        ffi::PyPreConfig_InitPythonConfig(preconfig.as_mut_ptr());
        let mut preconfig = preconfig.assume_init();
        preconfig.parse_argv = 0;
        if configuration.dev_mode {
            preconfig.dev_mode = 1;
        }
        check(ffi::Py_PreInitialize(&preconfig))?;
    }
    let mut config = Config::new();
    config.set(configuration)?;
    // SAFETY: the configuration is complete, and there is no interpreter.
    check(unsafe { ffi::Py_InitializeFromConfig(config.0.as_ptr()) })?;
    let _attached = Attached;
    Ok(first())
}

/// This thread is attached since the initialization; it detaches when this value is dropped.
struct Attached;

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: this thread is attached, as the call requires: PyO3's own calls meanwhile are nested in balance. Its
        // thread state stays: PyO3 finds it when the thread attaches again, as after PyO3's own initialization.
        unsafe { ffi::PyEval_SaveThread() };
    }
}

/// A `PyConfig`, cleared when it is dropped.
struct Config(Box<MaybeUninit<ffi::PyConfig>>);

impl Config {
    fn new() -> Self {
        let mut config = Box::new(MaybeUninit::zeroed());
        // SAFETY: the pointer is valid for writes, and the call sets all fields. Zeroes are valid for the fields that
        // PyO3 does not know, and for all others: they are integers and pointers.
        unsafe { ffi::PyConfig_InitPythonConfig(config.as_mut_ptr()) };
        Self(config)
    }

    fn set(&mut self, configuration: &Configuration<'_>) -> Result<(), String> {
        let config = self.0.as_mut_ptr();
        let text = |text: &OsStr| {
            CString::new(text.as_encoded_bytes()).map_err(|_| format!("{} has a null byte", text.display()))
        };
        let executable = configuration.executable.map(|path| text(path.as_os_str())).transpose()?;
        let home = configuration.home.map(|path| text(path.as_os_str())).transpose()?;
        let arguments = configuration.arguments.iter().map(|one| text(one)).collect::<Result<Vec<_>, _>>()?;
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        let warnings = configuration.warnings.iter().map(|one| text(one.as_ref())).collect::<Result<Vec<_>, _>>()?;
        // SAFETY: `config` points to an initialized `PyConfig`. Its strings and lists are changed by CPython's
        // functions alone, which copy their arguments; these live until the end of this function. Python is
        // preinitialized, as the functions require. `decoded` is freed once, with the function that CPython's docs
        // name.
        unsafe {
            (*config).parse_argv = 0;
            (*config).install_signal_handlers = 0;
            if configuration.dev_mode {
                (*config).dev_mode = 1;
            }
            for (text, field) in
                [(&executable, addr_of_mut!((*config).executable)), (&home, addr_of_mut!((*config).home))]
            {
                if let Some(text) = text {
                    check(ffi::PyConfig_SetBytesString(config, field, text.as_ptr()))?;
                }
            }
            // Reads its last argument only, although it does not declare so.
            let length = arguments.len() as ffi::Py_ssize_t;
            check(ffi::PyConfig_SetBytesArgv(config, length, arguments.as_ptr().cast_mut()))?;
            for warning in &warnings {
                let decoded = ffi::Py_DecodeLocale(warning.as_ptr(), ptr::null_mut());
                if decoded.is_null() {
                    return Err(format!("{warning:?} cannot be decoded"));
                }
                let status = ffi::PyWideStringList_Append(addr_of_mut!((*config).warnoptions), decoded);
                ffi::PyMem_RawFree(decoded.cast());
                check(status)?;
            }
        }
        Ok(())
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: the configuration was initialized in `new`, and is not used after this call.
        unsafe { ffi::PyConfig_Clear(self.0.as_mut_ptr()) };
    }
}

/// A status as a result. Only a configuration that parses arguments makes Python ask for an exit.
fn check(status: ffi::PyStatus) -> Result<(), String> {
    // SAFETY: the call only reads its argument.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    let text = |text: *const c_char| {
        // SAFETY: the texts of a status are null or static strings.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    let message = text(status.err_msg).unwrap_or_else(|| format!("it exits with code {}", status.exitcode));
    Err(text(status.func).map_or_else(|| message.clone(), |place| format!("{place}: {message}")))
}

/// The file of the interpreter's library, or this program's if the interpreter is linked statically. `None` if the
/// system does not tell.
#[cfg(unix)]
pub(super) fn library() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;

    let address: unsafe extern "C" fn() -> *const c_char = ffi::Py_GetVersion;
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `dladdr` takes any address, and fills `found` if it returns another value than 0. The name is null or
    // lives as long as the library is loaded, which it is for ever: this program is linked with it.
    unsafe {
        if libc::dladdr(address as *const std::ffi::c_void, found.as_mut_ptr()) == 0 {
            return None;
        }
        let name = found.assume_init().dli_fname;
        (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())))
    }
}

#[cfg(not(unix))]
pub(super) fn library() -> Option<PathBuf> {
    None
}

/// What the system does with each signal.
#[cfg(unix)]
pub(super) struct Dispositions(Vec<(c_int, libc::sigaction)>);

#[cfg(unix)]
impl Dispositions {
    /// The present ones.
    pub(super) fn save() -> Self {
        let present = (1..=LAST_SIGNAL).filter_map(|signal| {
            let mut disposition = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: with a null pointer, the call changes nothing. It fills `disposition` if it returns 0, which it
            // does not for numbers that are no signals, or that the C library keeps for itself.
            unsafe {
                (libc::sigaction(signal, ptr::null(), disposition.as_mut_ptr()) == 0)
                    .then(|| (signal, disposition.assume_init()))
            }
        });
        Self(present.collect())
    }

    /// Restores that of one signal.
    pub(super) fn restore(&self, signal: c_int) {
        for (_, disposition) in self.0.iter().filter(|(saved, _)| *saved == signal) {
            // SAFETY: the disposition was in force before, so its handler is a function for signals, with its flags.
            // Handlers are not unloaded: `signal-hook-registry`, tokio's and most others', keeps its own for ever.
            unsafe { libc::sigaction(signal, disposition, ptr::null_mut()) };
        }
    }
}

/// Signals are Unix's. Elsewhere, a handler of Python's is one of several for Ctrl-C, and replaces none.
#[cfg(not(unix))]
pub(super) struct Dispositions;

#[cfg(not(unix))]
impl Dispositions {
    pub(super) fn save() -> Self {
        Self
    }

    pub(super) fn restore(&self, _signal: c_int) {}
}
