//! The example whose routes are migrated to Rust one by one.

use gateway::python;
use gateway_tests::{Server, until};

use crate::browser::Browser;
use crate::environment::prepare;
use crate::migrate;

fn at(step: u8) -> Server {
    prepare();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python");
    let pool = python::pool().threads(8).build().unwrap();
    Server::of(migrate::app(step, migrate::load(folder.into()).unwrap(), &pool).unwrap())
}

/// PY-15: clients see the same answer from either implementation.
#[test]
fn a_route_that_has_moved_answers_as_before() {
    let [before, after] = [at(0), at(3)];
    let mut browsers = [&before, &after].map(Browser::new);
    for path in ["/quote?product=2&count=11", "/quote?product=1", "/products", "/products/1"] {
        let [flask, rust] = browsers.each_mut().map(|browser| browser.get(path));
        assert_eq!((flask.status(), flask.text()), (rust.status(), rust.text()), "{path}");
    }
    // This method is not migrated; another method of the same path is.
    let [flask, still_flask] = browsers.each_mut().map(|browser| browser.post("/products/1", &[("count", "2")]));
    assert_eq!((flask.line, flask.headers.len()), (still_flask.line, still_flask.headers.len()));
    assert_eq!(browsers[1].get("/products/x").text(), "There is no product \"x\".\n");
}

/// The shadow's comparison logs the error of the first draft, and the client does not see it.
#[test]
fn a_draft_is_compared_and_not_shown() {
    let server = at(1);
    let mut browser = Browser::new(&server);
    assert_eq!(browser.get("/quote?product=2&count=11").text(), "446 cents\n");
    until("the requests are compared", || browser.get("/shadow").text().contains("differing: 1"));
}
