//! Creates applications from source text.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::python::{Callable, Loader};
use gateway::testing::{Client, Response};

/// The application that `source` defines as `app`, in a new module. Warnings are raised as exceptions, so that tests
/// can see them.
pub(crate) fn python(source: &str) -> Callable {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let module = format!("case_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("import warnings\nwarnings.simplefilter('error', RuntimeWarning)\n{source}");
    fs::write(folder.path().join(format!("{module}.py")), text).expect("a module");
    Loader::new().path(folder.path()).load(&format!("{module}:app")).unwrap_or_else(|error| panic!("{error}"))
}

/// An application that answers 200 with the value of an expression.
pub(crate) fn answering(expression: &str) -> Callable {
    python(&format!("def app(environ, start_response):\n    start_response('200 OK', [])\n    return {expression}"))
}

/// The application's response to a GET of `/`.
pub(crate) fn get(source: &str) -> Response {
    Client::new(python(source)).get("/")
}

/// Runs statements inside an application; it answers with the items of `seen`, one per line.
pub(crate) fn seen(statements: &str) -> Vec<String> {
    let body = statements.trim_matches('\n').replace('\n', "\n    ");
    let response = get(&format!(
        "
def outcome(call):
    try:
        return repr(call())
    except BaseException as error:
        return type(error).__name__

def app(environ, start_response):
    seen = []
    {body}
    start_response('200 OK', [])
    return ['\\n'.join(seen).encode()]
"
    ));
    assert_eq!(response.status(), 200);
    response.text().lines().map(str::to_owned).collect()
}

/// The received bytes as text, even if the body is incomplete.
pub(crate) fn sent(response: &Response) -> String {
    String::from_utf8(response.chunks().concat()).expect("UTF-8")
}
