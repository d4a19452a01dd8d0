//! The errors of the library in the error types of applications: `?` converts them, and the answer is the same.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use anyhow::Context as _;
use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, get};
use gateway::testing::{Client, Request};
use gateway::{
    BoxError, CallError, Chunks, ContractError, Environ, Error, Event, Events, FileError, FileResponse, Gateway, Input,
    MultipartError, Pool, ResponseHead, StartResponse, application_fn, wsgi_app,
};
use gateway_tests::{Server, capture_request, recv, write_until_refused};
use tracing::Level;

/// An error of an application, which names its source.
#[derive(Debug)]
enum OwnError {
    Call(CallError),
    Contract(ContractError),
    File(FileError),
    Form(MultipartError),
    Io(io::Error),
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error of the application")
    }
}

impl StdError for OwnError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Call(error) => Some(error),
            Self::Contract(error) => Some(error),
            Self::File(error) => Some(error),
            Self::Form(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

macro_rules! own_error_from {
    ($($variant:ident: $error:ty),+) => {
        $(impl From<$error> for OwnError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

own_error_from!(Call: CallError, Contract: ContractError, File: FileError, Form: MultipartError, Io: io::Error);

/// Applications with these error types, which make every call of the library that may fail.
macro_rules! every_call {
    ($($name:ident: $error:ty),+) => {
        $(#[wsgi_app]
        fn $name(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<Chunks<'static>, $error> {
            match environ.path_info() {
                "/json" => environ.json::<Vec<i64>>().map(drop)?,
                "/form" => environ.form::<Vec<(String, String)>>().map(drop)?,
                "/multipart" => while let Some(mut field) = environ.multipart()?.next()? {
                    field.bytes(10)?;
                    field.text(10)?;
                },
                "/file" => return Ok(FileResponse::open("missing")?.send(environ, start_response)?),
                "/events" => {
                    let events = Events::start(start_response)?;
                    events.send(&Event::new("one"))?;
                    events.comment("two")?;
                    return Ok(Chunks::empty());
                }
                "/replace" => {
                    let none = || io::Error::other("none");
                    start_response.replace(none(), "503 Service Unavailable", &[])?;
                    start_response.replace_with(none(), StatusCode::BAD_GATEWAY, HeaderMap::new())?;
                    return Ok(Chunks::empty());
                }
                "/head" => drop(ResponseHead::parse("nonsense", &[])?),
                "/with" => {
                    start_response.with(StatusCode::CREATED, HeaderMap::new())?;
                    return Ok(Chunks::known(["one"])?.wrap(|chunks| chunks.map(|chunk| Ok::<_, $error>(chunk?))));
                }
                _ => {}
            }
            environ.path()?;
            environ.extract::<Query<Vec<(String, String)>>>()?;
            let input = environ.input();
            input.readline()?;
            input.readline_up_to(1)?;
            input.read_up_to(1)?;
            input.readlines(1)?;
            input.readline_iter().next().transpose()?;
            input.chunks(1).next().transpose()?;
            io::copy(input, &mut io::sink())?;
            input.read_all()?;
            input.read_bytes()?;
            start_response("200 OK", &[])?.send("done")?;
            Ok(Chunks::empty())
        })+
    };
}

every_call!(of_gateway: gateway::Error, of_anyhow: anyhow::Error, of_io: io::Error, of_box: BoxError, of_own: OwnError);

/// Requests for `every_call`, and the status of the answer.
fn requests(client: &Client) -> [(Request, u16); 13] {
    let json =
        |body: &'static str| client.request("POST", "/json").header("content-type", "application/json").body(body);
    let text = |path: &str| client.request("POST", path).body("text");
    [
        (text("/"), 200),
        (text("/events"), 200),
        (text("/with"), 201),
        (text("/replace"), 502),
        (text("/%FF"), 400),
        (json("[1"), 400),
        (json("\"one\""), 422),
        (text("/json"), 415),
        (text("/form"), 415),
        (text("/multipart"), 415),
        (text("/file"), 404),
        (text("/head"), 500),
        (text("/").body("0123456789").cut_body_after(5), 400),
    ]
}

/// MAC-03, IN-19.
#[test]
fn every_error_of_the_library_is_answered_alike_in_every_error_type() {
    let clients = [
        ("gateway::Error", Client::new(of_gateway)),
        ("anyhow::Error", Client::new(of_anyhow)),
        ("io::Error", Client::new(of_io)),
        ("BoxError", Client::new(of_box)),
        ("OwnError", Client::new(of_own)),
    ];
    for (name, client) in clients {
        for (at, (request, status)) in requests(&client).into_iter().enumerate() {
            let (response, events) = capture_request(request);
            assert_eq!(response.status(), status, "{name}, request {at}: {}", response.text());
            let failures: Vec<_> = events.iter().filter(|event| event.level <= Level::WARN).collect();
            assert_eq!(failures.len(), usize::from(status == 500), "{name}, request {at}: {failures:?}");
        }
    }
}

/// What an application with `anyhow` does, by the path.
fn serve(environ: &mut Environ, start_response: &StartResponse<'_>) -> anyhow::Result<Chunks<'static>> {
    fn numbers(environ: &mut Environ) -> io::Result<Vec<i64>> {
        Ok(environ.json()?)
    }
    match environ.path_info() {
        "/number" => drop(environ.extract::<Query<Vec<(String, i64)>>>()?),
        "/json" => drop(environ.json::<Vec<i64>>()?),
        "/json-by-io" => drop(numbers(environ)?),
        "/read" => drop(environ.input().read_all()?),
        "/read-by-io" => drop(io::read_to_string(environ.input())?),
        "/short" => return Err(CallError::from(Error::response((StatusCode::IM_A_TEAPOT, "short"))).into()),
        "/stout" => anyhow::bail!(CallError::from(Error::response((StatusCode::CONFLICT, "stout")))),
        "/head" => drop(start_response("nonsense", &[])?),
        _ => anyhow::bail!("of its own accord"),
    }
    start_response("200 OK", &[])?;
    Ok(Chunks::new(["done"]))
}

#[wsgi_app]
fn plain(environ: &mut Environ, start_response: StartResponse<'_>) -> anyhow::Result<Chunks<'static>> {
    serve(environ, &start_response)
}

#[wsgi_app]
fn in_context(environ: &mut Environ, start_response: StartResponse<'_>) -> anyhow::Result<Chunks<'static>> {
    serve(environ, &start_response).context("while serving")
}

#[wsgi_app]
fn in_contexts(environ: &mut Environ, start_response: StartResponse<'_>) -> anyhow::Result<Chunks<'static>> {
    serve(environ, &start_response).context("while serving").with_context(|| environ.path_info().to_owned())
}

fn post(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn chunked(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

const JSON: &str = "application/json";

/// IN-19, IN-20: an `anyhow::Error` keeps the reason, with and without contexts around it.
#[test]
fn an_anyhow_error_has_the_answer_of_its_cause() {
    let too_large = "10\r\n0123456789abcdef\r\n0\r\n\r\n";
    let malformed = "5\r\nhello\r\nzz\r\n";
    let cases = [
        (post("/json", JSON, "[1, 2]"), 200, "done"),
        (post("/json", JSON, "[1"), 400, "EOF while parsing"),
        (post("/json", JSON, "{}"), 422, "expected a sequence"),
        (post("/json", "text/plain", "[]"), 415, "Content-Type"),
        (post("/json-by-io", JSON, "{}"), 422, "expected a sequence"),
        (post("/number?n=one", JSON, ""), 400, "invalid digit"),
        (chunked("/read", too_large), 413, "Payload Too Large"),
        (chunked("/read-by-io", too_large), 413, "Payload Too Large"),
        (chunked("/read", malformed), 400, "Bad Request"),
        (chunked("/read-by-io", malformed), 400, "Bad Request"),
        (post("/short", JSON, ""), 418, "short"),
        (post("/stout", JSON, ""), 409, "stout"),
        (post("/head", JSON, ""), 500, "Internal Server Error"),
        (post("/", JSON, ""), 500, "Internal Server Error"),
    ];
    let by_closure = application_fn(|environ, start_response| {
        serve(environ, &start_response).context("while serving").map_err(Error::new)
    });
    let gateways = [Gateway::new(plain), Gateway::new(in_context), Gateway::new(in_contexts), Gateway::new(by_closure)];
    for (at, gateway) in gateways.into_iter().enumerate() {
        let server = Server::of(gateway.body_limit(10).read_ahead(1));
        for (request, status, text) in &cases {
            let reply = server.connect().request(request);
            assert_eq!(reply.status(), *status, "application {at}: {request}");
            assert!(reply.text().contains(text), "application {at}: {request}: {}", reply.text());
        }
    }
}

/// The same in a handler: its error converts with `Error::new`.
#[test]
fn an_anyhow_error_of_a_handler_has_the_answer_of_its_cause() {
    fn serve(path: &str, input: &mut Input) -> anyhow::Result<String> {
        match path {
            "/read" => Ok(String::from_utf8(input.read_all()?)?),
            "/read-by-io" => Ok(io::read_to_string(input)?),
            "/short" => Err(CallError::from(Error::response((StatusCode::IM_A_TEAPOT, "short"))).into()),
            _ => anyhow::bail!("of its own accord"),
        }
    }
    #[expect(clippy::needless_pass_by_value, reason = "extractors are values")]
    fn plain(uri: Uri, mut input: Input) -> gateway::Result<String> {
        serve(uri.path(), &mut input).map_err(Error::new)
    }
    #[expect(clippy::needless_pass_by_value, reason = "extractors are values")]
    fn in_context(uri: Uri, mut input: Input) -> gateway::Result<String> {
        serve(uri.path(), &mut input).context("while serving").map_err(Error::new)
    }
    fn of_calls(mut input: Input) -> Result<Vec<u8>, CallError> {
        input.read_all()
    }
    let pool = Pool::builder().threads(1).build().unwrap();
    let api = pool.gateway().body_limit(10).read_ahead(1);
    let cases = [
        (post("/read", "text/plain", "text"), 200, "text"),
        (chunked("/read", "10\r\n0123456789abcdef\r\n0\r\n\r\n"), 413, ""),
        (chunked("/read-by-io", "10\r\n0123456789abcdef\r\n0\r\n\r\n"), 413, ""),
        (chunked("/read", "5\r\nhello\r\nzz\r\n"), 400, ""),
        (post("/short", "text/plain", ""), 418, "short"),
        (post("/", "text/plain", ""), 500, ""),
    ];
    for handler in [any(api.handler(plain)), any(api.handler(in_context))] {
        let server = Server::of(Router::new().fallback_service(handler));
        for (request, status, text) in &cases {
            let reply = server.connect().request(request);
            assert_eq!(reply.status(), *status, "{request}");
            assert!(reply.text().contains(text), "{request}: {}", reply.text());
        }
    }
    let server = Server::of(Router::new().route("/", get("").post(api.handler(of_calls))));
    let reply = server.connect().request(&chunked("/", "5\r\nhello\r\nzz\r\n"));
    assert_eq!(reply.status(), 400);
}

/// Writes until a write fails.
fn endless(start_response: &StartResponse<'_>) -> anyhow::Result<()> {
    let write = start_response("200 OK", &[])?;
    Err(write_until_refused(&write)).context("while writing")
}

/// DISC-07: `anyhow` gives the error of the call back.
#[test]
fn an_anyhow_error_tells_that_the_client_has_left() {
    let (report, reported) = std::sync::mpsc::channel();
    let app = application_fn(move |_, start_response| {
        let error = endless(&start_response).expect_err("the client leaves");
        report.send(error.downcast_ref::<CallError>().is_some_and(CallError::is_disconnected))?;
        Err(Error::new(error))
    });
    let server = Server::of(app);
    let mut connection = server.ask("/");
    connection.head();
    drop(connection);
    assert!(recv(&reported));
}

/// LOG-11, LOG-12: a disconnect is no failure of the application, whatever contexts are around the error.
#[test]
fn a_disconnect_in_an_anyhow_error_is_no_failure() {
    #[wsgi_app]
    fn plain(_: &mut Environ, start_response: StartResponse<'_>) -> anyhow::Result<Chunks<'static>> {
        let write = start_response("200 OK", &[])?;
        loop {
            write.send("x".repeat(1000))?;
        }
    }
    #[wsgi_app]
    fn in_context(_: &mut Environ, start_response: StartResponse<'_>) -> anyhow::Result<Chunks<'static>> {
        endless(&start_response).context("again")?;
        Ok(Chunks::empty())
    }
    for client in [Client::new(plain), Client::new(in_context)] {
        let (_, events) = capture_request(client.request("GET", "/").disconnect_after(1));
        let failures: Vec<_> = events.iter().filter(|event| event.level <= Level::WARN).collect();
        assert!(failures.is_empty(), "{failures:?}");
        let records: Vec<_> = events.iter().filter(|event| event.target == "gateway::access").collect();
        assert!(records.len() == 1 && records[0].text.ends_with("outcome=client gone "), "{records:?}");
    }
}
