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

    // No loader has initialised Python, because each test may run in its own process.
    Python::initialize();
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
