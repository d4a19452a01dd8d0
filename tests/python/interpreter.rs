//! The interpreter's setup, beside that of `python3` itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway::python::Interpreter;
use gateway_tests::run;
use pyo3::prelude::*;
use serde_json::Value;

use crate::process::{Process, clear_variables, server};

/// Answers with what the setup decides.
const FACTS: &str = "
import json, locale, os, sys, tempfile

def facts():
    with tempfile.TemporaryFile('w') as file:
        encoding = file.encoding
    return {
        'flags': repr(sys.flags),
        'warnings': sys.warnoptions,
        'files': [encoding, locale.getpreferredencoding(False), sys.getfilesystemencoding()],
        'streams': [[s.encoding, s.errors, s.write_through] for s in (sys.stdout, sys.stderr)],
        'locale': [os.environ.get('LC_CTYPE'), locale.setlocale(locale.LC_CTYPE)],
        'prefixes': [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix],
        'executable': os.path.realpath(sys.executable),
        'path': [entry for entry in sys.path if entry and not os.path.exists(entry + '/served.py')],
        'bytecode': sys.dont_write_bytecode,
    }

def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/text':
        print('geschrieben: \\u00fc')
        with tempfile.TemporaryFile('w+') as file:
            file.write('\\u00fc')
            file.seek(0)
            return [file.read().encode()]
    if environ['PATH_INFO'] == '/names':
        return [json.dumps([sys.argv, sys.executable]).encode()]
    return [json.dumps(facts()).encode()]
";

/// The interpreter that the library belongs to.
pub(crate) fn base_python() -> PathBuf {
    // Another test may have started it.
    let _ = Interpreter::new().start();
    Python::attach(|py| py.import("sys").unwrap().getattr("base_exec_prefix").unwrap().extract::<PathBuf>().unwrap())
        .join("bin/python3")
}

/// A command without the variables of this process.
fn cleared(mut command: Command, variables: &[(&str, &str)]) -> Command {
    clear_variables(&mut command).envs(variables.iter().copied());
    command
}

/// The facts that `python3` states in this environment.
fn python3(python: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("served.py"), FACTS).unwrap();
    let mut command = cleared(Command::new(python), variables);
    command.args(arguments).args(["-c", "import served; print(served.json.dumps(served.facts()))"]);
    let (status, said, complained) = run(command.current_dir(folder.path()));
    assert!(status.success(), "{complained}");
    serde_json::from_str(&said).unwrap()
}

/// A server without the current folder in its path, which only the facts of `python3` in a folder of its own leave out.
fn safe_server() -> Command {
    let mut command = server("served:app");
    command.arg("--safe-path");
    command
}

/// The facts that an application states in this environment.
fn gateway(command: Command, variables: &[(&str, &str)]) -> Value {
    let server = Process::of(FACTS, &mut cleared(command, variables));
    serde_json::from_str(&server.get("/facts")).unwrap()
}

/// The variables that change the setup, and locales, among them none at all, as under systemd and in containers.
#[test]
fn the_interpreter_is_set_up_as_python3_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let cases: [&[(&str, &str)]; 9] = [
        &[],
        &[("PATH", "/usr/bin:/bin")],
        &[("LC_ALL", "POSIX")],
        &[("LANG", "C.UTF-8")],
        &[("LANG", "C.UTF-8"), ("PYTHONUTF8", "1")],
        &[("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")],
        &[("PYTHONPATH", folder), ("PYTHONDONTWRITEBYTECODE", "1")],
        &[("PYTHONUNBUFFERED", "1"), ("PYTHONWARNINGS", "error::ResourceWarning")],
        &[("PYTHONDEVMODE", "1"), ("PYTHONIOENCODING", "latin-1"), ("PYTHONHASHSEED", "4")],
    ];
    let python = base_python();
    for variables in cases {
        assert_eq!(gateway(safe_server(), variables), python3(&python, &[], variables), "{variables:?}");
    }
}

#[test]
fn text_is_utf8_without_a_locale() {
    let server = Process::of(FACTS, &mut cleared(server("served:app"), &[]));
    assert_eq!(server.get("/text"), "\u{fc}");
    let (code, said, complained) = server.stop();
    assert_eq!(code, Some(0), "{complained}");
    assert_eq!(said, "geschrieben: \u{fc}\n");
}

/// A program sets what `python3` takes as options.
#[test]
fn a_program_chooses_dev_mode_and_warnings() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_python_program"));
    program.args(["served:app", "--dev-mode", "--warning", "error::UserWarning", "--warning", "ignore::ImportWarning"]);
    let options = ["-X", "dev", "-W", "error::UserWarning", "-W", "ignore::ImportWarning"];
    assert_eq!(gateway(program, &[]), python3(&base_python(), &options, &[]));
}

/// Two other programs called `python3`: one cannot be run, the other belongs to no installation.
#[test]
fn a_foreign_python_in_the_path_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["python", "python3"] {
        let file = folder.path().join(name);
        fs::write(&file, "#!/bin/sh\nexit 3\n").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let expected = python3(&base_python(), &[], &[]);
    for path in [folder.path().to_str().unwrap(), "", "/nonexistent"] {
        let found = gateway(safe_server(), &[("PATH", path)]);
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn argv_is_the_command_line() {
    let server = Process::of(FACTS, &mut cleared(server("served:app"), &[]));
    let (arguments, executable): (Vec<String>, PathBuf) = serde_json::from_str(&server.get("/names")).unwrap();
    assert_eq!(arguments[..4], [env!("CARGO_BIN_EXE_python_server"), "served:app", "--port", "0"]);
    assert_eq!(executable.canonicalize().unwrap(), base_python().canonicalize().unwrap());
}

/// PY-14: the interpreter is started once, in this process by a loader perhaps.
#[test]
fn a_second_start_is_a_clear_error() {
    let _ = Interpreter::new().start();
    let message = Interpreter::new().dev_mode(true).start().unwrap_err().to_string();
    assert!(message.contains("call Interpreter::start before Loader::load"), "{message}");
}

/// PY-14: CPython's own message, for a folder without a standard library.
#[test]
fn an_interpreter_that_cannot_start_is_a_clear_error() {
    let mut command = cleared(server("json:dumps"), &[("PYTHONHOME", "/nonexistent")]);
    let (status, _, complained) = run(&mut command);
    assert_eq!(status.code(), Some(1), "{complained}");
    assert!(complained.contains("error: Python cannot be initialized: "), "{complained}");
}
