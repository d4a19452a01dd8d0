//! `write`.

use gateway::testing::Outcome;
use gateway_tests::capture_log;

use crate::support::{get, seen};

/// WR-01, WR-04, WR-05.
#[test]
fn what_is_written_comes_before_what_is_returned() {
    let response = get("
def app(environ, start_response):
    write = start_response('200 OK', [])
    write(b'')
    write(b'A')
    write(b'B')
    return [b'C']
");
    assert_eq!(response.text(), "ABC");
}

/// WR-02, PY-05.
#[test]
fn only_bytes_can_be_written() {
    let lines = seen(
        "
import sys
try:
    1 / 0
except ZeroDivisionError:
    write = start_response('200 OK', [], sys.exc_info())
    seen.append(outcome(lambda: write('text')))
    seen.append(outcome(lambda: write(bytearray(b'x'))))
    seen.append(outcome(lambda: write(None)))
    start_response('200 OK', [], sys.exc_info())
start_response = lambda *args: None
",
    );
    assert_eq!(lines, ["TypeError"; 3]);
}

/// WR-08.
#[test]
fn bytes_beyond_the_declared_length_raise() {
    let (response, log) = capture_log(|| {
        get("
def app(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '3')])
    write(b'abcde')
    return []
")
    });
    assert_eq!((response.outcome(), response.text().as_str()), (Outcome::Complete, "abc"));
    assert!(log[0].text.contains("ValueError"), "{log:?}");
}
