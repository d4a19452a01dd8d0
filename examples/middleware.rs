//! Applications that contain applications: a response-time header, and gzip. Both stream.
//!
//! ```sh
//! cargo run --release --example middleware
//! curl -i --compressed http://127.0.0.1:8000/
//! curl -N --compressed http://127.0.0.1:8000/ticks       # one line a second, compressed
//! ```
//!
//! Middleware implements `Application` and contains another application. It may change the environ before the call, the
//! head with `map_head`, written bytes with `map_write`, and the returned chunks.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::{Application, Chunks, Environ, Gateway, StartResponse, wsgi_app};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, VARY};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app()).stop_on_signals()?.await
}

fn app() -> Router {
    Router::new()
        .route("/", get(Gateway::new(ResponseTime(Gzip(page)))))
        .route("/ticks", get(Gateway::new(ResponseTime(Gzip(ticks)))))
}

/// A page worth compressing.
#[wsgi_app]
fn page(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain"), ("Content-Length", "12000")])?;
    Ok(["hello world\n".repeat(1000)])
}

/// A line per second: each line is sent when it is made, compressed or not.
#[wsgi_app]
fn ticks(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = String>> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok((1..=5).map(|tick| {
        std::thread::sleep(Duration::from_secs(1));
        format!("tick {tick}\n")
    }))
}

/// Adds the milliseconds that the application took to start its response.
struct ResponseTime<A>(A);

impl<A: Application> Application for ResponseTime<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        let start = Instant::now();
        let timed = start_response.map_head(move |head| {
            let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            head.headers_mut().insert("x-response-time", HeaderValue::from(milliseconds));
            Ok(())
        });
        self.0.call(environ, timed)
    }
}

/// Compresses text for clients that accept gzip.
struct Gzip<A>(A);

impl<A: Application> Application for Gzip<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        let takes_gzip = takes_gzip(environ);
        // The head, the writes and the chunks share this value, on one thread.
        let gzip = Rc::new(Compressor::default());
        let (for_head, for_writes) = (Rc::clone(&gzip), Rc::clone(&gzip));
        let compressing = start_response
            .map_head(move |head| {
                let headers = head.headers_mut();
                headers.append(VARY, HeaderValue::from_static("accept-encoding"));
                let is_text = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
                for_head.active.set(takes_gzip && is_text && !headers.contains_key(CONTENT_ENCODING));
                if for_head.active.get() {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    // Both headers describe the uncompressed body.
                    headers.remove(CONTENT_LENGTH);
                    headers.remove(ETAG);
                }
                Ok(())
            })
            .map_write(move |bytes| for_writes.compress(bytes));
        let chunks = self.0.call(environ, compressing)?;
        let (for_chunks, for_end) = (Rc::clone(&gzip), gzip);
        let compressed = chunks.into_iter().map(move |chunk| for_chunks.compress(chunk?));
        // Only reached when the chunks have ended well: after an error, no chunk is pulled.
        let trailer = std::iter::once_with(move || for_end.finish());
        Ok(Chunks::new(compressed.chain(trailer)))
    }
}

fn takes_gzip(environ: &Environ) -> bool {
    let accepted = environ.headers().get_all(ACCEPT_ENCODING).into_iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// A gzip stream that flushes after each chunk, so that no data is delayed.
struct Compressor {
    active: Cell<bool>,
    encoder: RefCell<GzEncoder<Vec<u8>>>,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { active: Cell::new(false), encoder: RefCell::new(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl Compressor {
    fn compress(&self, bytes: bytes::Bytes) -> gateway::Result<bytes::Bytes> {
        if !self.active.get() || bytes.is_empty() {
            return Ok(bytes);
        }
        let mut encoder = self.encoder.borrow_mut();
        encoder.write_all(&bytes)?;
        encoder.flush()?;
        Ok(std::mem::take(encoder.get_mut()).into())
    }

    fn finish(&self) -> gateway::Result<bytes::Bytes> {
        if !self.active.get() {
            return Ok(bytes::Bytes::new());
        }
        let mut encoder = self.encoder.borrow_mut();
        encoder.try_finish()?;
        Ok(std::mem::take(encoder.get_mut()).into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use gateway::application_fn;
    use gateway::testing::{Client, Outcome, Response};

    use super::*;

    fn get(app: impl Application) -> Response {
        Client::new(Gzip(app)).request("GET", "/").header("accept-encoding", "br, gzip;q=0.5").send()
    }

    fn unzipped(bytes: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn text_is_compressed_for_those_who_take_it() {
        let response = get(page);
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!(response.headers()["vary"], "accept-encoding");
        assert_eq!(unzipped(&response.bytes()).len(), 12000);
        assert!(response.bytes().len() < 200);
        for accepted in ["", "br", "gzip;q=0"] {
            let response = Client::new(Gzip(page)).request("GET", "/").header("accept-encoding", accepted).send();
            assert_eq!((response.headers().get("content-encoding"), response.bytes().len()), (None, 12000));
            assert_eq!(response.headers()["vary"], "accept-encoding");
        }
    }

    #[test]
    fn a_head_request_gets_the_headers_of_a_get() {
        let response = Client::new(Gzip(page)).request("HEAD", "/").header("accept-encoding", "gzip").send();
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!((response.headers().get("content-length"), response.bytes().len()), (None, 0));
    }

    #[test]
    fn what_is_written_and_what_is_returned_make_one_stream() {
        let response = get(application_fn(|_, start_response| {
            let write = start_response("200 OK", &[("Content-Type", "text/plain")])?;
            write.send("one ")?;
            Ok(Chunks::new(["two ", "three"]))
        }));
        // Each piece can be decoded when it arrives; the last chunk ends the stream.
        assert_eq!(response.chunks().len(), 4);
        assert_eq!(unzipped(&response.bytes()), "one two three");
    }

    #[test]
    fn a_failure_is_not_finished_off() {
        let response = get(application_fn(|_, start_response| {
            start_response("200 OK", &[("Content-Type", "text/plain")])?;
            Ok(Chunks::new([Ok("one"), Err("trouble")]))
        }));
        assert_eq!((response.outcome(), response.chunks().len()), (Outcome::Aborted, 1));
    }

    #[test]
    fn what_is_no_text_stays_as_it_is() {
        let response = get(application_fn(|_, start_response| {
            start_response("200 OK", &[("Content-Type", "image/png")])?;
            Ok(Chunks::new(["png"]))
        }));
        assert_eq!((response.headers().get("content-encoding"), response.bytes().as_slice()), (None, &b"png"[..]));
    }

    #[test]
    fn the_time_is_told() {
        let response = Client::new(ResponseTime(page)).get("/");
        let milliseconds = response.headers()["x-response-time"].to_str().unwrap();
        assert!(milliseconds.parse::<u64>().is_ok(), "{milliseconds}");
    }
}
