//! The case of header names.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use axum::Router;
use bytes::Bytes;
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{BOUND, Flavour, Stoppable, http2};
use http_body_util::Empty;

fn server(title_case: bool) -> Stoppable {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[("content-type", "text/plain"), ("X-REQUEST-ID", "7")])?;
        Ok(Chunks::new(["a", "b"]))
    });
    let router = Router::new().fallback_service(Gateway::new(app));
    Stoppable::start(Flavour::CurrentThread, move |listener| {
        gateway::serve(listener, router).title_case_headers(title_case)
    })
}

/// The names of the fields of a response, as they were received.
fn names(server: &Stoppable) -> Vec<String> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, _) = response.split_once("\r\n\r\n").unwrap();
    head.lines().skip(1).map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

/// SR-25: names are lower case, or begin with capitals; their order is that of the application.
#[test]
fn the_names_of_fields_have_one_case() {
    let lower = ["content-type", "x-request-id", "connection", "transfer-encoding", "date"];
    assert_eq!(names(&server(false)), lower);
    let title = ["Content-Type", "X-Request-Id", "Connection", "Transfer-Encoding", "Date"];
    assert_eq!(names(&server(true)), title);
}

/// RFC 9113 §8.2: on HTTP/2 the names are lower case, whatever the setting.
#[tokio::test(crate = "crate::bounded")]
async fn names_are_lower_case_on_http2() {
    let server = server(true);
    let mut client = http2(server.address()).await;
    let request = http::Request::get("http://a/").body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-request-id"]), (200, "7".parse().as_ref().unwrap()));
}
