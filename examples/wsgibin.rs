//! An httpbin for gateways: each route tests one rule of the contract on the wire, kept or broken on purpose.
//!
//! ```sh
//! cargo run --release --example wsgibin -- --port 9600
//! curl http://127.0.0.1:9600/env
//! curl http://127.0.0.1:9600/app/raise-mid          # nested: SCRIPT_NAME is /app; ends with exit code 18
//! curl 'http://127.0.0.1:9600/count?k=closed'
//! ```
//!
//! The tests drive the same router, see `tests/wire`.
//!
//! One router mounts the application twice, as the fallback at `/` and nested at `/app`. Beside it, `/count?k=NAME`
//! returns a counter and `/fast` answers at once, both async and outside the pool.

mod flags;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use clap::Parser;
use gateway::{Application, CallError, Chunks, Environ, Error, Pool, Result, StartResponse};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::flags::Flags;

/// The conformance application.
#[derive(Parser)]
pub(crate) struct Options {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    options.flags.run(|| Ok(build(&options)?))
}

/// The router, and the pool that its applications run on.
pub(crate) fn build(Options { flags }: &Options) -> std::io::Result<(Router, Pool)> {
    let pool = flags.pool(Pool::builder().name("wsgibin")).build()?;
    let counters = Counters::default();
    let gateway = flags.gateway(pool.mount(Bin { counters: counters.clone() }))?;
    let router = Router::new()
        .route("/count", get(move |query| count(query, counters)))
        .route("/fast", get(|| async { "ok" }))
        .nest_service("/app", gateway.clone())
        .fallback_service(gateway);
    Ok((router, pool))
}

/// `GET /count?k=NAME`.
async fn count(Query(query): Query<HashMap<String, String>>, counters: Counters) -> String {
    counters.get(query.get("k").map_or("", String::as_str)).to_string()
}

// ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Named counters. Clones share them.
#[derive(Clone, Default)]
struct Counters {
    counts: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl Counters {
    fn get(&self, name: &str) -> i64 {
        self.lock().get(name).copied().unwrap_or(0)
    }

    fn add(&self, name: &str, amount: i64) -> i64 {
        let mut counts = self.lock();
        let count = counts.entry(name.to_owned()).or_default();
        *count += amount;
        *count
    }

    fn raise_to(&self, name: &str, least: i64) {
        let mut counts = self.lock();
        let count = counts.entry(name.to_owned()).or_default();
        *count = least.max(*count);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A body that counts its creation and its close.
    fn counted<I>(&self, chunks: I) -> Counted<I> {
        self.add("opened", 1);
        Counted { chunks, counters: self.clone(), fails: false }
    }
}

/// A body that increments `opened` when it is created and `closed` when it is closed.
struct Counted<I> {
    chunks: I,
    counters: Counters,
    /// Whether its close fails.
    fails: bool,
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.chunks.next()
    }
}

impl<I> Drop for Counted<I> {
    fn drop(&mut self) {
        self.counters.add("closed", 1);
        assert!(!self.fails, "close fails, as asked");
    }
}

// ── the application ──────────────────────────────────────────────────────────────────────────────────────────────────

struct Bin {
    counters: Counters,
}

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

impl Application for Bin {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        let route = environ.path_info().rsplit('/').next().unwrap_or_default().to_owned();
        let query = Arguments::of(environ);
        match route.as_str() {
            "ok" => {
                self.counters.add("ok", 1);
                start_response("200 OK", &[TEXT, ("Content-Length", "2")])?;
                Ok(Chunks::new(["ok"]))
            }
            route if route.starts_with("env") || environ.path_info().starts_with("/env") => {
                env(environ, &start_response)
            }
            "echo" => {
                self.counters.add("echo", 1);
                start_response("200 OK", &[TEXT])?;
                Ok(Chunks::new(environ.input().chunks(64 * 1024)))
            }
            "sum" => self.sum(environ, &start_response),
            "read" => read(environ, &start_response, &query),
            "stream" => self.stream(&start_response, &query),
            "bytes" => {
                let body = "x".repeat(query.number("n", 0)?);
                start_response("200 OK", &[TEXT, ("Content-Length", &body.len().to_string())])?;
                Ok(Chunks::new([body]))
            }
            "file" => {
                let file = tempfile::tempfile()?;
                file.set_len(query.number("n", 0)?)?;
                start_response("200 OK", &[TEXT])?;
                Ok(Chunks::file(file))
            }
            "sleep" => self.sleep(&start_response, &query),
            "write" => {
                let mut write = start_response("200 OK", &[TEXT])?;
                write.write_all(b"A")?;
                write.write_all(b"B")?;
                Ok(Chunks::new(["C"]))
            }
            "late" | "empty-first" | "never" | "twice" | "replace" | "replace-late" => starts(&route, start_response),
            "raise" | "raise-started" | "raise-mid" => self.raise(&route, &start_response, &query),
            "empty" => {
                start_response("200 OK", &[TEXT, ("X-Empty", "1")])?;
                Ok(Chunks::empty())
            }
            "cl-over" | "cl-over-stream" | "cl-under" | "cl-bad" => self.lengths(&route, &start_response, &query),
            "status" => {
                start_response(query.text("s"), &[TEXT, ("Content-Length", "2")])?;
                Ok(Chunks::new(["ok"]))
            }
            "header" => {
                let mut headers = vec![TEXT, (query.text("name"), query.text("v"))];
                if query.text("cl") == "1" {
                    headers.push(("Content-Length", "5"));
                }
                start_response("200 OK", &headers)?;
                Ok(Chunks::new(["hello"]))
            }
            "cookies" => {
                start_response("200 OK", &[TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])?;
                Ok(Chunks::new(["ok"]))
            }
            "s204" => {
                start_response("204 No Content", &[("Content-Length", "5")])?;
                Ok(Chunks::new(["hello"]))
            }
            "s304" => {
                start_response("304 Not Modified", &[("ETag", "\"v1\"")])?;
                Ok(Chunks::new(["hello"]))
            }
            "big" => {
                const PIECES: usize = 160;
                start_response("200 OK", &[TEXT, ("Content-Length", "10485760")])?;
                let pieces = (0..PIECES).map(|_| vec![b'x'; 64 * 1024]);
                Ok(Chunks::new(self.counters.counted(pieces)))
            }
            "close" => self.close(&start_response, &query),
            "errors" => {
                writeln!(environ.errors(), "wsgibin-errors-line")?;
                plain(&start_response, "200 OK", "ok")
            }
            "noread" => {
                self.counters.add("noread", 1);
                plain(&start_response, "200 OK", "ok")
            }
            "selfcall" => selfcall(&start_response, &query),
            "stuck" => loop {
                thread::park();
            },
            "disconnected" => {
                let gone = environ.wait_for_disconnect(Duration::from_secs(5));
                self.counters.add(if gone { "saw_disconnect" } else { "no_disconnect" }, 1);
                plain(&start_response, "200 OK", "ok")
            }
            "smuggled" => {
                self.counters.add("smuggled", 1);
                plain(&start_response, "404 Not Found", "not found")
            }
            // In a mount without async routes, the application answers these two.
            "count" => plain(&start_response, "200 OK", &self.counters.get(query.text("k")).to_string()),
            "fast" => plain(&start_response, "200 OK", "ok"),
            _ => plain(&start_response, "404 Not Found", "not found"),
        }
    }
}

