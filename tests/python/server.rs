//! How the server is started: its search path, its mounts, and what it says if it cannot start.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use gateway_tests::{BOUND, Connection, run, wait_for};

use crate::process::{Process, command};

/// Answers with what the application sees of its request.
const APP: &str = "
import shared
def app(environ, start_response):
    start_response('200 OK', [])
    return [f\"{shared.NAME} {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}\".encode()]
";

/// A folder with an application, `site_app`, and the module that it imports.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("site_app.py"), APP).unwrap();
    std::fs::write(folder.path().join("shared.py"), "NAME = 'here'").unwrap();
    folder
}

#[test]
fn modules_are_found_in_the_current_folder() {
    let folder = folder();
    let server = Process::spawn(&mut command(folder.path(), &["site_app:app", "--port", "0"]));
    assert_eq!(server.get("/a"), "here |/a");
}

#[test]
fn a_folder_of_the_python_path_is_before_the_current_one() {
    let (folder, other) = (folder(), tempfile::tempdir().unwrap());
    std::fs::write(other.path().join("shared.py"), "NAME = 'there'").unwrap();
    let arguments = ["site_app:app", "--port", "0", "--python-path", other.path().to_str().unwrap()];
    assert_eq!(Process::spawn(&mut command(folder.path(), &arguments)).get("/"), "there |/");
}

#[test]
fn the_current_folder_may_be_another_one() {
    let folder = folder();
    let (parent, name) = (folder.path().parent().unwrap(), folder.path().file_name().unwrap().to_str().unwrap());
    // Relative to the folder of the first process: the processes that it starts are there already.
    for processes in [&[][..], &["--processes", "2"]] {
        let arguments = [&["site_app:app", "--port", "0", "--chdir", name], processes].concat();
        assert_eq!(Process::spawn(&mut command(parent, &arguments)).get("/"), "here |/");
    }
}

#[test]
fn an_application_has_the_paths_of_its_mounts_and_no_others() {
    let folder = folder();
    let server = Process::spawn(&mut command(folder.path(), &["site_app:app", "--port", "0"]));
    // Its own path.
    assert_eq!(server.get("/app/x"), "here |/app/x");
    let both = ["site_app:app", "--port", "0", "--mount", "/shop", "--mount", "/"];
    let server = Process::spawn(&mut command(folder.path(), &both));
    assert_eq!((server.get("/shop/x"), server.get("/x")), ("here /shop|/x".to_owned(), "here |/x".to_owned()));
    let one = ["site_app:app", "--port", "0", "--mount", "/shop"];
    let server = Process::spawn(&mut command(folder.path(), &one));
    assert_eq!(Connection::open(server.address).request("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").status(), 404);
}

