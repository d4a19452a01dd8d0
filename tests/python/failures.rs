//! Exceptions of every kind.

use gateway::testing::{Client, Outcome};
use gateway_tests::{Server, capture_log};

use crate::support::{get, python, sent};

/// PY-05: any exception is a 500, and only the log contains its details.
#[test]
fn every_exception_is_a_500_and_its_traceback_is_in_the_log() {
    for class in ["ValueError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"] {
        let client = Client::new(python(&format!(
            "
def fail():
    raise {class}('a secret')
def app(environ, start_response):
    start_response('200 OK', [])
    fail()
"
        )));
        for _ in 0..3 {
            let (response, log) = capture_log(|| client.get("/"));
            assert_eq!(response.status(), 500, "{class}");
            assert!(!response.text().contains("secret"));
            let log = &log[0].text;
            assert!(log.contains(&format!("{class}: a secret")) && log.contains("in fail"), "{log}");
        }
    }
}

/// An exception whose own methods raise is a single failure.
#[test]
fn an_exception_that_cannot_be_described_is_a_500() {
    let response = get("
class Odd(Exception):
    def __str__(self):
        raise Odd()
    __repr__ = __str__
def app(environ, start_response):
    raise Odd()
");
    assert_eq!(response.status(), 500);
}

/// PY-05: an object in the place of bytes or text may be of any size, and may have a `repr` of any kind. The log has a
/// short part of it, and its length.
#[test]
fn a_large_object_in_the_wrong_place_is_logged_in_part() {
    let most = 3000;
    let cases = [
        ("return ['x' * 10_000_000]", "10000000 long"),
        ("return [bytearray(b'x' * 10_000_000)]", "10000000 long"),
        ("yield ['x' * 10_000_000] * 100", "of type <class 'list'>"),
        ("yield Odd()", "of type <class"),
        ("yield Large()", "of type <class"),
        ("return 'x' * 10_000_000", "letter by letter"),
        ("start_response('200 OK' + 'x' * 10_000_000 + '\\n', [])", "(10000007 bytes long)"),
        ("start_response('200' + 'x' * 10_000_000, [])", "(10000003 bytes long)"),
        ("start_response('\\ud800' * 10_000_000, [])", "(10000000 long)"),
        ("start_response(b'x' * 10_000_000, [])", "10000000 long"),
        ("start_response('200 OK', 'x' * 10_000_000)", "headers should be a list"),
        ("start_response('200 OK', ['x' * 10_000_000])", "(10000000 long)"),
        ("start_response('200 OK', [('X', 'a' * 10_000_000 + '\\n')])", "(10000001 bytes long)"),
        ("start_response('200 OK', [('X', 'a' * 10_000_000 + '\u{100}')])", "(10000002 bytes long)"),
        ("start_response('200 OK', [('X', b'a' * 10_000_000)])", "(10000000 long)"),
        ("start_response('200 OK', [('Content-Length', 'a' * 10_000)])", "(10000 bytes long)"),
        ("start_response('200 OK', [('a' * 10_000_000, 'b')])", "(10000000 bytes long)"),
        ("start_response('200 OK', [], ['x' * 10_000_000])", "not ["),
        ("start_response('200 OK', [])(['x' * 10_000_000])", "not ["),
        ("environ['wsgi.errors'].write(['x' * 10_000_000])", "not ["),
    ];
    for (statement, part) in cases {
        let client = Client::new(python(&format!(
            "
class Odd:
    def __repr__(self):
        raise ValueError(self)
class Large:
    def __repr__(self):
        return 'x' * 10_000_000
def app(environ, start_response):
    if {:?} not in ('start', 'envir'):
        start_response('200 OK', [])
    {statement}
",
            &statement[..5]
        )));
        let (response, log) = capture_log(|| client.get("/"));
        assert!(response.status() == 500 || response.outcome() == Outcome::Aborted, "{statement}");
        let log: String = log.into_iter().map(|event| event.text).collect();
        assert!(log.contains(part), "{statement}: {}", &log[..log.len().min(most)]);
        assert!(log.len() < most, "{statement}: {} bytes", log.len());
    }
}

/// PY-05: half of a surrogate pair is no UTF-8. It is written as its escape, as on Python's own stderr.
#[test]
fn a_surrogate_does_not_hide_a_message() {
    let client = Client::new(python(
        "
def app(environ, start_response):
    print('said: \\udc80', file=environ['wsgi.errors'])
    environ['wsgi.errors'].writelines(['also \\udc81\\n'])
    raise RuntimeError('the file \\udcff is missing')
",
    ));
    let (response, log) = capture_log(|| client.get("/"));
    assert_eq!(response.status(), 500);
    let log: String = log.into_iter().map(|event| event.text).collect();
    for part in [r"said: \udc80", r"also \udc81", r"RuntimeError: the file \\udcff is missing", "in app"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn an_exception_after_the_first_byte_breaks_the_message_off() {
    let response = get("
def app(environ, start_response):
    start_response('200 OK', [])
    yield b'A'
    raise SystemExit(3)
");
    assert_eq!((response.outcome(), sent(&response).as_str()), (Outcome::Aborted, "A"));
}

/// SR-06, SR-07.
#[test]
fn an_application_that_does_not_start_its_response_is_a_500() {
    for returned in ["[]", "[b'x']", "iter([b'x'])"] {
        assert_eq!(
            get(&format!("def app(environ, start_response):\n    return {returned}")).status(),
            500,
            "{returned}"
        );
    }
}

#[test]
fn endless_recursion_is_a_500() {
    let pool = gateway::python::pool().threads(1).build().unwrap();
    let app = python(
        "
import sys
sys.setrecursionlimit(5000)
def app(environ, start_response):
    return app(environ, start_response)
",
    );
    let server = Server::of(gateway::Gateway::new(app).pool(&pool));
    assert_eq!(server.get("/").status(), 500);
}

/// A panic in Rust code that Python calls passes through Python, and is caught like any other panic.
#[test]
fn a_panic_of_rust_code_that_python_calls_is_a_500() {
    use gateway::python::Callable;
    use pyo3::types::PyCFunction;
    use pyo3::{PyResult, Python};

    // This test may be the first: a loader starts the interpreter, in an order with those of other tests.
    drop(python("app = print"));
    let app = Python::attach(|py| {
        let panics =
            PyCFunction::new_closure(py, None, None, |_, _| -> PyResult<()> { panic!("in Rust, below Python") })?;
        Callable::new(panics.as_any())
    });
    let client = Client::new(app.expect("it can be called"));
    for _ in 0..3 {
        let (response, log) = capture_log(|| client.get("/"));
        assert_eq!(response.status(), 500);
        assert!(log[0].text.contains("in Rust, below Python"), "{log:?}");
    }
}
