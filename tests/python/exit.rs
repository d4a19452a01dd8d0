//! The exit of a process with a Python interpreter.

use gateway_tests::Connection;

use crate::process::Process;

const STUCK: &str = "
import atexit, threading
atexit.register(print, 'the handlers have run')
print('imported')
def app(environ, start_response):
    start_response('200 OK', [])
    yield b'stuck'
    if environ['PATH_INFO'] == '/computes':
        while True:
            pass
    threading.Event().wait()
";

/// PY-13: requests that never end, whether they wait or compute, do not delay the exit of the process, and the
/// interpreter is not finalised while they run.
#[test]
fn a_process_ends_in_order_with_requests_in_flight() {
    for round in 0..20 {
        let server = Process::start(STUCK, &["--threads", "4", "--grace-ms", "50"]);
        let connections: Vec<Connection> = (0..4)
            .map(|number| {
                let mut connection = Connection::open(server.address);
                let path = if (round + number) % 4 == 0 { "/computes" } else { "/waits" };
                connection.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
                connection.head();
                assert_eq!(connection.chunk(), b"stuck");
                connection
            })
            .collect();
        let (code, said, complained) = server.stop();
        assert_eq!(code, Some(0), "{complained}");
        assert!(said.contains("the handlers have run"), "{said}");
        assert!(!complained.contains("Fatal Python error") && !complained.contains("panicked"), "{complained}");
        drop(connections);
    }
}