/// Each is one line, below which there is Python's traceback if Python has one.
#[test]
fn a_server_that_cannot_start_says_why_in_its_first_line() {
    let folder = folder();
    std::fs::write(folder.path().join("broken.py"), "def\n").unwrap();
    std::fs::write(folder.path().join("raises.py"), "def make():\n    raise OSError('no database')\n").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let in_use = format!("cannot listen on 127.0.0.1:{port}: Address already in use (os error 98)");
    let checks: [(&[&str], i32, &str); 17] = [
        (&["absent:app"], 1, "cannot import \"absent\": ModuleNotFoundError: No module named 'absent'"),
        (
            &["site_app:app", "--safe-path"],
            1,
            "cannot import \"site_app\": ModuleNotFoundError: No module named 'site_app'",
        ),
        (&["broken:app"], 1, "cannot import \"broken\": SyntaxError: invalid syntax"),
        (&["raises:make()"], 1, "\"raises:make()\" makes no application: OSError: no database"),
        (
            &["absent:app", "--processes", "3"],
            1,
            "cannot import \"absent\": ModuleNotFoundError: No module named 'absent'",
        ),
        (&["absent:app", "--reload"], 1, "cannot import \"absent\": ModuleNotFoundError: No module named 'absent'"),
        (&["site_app:app", "--python-path", "absent"], 1, "--python-path absent: there is no such folder"),
        (&["site_app:app", "--reload", "--reload-dir", "absent"], 1, "--reload-dir absent: there is no such folder"),
        (&["site_app:app", "--chdir", "absent"], 1, "--chdir absent: No such file or directory (os error 2)"),
        (
            &["site_app:app", "--proxy", "x"],
            2,
            "invalid value 'x' for '--proxy <NETWORK>': \"x\" is neither a network, such as \"10.0.0.0/8\", nor an address",
        ),
        (&["site_app:app", "--threads", "0"], 2, "invalid value '0' for '--threads <NUMBER>': there has to be one"),
        (
            &["site_app:app", "--processes", "0"],
            2,
            "invalid value '0' for '--processes <NUMBER>': 0 is not in 1..=65535",
        ),
        (&["site_app:app", "--workers", "2"], 2, "unexpected argument '--workers' found"),
        (
            &["site_app:app", "--access-log", "json", "--access-log-file", "absent/log"],
            1,
            "cannot open the access log absent/log: No such file or directory (os error 2)",
        ),
        (
            &["site_app:app", "--mount", "shop"],
            2,
            "invalid value 'shop' for '--mount <PREFIX>': a prefix is a path such as / or /shop",
        ),
        (&["site_app:app", "--port", &port], 1, &in_use),
        (&["site_app:app", "--port", &port, "--processes", "2"], 1, &in_use),
    ];
    for (arguments, expected, message) in checks {
        let port: &[&str] = if arguments.contains(&"--port") { &[] } else { &["--port", "0"] };
        let (status, said, complained) = run(command(folder.path(), arguments).args(port));
        assert_eq!(status.code(), Some(expected), "{arguments:?}: {complained}");
        assert_eq!(complained.lines().next(), Some(format!("error: {message}").as_str()), "{arguments:?}");
        assert_eq!((said.as_str(), complained.contains("LoadError")), ("", false), "{arguments:?}: {complained}");
    }
}

#[test]
fn the_help_has_its_options_in_groups() {
    let (status, said, _) = run(&mut command(std::path::Path::new("."), &["--help"]));
    assert_eq!(status.code(), Some(0));
    let groups: Vec<&str> = said.lines().filter(|line| line.ends_with(':') && !line.starts_with(' ')).collect();
    let expected =
        ["Arguments", "Options", "Application", "Address", "Threads and queue", "Request bodies", "Timeouts"];
    let expected = expected.into_iter().chain(["Responses", "Processes", "Log"]).map(|group| format!("{group}:"));
    assert_eq!(groups, expected.collect::<Vec<_>>());
    // Only the parent of several processes passes it.
    assert!(!said.contains("--pipes"), "{said}");
}

/// More clients than threads wait. The first four hold the threads until all have sent their requests.
#[test]
fn a_burst_of_requests_waits_for_the_threads() {
    let gate = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = gate.local_addr().unwrap().port();
    let source = format!(
        "
import socket
def app(environ, start_response):
    if environ['PATH_INFO'] == '/hold':
        socket.create_connection(('127.0.0.1', {port})).recv(1)
    start_response('200 OK', [])
    return [b'done']
"
    );
    let server = Process::start(&source, &["--threads", "4"]);
    let open = |path: &str| {
        let mut connection = Connection::open(server.address);
        connection.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        connection
    };
    let mut connections: Vec<Connection> = (0..4).map(|_| open("/hold")).collect();
    gate.set_nonblocking(true).unwrap();
    let holds: Vec<_> = (0..4).map(|_| wait_for("a request holds a thread", || gate.accept().ok())).collect();
    connections.extend((0..60).map(|_| open("/")));
    // A request that is refused has its answer at once; this one is the last that the server has read.
    let mut last = Connection::open(server.address);
    last.send("GE(T / HTTP/1.1\r\n\r\n");
    assert_eq!(last.reply().status(), 400);
    drop(holds);
    for mut connection in connections {
        let reply = connection.reply();
        assert_eq!((reply.status(), reply.text()), (200, "done".to_owned()));
    }
}

/// SR-25.
#[test]
fn header_names_begin_with_capitals_by_option() {
    let folder = folder();
    for (flags, expected) in [(&[][..], "content-length"), (&["--title-case-headers"], "Content-Length")] {
        let arguments = [&["site_app:app", "--port", "0"], flags].concat();
        let server = Process::spawn(&mut command(folder.path(), &arguments));
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.contains(&format!("\r\n{expected}: 7\r\n")), "{response}");
    }
}
