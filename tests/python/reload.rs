//! `--reload`: a process for each state of the source.

use std::path::Path;

use gateway_tests::{Connection, Ending, until};

use crate::process::{Process, command};

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// An application that answers with the text of the module `part`.
const APP: &str = "
import os, select
import part
def app(environ, start_response):
    start_response('200 OK', [])
    yield part.TEXT
    if environ['PATH_INFO'] == '/slow':
        while not os.path.exists('go'):
            select.select([], [], [], 0.005)
        yield b' done'
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "served.py", APP);
    write(folder.path(), "part.py", "TEXT = b'one'");
    folder
}

#[test]
fn a_change_is_served_and_no_request_is_lost() {
    let folder = folder();
    let mut command = command(folder.path(), &["served:app", "--port", "0", "--reload"]);
    let server = Process::spawn(command.env_remove("PYTHONDONTWRITEBYTECODE"));
    let mut slow = Connection::open(server.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.head();
    assert_eq!(slow.chunk(), b"one");
    // Of the same length, maybe in the same second: no cached module may be taken for it.
    write(folder.path(), "part.py", "TEXT = b'two'");
    until("the change is served", || server.get("/") == "two");
    write(folder.path(), "go", "");
    assert_eq!(slow.chunk(), b" done");
    assert_eq!(slow.rest_of_chunks(), Ending::Chunked);
    assert!(!folder.path().join("__pycache__").exists());
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_module_that_cannot_be_loaded_leaves_the_old_process() {
    let folder = folder();
    let server = Process::spawn(&mut command(folder.path(), &["served:app", "--port", "0", "--reload"]));
    write(folder.path(), "part.py", "TEXT = nothing");
    until("the log tells it", || server.log().contains("a new worker cannot serve (exit status: 1)"));
    let log = server.log();
    assert!(log.contains("error: cannot import \"served\": NameError: name 'nothing' is not defined\n"), "{log}");
    assert!(log.contains("\n    TEXT = nothing\n"), "{log}");
    assert_eq!(server.get("/"), "one");
    write(folder.path(), "part.py", "TEXT = b'three'");
    until("the next change is served", || server.get("/") == "three");
}

#[test]
fn only_the_folders_that_are_named_are_watched() {
    let (folder, watched) = (folder(), tempfile::tempdir().unwrap());
    let path = watched.path().to_str().unwrap();
    let arguments = ["served:app", "--port", "0", "--reload", "--reload-dir", path];
    let server = Process::spawn(&mut command(folder.path(), &arguments));
    write(folder.path(), "part.py", "TEXT = b'two'");
    // Neither is a file of the application.
    for other in [".hidden", "environment"] {
        std::fs::create_dir(watched.path().join(other)).unwrap();
        write(watched.path(), &format!("{other}/x.py"), "");
    }
    write(watched.path(), "environment/pyvenv.cfg", "");
    std::fs::create_dir(watched.path().join("package")).unwrap();
    write(watched.path(), "package/new.py", "");
    until("a new file is a change", || server.get("/") == "two");
    let log = server.log();
    let changes: Vec<&str> = log.lines().filter(|line| line.contains("has changed")).collect();
    assert!(changes.len() == 1 && changes[0].contains("package/new.py has changed"), "{log}");
}
