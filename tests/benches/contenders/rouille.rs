//! rouille, a blocking server, with its own pool of eight threads per CPU.
mod work;

use std::io::{self, Read as _};
use std::sync::LazyLock;
use std::thread;

use clap::Parser as _;
use rouille::{Request, Response, ResponseBody, router};

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

fn main() {
    let address = work::Options::parse().apply();
    rouille::start_server_with_pool(address, None, |request| {
        router!(request,
            (GET) ["/hello"] => { Response::text(work::HELLO) },
            (GET) ["/body"] => { body(request) },
            (POST) ["/echo"] => { echo(request).unwrap_or_else(|_| Response::empty_400()) },
            (GET) ["/stream"] => { streamed() },
            (GET) ["/headers"] => { headers(request) },
            (GET) ["/query"] => { Response::text(work::row(Some(request.raw_query_string()))) },
            (GET) ["/sleep"] => { sleep() },
            _ => Response::empty_404(),
        )
    });
}

fn body(request: &Request) -> Response {
    let body = work::body(Some(request.raw_query_string()));
    let length = body.len();
    let mut response = Response::text("");
    response.data = ResponseBody::from_reader_and_size(io::Cursor::new(body), length);
    response
}

fn echo(request: &Request) -> io::Result<Response> {
    let mut body = Vec::new();
    request.data().ok_or(io::ErrorKind::NotFound)?.read_to_end(&mut body)?;
    Ok(Response::from_data("application/octet-stream", body))
}

fn streamed() -> Response {
    let mut response = Response::text("");
    let length = (work::PIECES * work::piece().len()) as u64;
    response.data = ResponseBody::from_reader(io::repeat(b'x').take(length));
    response
}

fn headers(request: &Request) -> Response {
    let names = &NAMES[..work::count(Some(request.raw_query_string()))];
    let sum: usize = names.iter().filter_map(|name| request.header(name)).map(str::len).sum();
    Response::text(sum.to_string())
}

fn sleep() -> Response {
    thread::sleep(work::PAUSE);
    Response::text(work::HELLO)
}
