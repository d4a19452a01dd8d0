//! Signals, which the Rust program handles.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use rustix::process::Signal;

use crate::process::Process;

/// A program without handlers of its own, unless a flag says otherwise. `env` becomes the program: a shell that runs
/// the tests in the background has them ignore SIGINT, and so would the program.
fn program(source: &str, flags: &[&str]) -> Process {
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_python_program"), "served:app"]);
    Process::of(source, command.args(flags))
}

/// Python's module `signal` installs a handler for SIGINT on its import, which may come late.
#[test]
fn ctrl_c_ends_a_program_whose_application_imports_signal() {
    let at_import = "
import signal
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'']
";
    let in_a_request = "
def app(environ, start_response):
    import signal
    start_response('200 OK', [])
    return [b'']
";
    // It sets a handler, and then the one of `signal`.
    let in_a_loop = "
import asyncio
asyncio.run(asyncio.sleep(0))
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'']
";
    for source in [at_import, in_a_request, in_a_loop] {
        let server = program(source, &[]);
        assert_eq!(server.get("/"), "");
        let (status, _, complained) = server.stop_by(Signal::INT);
        assert_eq!(status.signal(), Some(2), "{complained}");
    }
}

const HANDLES: &str = "
import signal
def finish_up(number, frame):
    print('the handler runs')
signal.signal(signal.SIGTERM, finish_up)
signal.signal(signal.SIGUSR1, finish_up)
signal.signal(signal.SIGINT, signal.SIG_IGN)
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'']
";

/// The log has one line for each handler that an application sets, and the handler of the program stays.
#[test]
fn a_handler_of_an_application_is_undone_and_logged() {
    for (flags, expected) in [([].as_slice(), (None, Some(15))), (&["--stop-on-signals"], (Some(0), None))] {
        let server = program(HANDLES, flags);
        assert_eq!(server.get("/"), "");
        let (status, said, complained) = server.stop_by(Signal::TERM);
        assert_eq!((status.code(), status.signal()), expected, "{complained}");
        assert_eq!(said, "");
        for signal in ["SIGTERM", "SIGUSR1", "SIGINT"] {
            let lines = complained.lines().filter(|line| line.contains("WARN") && line.contains(signal));
            assert_eq!(lines.count(), 1, "{signal}: {complained}");
        }
        assert!(complained.contains("finish_up") && complained.contains("served:app"), "{complained}");
    }
}

/// The interrupt of the program stays as it was, also if the application ignores it.
#[test]
fn an_application_cannot_make_the_program_ignore_ctrl_c() {
    let (status, _, complained) = {
        let server = program(HANDLES, &[]);
        server.stop_by(Signal::INT)
    };
    assert_eq!(status.signal(), Some(2), "{complained}");
}
