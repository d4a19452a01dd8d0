//! `start_response`: its types, its texts, its second call.

use gateway::testing::Outcome;
use gateway_tests::capture_log;

use crate::support::{get, seen, sent};

/// SR-18, SR-19, PY-05: an argument of a wrong type raises `TypeError`; another sequence in the place of a list or of a
/// tuple raises a warning.
#[test]
fn wrong_types_raise_inside_the_call() {
    let lines = seen(
        "
for status, headers in [
    (b'200 OK', []),
    (200, []),
    ('200 OK', iter([])),
    ('200 OK', None),
    ('200 OK', [None]),
    ('200 OK', ['ab']),
    ('200 OK', [('a',)]),
    ('200 OK', [('a', 'b', 'c')]),
    ('200 OK', [(b'a', 'b')]),
    ('200 OK', [('a', b'b')]),
    ('200 OK', [('a', 1)]),
]:
    seen.append(outcome(lambda: start_response(status, headers)))
seen.append(outcome(lambda: start_response('200 OK', (('a', 'b'),))))
seen.append(outcome(lambda: start_response('200 OK', [['a', 'b']])))
",
    );
    assert_eq!(lines[..11], ["TypeError"; 11]);
    assert_eq!(lines[11..], ["RuntimeWarning"; 2]);
}

/// SR-14 to SR-24, PY-16.
#[test]
fn what_must_not_leave_raises_inside_the_call() {
    for (status, headers) in [
        ("'200'", "[]"),
        ("'100 Continue'", "[]"),
        ("'200 OK\\r\\nX: y'", "[]"),
        ("'200 \\u0100'", "[]"),
        ("'200 \\ud800'", "[]"),
        ("'200 OK'", "[('X-A', '\\u0100')]"),
        ("'200 OK'", "[('X-A', 'a\\r\\nX-B: b')]"),
        ("'200 OK'", "[('X A', 'a')]"),
        ("'200 OK'", "[('Connection', 'close')]"),
        ("'200 OK'", "[('Content-Length', 'five')]"),
    ] {
        let response = get(&format!(
            "
def app(environ, start_response):
    try:
        start_response({status}, {headers})
    except ValueError as error:
        start_response('200 OK', [], (type(error), error, error.__traceback__))
        return [b'refused']
    return [b'sent']
"
        ));
        assert_eq!((response.status().as_u16(), &*response.text()), (200, "refused"), "{status} {headers}");
    }
}

/// SR-33.
#[test]
fn the_arguments_may_have_names() {
    for arguments in [
        "status='201 Created', headers=[]",
        "status='201 Created', response_headers=[], exc_info=None",
        "'201 Created', []",
    ] {
        let source = format!("def app(environ, start_response):\n    start_response({arguments})\n    return []");
        assert_eq!(get(&source).status(), 201, "{arguments}");
    }
}

/// SR-08, SR-09.
#[test]
fn a_second_call_raises() {
    let (response, log) = capture_log(|| {
        get("
def app(environ, start_response):
    start_response('200 OK', [])
    start_response('201 Created', [])
    return [b'sent']
")
    });
    assert_eq!(response.status(), 500);
    let log = &log[0].text;
    assert!(log.contains("ValueError") && log.contains("in app"), "{log}");
}

/// SR-12, PY-05.
#[test]
fn error_information_has_to_be_of_an_exception() {
    let lines = seen(
        "
import sys
for exc_info in sys.exc_info(), 'text', (1, 2), (ValueError, 'text', None):
    seen.append(outcome(lambda: start_response('200 OK', [], exc_info)))
",
    );
    assert_eq!(lines, ["TypeError"; 4]);
}

/// SR-10, SR-12, SR-33.
#[test]
fn an_error_replaces_a_head_that_has_not_gone() {
    let response = get("
import sys
def app(environ, start_response):
    start_response('200 OK', [('X-Old', '1'), ('Content-Length', '2')])
    try:
        raise ValueError('no')
    except ValueError:
        start_response('503 Busy', [('X-New', '1')], exc_info=sys.exc_info())
    return [b'replaced']
");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (503, "replaced"));
    assert!(response.headers().contains_key("x-new") && !response.headers().contains_key("x-old"));
}

/// SR-11, PY-06: the same exception is raised, with its traceback.
#[test]
fn an_error_that_comes_too_late_is_raised_again() {
    let (response, log) = capture_log(|| {
        get("
import sys, traceback
def fail():
    raise ValueError('too late')
def app(environ, start_response):
    start_response('200 OK', [])
    yield b'AAAA'
    try:
        fail()
    except ValueError as error:
        try:
            start_response('500 No', [], sys.exc_info())
        except ValueError as again:
            frames = [frame.name for frame in traceback.extract_tb(again.__traceback__)]
            assert again is error and frames[-1] == 'fail', frames
            raise
    yield b'BBBB'
")
    });
    assert_eq!((response.outcome(), sent(&response).as_str()), (Outcome::Aborted, "AAAA"));
    let log = &log[0].text;
    assert!(log.contains("ValueError: too late") && log.contains("in fail"), "{log}");
    assert!(!log.contains("AssertionError"), "{log}");
}
