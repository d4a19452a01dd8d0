//! The cost of reading variables of a request with twenty header fields.
//!
//! `0 keys` is the cost of a request in the gateway without a hop and without reading; the difference of the other rows
//! is the cost of reading. `map` is CGI: it only creates the text of every variable before the application is called.

use std::collections::HashMap;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use futures_util::FutureExt as _;
use gateway::testing::Inline;
use gateway::{Chunks, Environ, Gateway, application_fn};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::Empty;
use tower::Service as _;

/// The names of the variables; the first is the one that is read alone.
const KEYS: [&str; 10] = [
    "PATH_INFO",
    "REQUEST_METHOD",
    "QUERY_STRING",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "HTTP_HOST",
    "HTTP_USER_AGENT",
    "HTTP_COOKIE",
    "HTTP_X_FIELD_3",
];

/// The number of variables that are read.
#[derive(Clone, Copy)]
enum Read {
    Keys(usize),
    All,
}

impl Read {
    const EACH: [Self; 4] = [Self::Keys(0), Self::Keys(1), Self::Keys(10), Self::All];

    fn name(self) -> String {
        match self {
            Self::Keys(1) => "1 key".to_owned(),
            Self::Keys(count) => format!("{count} keys"),
            Self::All => "all keys".to_owned(),
        }
    }

    fn of_environ(self, environ: &Environ) {
        match self {
            Self::Keys(count) => {
                for key in &KEYS[..count] {
                    black_box(environ.get(key));
                }
            }
            Self::All => {
                for pair in environ.iter() {
                    black_box(pair);
                }
            }
        }
    }

    fn of_map(self, map: &HashMap<String, String>) {
        match self {
            Self::Keys(count) => {
                for &key in &KEYS[..count] {
                    black_box(map.get(key));
                }
            }
            Self::All => {
                for pair in map {
                    black_box(pair);
                }
            }
        }
    }
}

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("environ");
    for read in Read::EACH {
        let application = application_fn(move |environ, start_response| {
            read.of_environ(environ);
            start_response("200 OK", &[])?;
            Ok(Chunks::empty())
        });
        let gateway = Gateway::new(application).executor(Inline::new());
        group.bench_function(format!("gateway, {}", read.name()), |bencher| {
            // Drop the response here: `iter_batched` drops a returned value outside the measurement.
            let answer = |request| {
                let response = gateway.clone().call(request).now_or_never();
                drop(black_box(response.expect("inline, there is nothing to wait for")));
            };
            bencher.iter_batched(request, answer, BatchSize::SmallInput);
        });
    }
    for read in Read::EACH {
        group.bench_function(format!("map, {}", read.name()), |bencher| {
            let answer = |request: Request<_>| {
                let (parts, _) = request.into_parts();
                read.of_map(&map(&parts));
            };
            bencher.iter_batched(request, answer, BatchSize::SmallInput);
        });
    }
}

/// A request as a browser behind a proxy sends it.
fn request() -> Request<Empty<Bytes>> {
    let mut request = Request::get("/shop/caf%C3%A9/items?page=2&sort=price").body(Empty::new()).expect("a request");
    let headers = request.headers_mut();
    headers.reserve(20);
    for (name, value) in [
        (header::HOST, "shop.example:8000"),
        (header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        (header::ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (header::ACCEPT_LANGUAGE, "en-GB,en;q=0.7,de;q=0.3"),
        (header::ACCEPT_ENCODING, "gzip, deflate, br, zstd"),
        (header::REFERER, "https://shop.example/shop/"),
        (header::COOKIE, "session=6f1ed002ab5595859014ebf0951522d9; theme=dark"),
        (header::DNT, "1"),
        (header::CACHE_CONTROL, "max-age=0"),
        (header::UPGRADE_INSECURE_REQUESTS, "1"),
        (header::IF_NONE_MATCH, "\"33a64df551425fcc\""),
        (header::FORWARDED, "for=192.0.2.60;proto=https"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for name in ["x-field-1", "x-field-2", "x-field-3", "x-field-4", "x-field-5", "x-field-6", "x-field-7", "x-field-8"]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("a value of a usual length"));
    }
    request
}

/// The variables of CGI as text.
fn map(parts: &Parts) -> HashMap<String, String> {
    let path = percent_encoding::percent_decode_str(parts.uri.path());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let mut map = HashMap::with_capacity(parts.headers.len() + 8);
    for (key, value) in [
        ("REQUEST_METHOD", parts.method.as_str()),
        ("SCRIPT_NAME", ""),
        ("QUERY_STRING", parts.uri.query().unwrap_or_default()),
        ("SERVER_NAME", name),
        ("SERVER_PORT", port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("wsgi.url_scheme", "http"),
    ] {
        map.insert(key.to_owned(), value.to_owned());
    }
    map.insert("PATH_INFO".to_owned(), path.map(char::from).collect());
    for (name, value) in &parts.headers {
        let name = name.as_str().chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_uppercase() });
        let key = "HTTP_".chars().chain(name).collect();
        map.insert(key, value.as_bytes().iter().copied().map(char::from).collect());
    }
    map
}