impl Bin {
    fn sum<'r>(&self, environ: &mut Environ, start_response: &StartResponse<'_>) -> Result<Chunks<'r>> {
        let mut hash = Sha256::new();
        let mut total = 0;
        for piece in environ.input().chunks(64 * 1024) {
            let piece = piece.inspect_err(|_| {
                self.counters.add("sum_error", 1);
            })?;
            total += piece.len();
            hash.update(&piece);
        }
        self.counters.add("sum_success", 1);
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        answer_json(start_response, &json!({ "bytes": total, "sha256": digest }))
    }

    fn stream<'r>(&self, start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
        let (total, size) = (query.number("n", 0)?, query.number("chunk", 65536)?.max(1));
        let pause = Duration::from_millis(query.number("ms", 0)?);
        start_response("200 OK", &[TEXT])?;
        let mut left: usize = total;
        let mut first = true;
        let pieces = std::iter::from_fn(move || {
            if !std::mem::take(&mut first) {
                thread::sleep(pause);
            }
            let piece = size.min(left);
            left -= piece;
            (piece > 0).then(|| vec![b'x'; piece])
        });
        Ok(Chunks::new(self.counters.counted(pieces)))
    }

    fn sleep<'r>(&self, start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
        self.counters.add("sleep", 1);
        let running = self.counters.add("running", 1);
        self.counters.raise_to("running_max", running);
        thread::sleep(Duration::from_millis(query.number("ms", 0)?));
        self.counters.add("running", -1);
        plain(start_response, "200 OK", "ok")
    }

    fn raise<'r>(&self, route: &str, start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
        let panics = query.text("how") == "panic";
        let fail = move || {
            assert!(!panics, "wsgibin panics, as asked");
            Error::new("wsgibin fails, as asked")
        };
        match route {
            "raise" => Err(fail()),
            "raise-started" => {
                start_response("200 OK", &[TEXT, ("X-Old", "1")])?;
                Err(fail())
            }
            _ => {
                let declared = [TEXT, ("Content-Length", "8")];
                start_response("200 OK", &declared[..if query.text("cl") == "1" { 2 } else { 1 }])?;
                let mut step = 0;
                let pieces = std::iter::from_fn(move || {
                    step += 1;
                    Some(if step == 1 { Ok("AAAA") } else { Err(fail()) })
                });
                Ok(Chunks::new(self.counters.counted(pieces)))
            }
        }
    }

    fn lengths<'r>(&self, route: &str, start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
        let declared = match route {
            "cl-under" => "10",
            "cl-bad" => query.text("v"),
            _ => "5",
        };
        start_response("200 OK", &[TEXT, ("Content-Length", declared)])?;
        Ok(match route {
            "cl-over" => Chunks::new(["helloWORLD"]),
            "cl-over-stream" => Chunks::new(self.counters.counted(["hel", "loWO", "RLD"].into_iter())),
            _ => Chunks::new(["hello"]),
        })
    }

    fn close<'r>(&self, start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
        start_response("200 OK", &[TEXT])?;
        let fail = query.text("fail");
        let fails_in_next = matches!(fail, "next" | "next-and-drop");
        let panics = fail == "next-and-drop";
        let mut step = 0;
        let pieces = std::iter::from_fn(move || {
            step += 1;
            match step {
                1 => Some(Ok("A")),
                2 if fails_in_next => {
                    assert!(!panics, "wsgibin panics, as asked");
                    Some(Err(Error::new("wsgibin fails, as asked")))
                }
                2 => Some(Ok("B")),
                _ => None,
            }
        });
        let mut counted = self.counters.counted(pieces);
        // In Rust, a close that fails is a destructor that panics.
        counted.fails = matches!(fail, "close" | "drop-panic" | "next-and-drop");
        Ok(Chunks::new(counted))
    }
}

/// JSON of every value that is text, a boolean or a number.
fn env<'r>(environ: &Environ, start_response: &StartResponse<'_>) -> Result<Chunks<'r>> {
    let mut values: BTreeMap<String, Value> =
        environ.iter().map(|(key, value)| (key.into_owned(), Value::from(value))).collect();
    let (major, minor) = environ.wsgi_version();
    values.insert("wsgi.version".into(), json!([major, minor]));
    values.insert("wsgi.multithread".into(), environ.multithread().into());
    values.insert("wsgi.multiprocess".into(), environ.multiprocess().into());
    values.insert("wsgi.run_once".into(), environ.run_once().into());
    values.insert("wsgi.input_terminated".into(), environ.input_terminated().into());
    answer_json(start_response, &json!(values))
}

