//! Applications as trait impls, as closures, and as middleware.

use std::sync::Arc;

use gateway::testing::Client;
use gateway::{Application, Chunks, Environ, StartResponse, application_fn};

struct Greeter {
    greeting: String,
}

impl Application for Greeter {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        start_response("200 OK", &[])?;
        // Borrows from the application and from the environ, without a copy.
        Ok(Chunks::new([self.greeting.as_str(), environ.path_info()].map(str::to_owned)))
    }
}

/// MAC-07.
#[test]
fn a_type_with_state_is_an_application_bare_boxed_or_shared() {
    let greeter = || Greeter { greeting: "Hello ".into() };
    assert_eq!(Client::new(greeter()).get("/x").text(), "Hello /x");
    assert_eq!(Client::new(Arc::new(greeter())).get("/x").text(), "Hello /x");
    let boxed: Box<dyn Application> = Box::new(greeter());
    assert_eq!(Client::new(boxed).get("/x").text(), "Hello /x");
}

struct Twice<A>(A);

impl<A: Application> Application for Twice<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        environ.insert("twice.active", "yes");
        let start_response = start_response.map_head(|head| {
            head.headers_mut().remove("content-length");
            Ok(())
        });
        let chunks = self.0.call(environ, start_response)?;
        Ok(Chunks::new(chunks.into_iter().flat_map(|chunk| match chunk {
            Ok(bytes) => vec![Ok(bytes.clone()), Ok(bytes)],
            Err(error) => vec![Err(error)],
        })))
    }
}

/// EXT-05, IT-21.
#[test]
fn middleware_changes_the_environ_the_head_and_the_chunks() {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[("Content-Length", "3")])?;
        Ok(Chunks::new([environ.get("twice.active").unwrap_or("no ").to_owned()]))
    });
    let response = Client::new(Twice(Twice(app))).get("/");
    assert_eq!(response.text(), "yesyesyesyes");
}

/// The typed form has the same guarantees: an invalid head is refused, and a failure after the first chunk aborts the
/// message.
#[test]
fn a_fn_of_http_types_is_an_application() {
    use gateway::testing::Outcome;
    use gateway::{Input, http_fn};
    use http::{Request, Response};

    #[expect(clippy::needless_pass_by_value, reason = "the signature is the trait's")]
    fn app(request: Request<Input>) -> Result<Response<Vec<Result<&'static str, String>>>, http::Error> {
        let response = Response::builder().status(201).header("x-path", request.uri().path());
        match request.uri().path() {
            "/bad" => response.header("connection", "close").body(vec![]),
            "/fails" => response.body(vec![Ok("one"), Err("trouble".into())]),
            "/error" => Response::builder().status(7).body(vec![]),
            _ => response.body(vec![Ok("one "), Ok("two")]),
        }
    }
    let client = Client::new(http_fn(app));
    let response = client.get("/x");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (201, "one two"));
    assert_eq!(response.headers()["x-path"], "/x");
    assert_eq!(client.get("/fails").outcome(), Outcome::Aborted);
    assert_eq!((client.get("/bad").status().as_u16(), client.get("/error").status().as_u16()), (500, 500));
}

/// IT-22, POOL-26.
#[test]
fn an_application_is_called_again_and_again() {
    let client = Client::new(Greeter { greeting: String::new() });
    for path in ["/a", "/b", "/a"] {
        assert_eq!(client.get(path).text(), path);
    }
}
