//! `wsgi.errors`.

use gateway::testing::Client;
use gateway_tests::capture_log;

use crate::support::{python, seen};

/// LOG-01 to LOG-03.
#[test]
fn what_is_written_to_the_errors_is_in_the_log() {
    let app = python(
        "
def app(environ, start_response):
    errors = environ['wsgi.errors']
    print('printed caf\\u00e9', file=errors)
    errors.writelines(['one', 'two'])
    errors.flush()
    start_response('200 OK', [])
    return [repr(errors.write('four')).encode()]
",
    );
    let (response, log) = capture_log(|| Client::new(app).get("/"));
    assert_eq!(response.text(), "4");
    let log: Vec<String> = log.into_iter().map(|event| event.text).collect();
    for text in ["printed caf\u{e9}", "onetwo", "four"] {
        assert!(log.iter().any(|event| event.contains(text)), "{text} is not in {log:?}");
    }
}

/// LOG-04, PY-05.
#[test]
fn the_errors_take_text_only() {
    let lines = seen(
        "
errors = environ['wsgi.errors']
seen.append(outcome(lambda: errors.write(b'bytes')))
seen.append(outcome(lambda: errors.writelines([b'bytes'])))
",
    );
    assert_eq!(lines, ["TypeError", "TypeError"]);
}

/// LOG-06, LOG-07.
#[test]
fn the_errors_can_be_written_from_anywhere() {
    let app = python(
        "
import threading
def write(errors):
    thread = threading.Thread(target=lambda: errors.write('from elsewhere'))
    thread.start()
    thread.join(60)
def app(environ, start_response):
    start_response('200 OK', [])
    write(environ['wsgi.errors'])
    return [b'ok']
",
    );
    let lines = Lines::default();
    let gateway = gateway::Gateway::new(app).error_log(lines.clone()).executor(gateway::testing::Inline::new());
    assert_eq!(Client::of(gateway).get("/").text(), "ok");
    assert_eq!(*lines.0.lock().unwrap(), b"from elsewhere\n");
}

#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
