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
    let log = log.into_iter().map(|event| event.text).collect::<String>();
    for text in ["printed caf\u{e9}", "one", "two", "four"] {
        assert!(log.contains(text), "{text} is not in {log}");
    }
}

/// LOG-04.
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