fn read<'r>(environ: &mut Environ, start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
    let size = query.number("n", usize::MAX)?;
    let input = environ.input();
    let mut pieces = Vec::new();
    match query.text("how") {
        "read_n" => pieces.extend(until_empty(|| input.read_up_to(size))?),
        "readline" => pieces.extend(until_empty(|| input.readline_up_to(size))?),
        "readlines" => pieces.extend(input.readlines(0)?),
        "iter" => {
            for line in input.readline_iter() {
                pieces.push(line?);
            }
        }
        "mixed" => {
            pieces.push(input.readline()?);
            pieces.push(input.read_up_to(3)?);
            pieces.push(input.readline()?);
            pieces.push(input.read_all()?);
        }
        _ => pieces.push(input.read_all()?),
    }
    let texts: Vec<String> = pieces.iter().map(|piece| piece.iter().map(|&byte| char::from(byte)).collect()).collect();
    answer_json(start_response, &json!(texts))
}

fn until_empty(mut read: impl FnMut() -> Result<Vec<u8>, CallError>) -> Result<Vec<Vec<u8>>> {
    let mut pieces = Vec::new();
    loop {
        match read()? {
            piece if piece.is_empty() => return Ok(pieces),
            piece => pieces.push(piece),
        }
    }
}

/// The routes about the time and the form of `start_response`.
fn starts<'r>(route: &str, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
    let trouble = || Error::new("wsgibin has trouble, as asked");
    let mut step = 0;
    match route {
        "late" => Ok(Chunks::new(std::iter::once_with(move || start_response("201 Created", &[TEXT]).map(|_| "late")))),
        "empty-first" => Ok(Chunks::new(std::iter::from_fn(move || {
            step += 1;
            match step {
                1 | 2 | 4 => Some(Ok("")),
                3 => Some(start_response("202 Accepted", &[TEXT]).map(|_| "body")),
                5 => Some(Ok("!")),
                _ => None,
            }
        }))),
        "never" => Ok(Chunks::new(["x"])),
        "twice" => {
            start_response("200 OK", &[TEXT])?;
            start_response("201 Created", &[TEXT])?;
            Ok(Chunks::new(["x"]))
        }
        "replace" => {
            start_response("200 OK", &[TEXT, ("X-Old", "1")])?;
            start_response.replace(trouble(), "503 Service Unavailable", &[TEXT])?;
            Ok(Chunks::new(["replaced"]))
        }
        _ => {
            start_response("200 OK", &[TEXT, ("X-Old", "1")])?;
            Ok(Chunks::new(std::iter::from_fn(move || {
                step += 1;
                match step {
                    1 => Some(Ok("AAAA")),
                    2 => Some(start_response.replace(trouble(), "503 Service Unavailable", &[TEXT]).map(|_| "BBBB")),
                    _ => None,
                }
            })))
        }
    }
}

/// Requests `/ok` from its own server, and waits for the response on a pool thread.
fn selfcall<'r>(start_response: &StartResponse<'_>, query: &Arguments) -> Result<Chunks<'r>> {
    let port: u16 = query.text("port").parse()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /ok HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    plain(start_response, "200 OK", body)
}

fn plain<'r>(start_response: &StartResponse<'_>, status: &str, text: &str) -> Result<Chunks<'r>> {
    start_response(status, &[TEXT])?;
    Ok(Chunks::new([text.to_owned()]))
}

fn answer_json<'r>(start_response: &StartResponse<'_>, value: &Value) -> Result<Chunks<'r>> {
    start_response("200 OK", &[("Content-Type", "application/json")])?;
    Ok(Chunks::new([value.to_string()]))
}

/// The query, percent-decoded to Latin-1: a value is returned byte for byte.
struct Arguments {
    pairs: Vec<(String, String)>,
}

impl Arguments {
    fn of(environ: &Environ) -> Self {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).map(char::from).collect::<String>();
        let pairs = environ.query().split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self { pairs: pairs.collect() }
    }

    fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn number<N: std::str::FromStr<Err = std::num::ParseIntError>>(&self, name: &str, default: N) -> Result<N> {
        match self.text(name) {
            "" => Ok(default),
            text => Ok(text.parse()?),
        }
    }
}
