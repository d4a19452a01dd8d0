//! `wsgi.errors`.

use gateway::testing::Client;
use gateway_tests::{Sink, capture_log};

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

/// LOG-02: `print` calls `write` separately for each argument, each separator and the line end; so do tracebacks.
#[test]
fn a_printed_line_is_one_event() {
    let app = python(
        "
import traceback
def app(environ, start_response):
    errors = environ['wsgi.errors']
    print('one', 2, 'three', file=errors)
    print('unfinished', end='', file=errors)
    errors.flush()
    errors.flush()
    errors.write('two\\nlines\\n')
    errors.write('x' * 70000)
    try:
        raise ValueError('wrong')
    except ValueError:
        traceback.print_exc(file=errors)
    errors.write('the end')
    start_response('200 OK', [])
    return []
",
    );
    let lines = Sink::default();
    let gateway = gateway::Gateway::new(app).error_log(lines.clone()).executor(gateway::testing::Inline::new());
    Client::of(gateway).get("/");
    let log = lines.text();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..3], ["one 2 three", "unfinished", "two\\nlines"], "{log}");
    assert_eq!(lines[3].len(), 70_000);
    assert_eq!(lines[4], "Traceback (most recent call last):");
    assert_eq!(lines[lines.len() - 2..], ["ValueError: wrong", "the end"]);
    assert!(lines.iter().all(|line| !line.is_empty()), "{log}");
}

/// LOG-05, LOG-07: the first write from another thread has only the request id; later writes have the request's span.
#[test]
fn a_first_write_from_elsewhere_leaves_the_request_its_span() {
    let app = python(
        "
import threading
def app(environ, start_response):
    errors = environ['wsgi.errors']
    thread = threading.Thread(target=lambda: print('elsewhere', file=errors))
    thread.start()
    thread.join()
    print('here', file=errors)
    start_response('200 OK', [])
    return []
",
    );
    let (_, log) = capture_log(|| Client::new(app).get("/path"));
    let here = log.iter().find(|event| event.text.contains("here ") || event.text.contains("here\n")).unwrap();
    assert!(here.span.contains("path=/path"), "{here:?}");
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
    let lines = Sink::default();
    let gateway = gateway::Gateway::new(app).error_log(lines.clone()).executor(gateway::testing::Inline::new());
    assert_eq!(Client::of(gateway).get("/").text(), "ok");
    assert_eq!(lines.text(), "from elsewhere\n");
}
