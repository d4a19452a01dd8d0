//! A message that is complete by its length is sent before the chunks are dropped: a client never waits for a `close`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gateway::{Application, Chunks, Gateway, Pool, application_fn};
use gateway_tests::{
    Ending, Flavour, Gate, Journal, Script, Server, Step, block_on, capture_events, http2, until, within,
};
use http_body_util::{BodyExt as _, Empty};
use tower::ServiceExt as _;

/// Blocks every `close`, and counts the closes that have ended.
#[derive(Clone, Default)]
struct Closes {
    gate: Arc<Gate>,
    ended: Arc<AtomicUsize>,
}

impl Closes {
    fn close(&self) {
        self.gate.waiter().pass("close");
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until the next close has begun, while all earlier ones have ended, and lets it end.
    fn let_one_end(&self) {
        self.gate.await_call();
        let ended = self.ended.load(Ordering::SeqCst);
        assert_eq!(self.gate.calls().len(), ended + 1, "the close is held while the client has its message");
        self.gate.let_one();
        until("the close ends", || self.ended.load(Ordering::SeqCst) == ended + 1);
    }
}

/// Chunks with a `close`.
struct HeldChunks<I>(I, Closes);

impl<I: Iterator> Iterator for HeldChunks<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<I> Drop for HeldChunks<I> {
    fn drop(&mut self) {
        self.1.close();
    }
}

/// A response, and the message that a client must receive.
struct Case {
    name: &'static str,
    method: &'static str,
    status: &'static str,
    headers: &'static [(&'static str, &'static str)],
    chunks: fn(Closes) -> gateway::Result<Chunks<'static>>,
    length: Option<&'static str>,
    body: &'static str,
}

fn pieces(pieces: &'static [&'static str], closes: Closes) -> Chunks<'static> {
    Chunks::new(HeldChunks(pieces.iter().copied(), closes))
}

fn file(text: &str) -> gateway::Result<Chunks<'static>> {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(Chunks::file(file))
}

const FIVE: &[(&str, &str)] = &[("Content-Length", "5")];
const NONE: &[(&str, &str)] = &[("Content-Length", "0")];

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "one chunk", method: "GET", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&["hello"], closes)), length: Some("5"), body: "hello" },
    Case { name: "one chunk among empty ones", method: "GET", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&["", "hello"], closes)), length: Some("5"), body: "hello" },
    Case { name: "one chunk of a declared length", method: "GET", status: "200 OK", headers: FIVE,
           chunks: |closes| Ok(pieces(&["hello"], closes)), length: Some("5"), body: "hello" },
    Case { name: "chunks of a declared length", method: "GET", status: "200 OK", headers: FIVE,
           chunks: |closes| Ok(pieces(&["hel", "lo"], closes)), length: Some("5"), body: "hello" },
    Case { name: "more than was declared", method: "GET", status: "200 OK", headers: FIVE,
           chunks: |closes| Ok(pieces(&["hel", "loWORLD", "!"], closes)), length: Some("5"), body: "hello" },
    Case { name: "no chunks", method: "GET", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&[], closes)), length: Some("0"), body: "" },
    Case { name: "empty chunks", method: "GET", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&["", ""], closes)), length: Some("0"), body: "" },
    Case { name: "a declared length of nothing", method: "GET", status: "200 OK", headers: NONE,
           chunks: |closes| Ok(pieces(&[""], closes)), length: Some("0"), body: "" },
    Case { name: "an error page", method: "GET", status: "404 Not Found", headers: &[],
           chunks: |closes| Ok(pieces(&["hello"], closes)), length: Some("5"), body: "hello" },
    Case { name: "known pieces, changed by middleware", method: "GET", status: "200 OK", headers: &[],
           chunks: |closes| Ok(Chunks::known(["hel", "lo"])?.wrap(|chunks| HeldChunks(chunks, closes))), length: Some("5"), body: "hello" },
    Case { name: "a file, changed by middleware", method: "GET", status: "200 OK", headers: &[],
           chunks: |closes| Ok(file("hello")?.wrap(|chunks| HeldChunks(chunks, closes))), length: Some("5"), body: "hello" },
    Case { name: "HEAD of one chunk", method: "HEAD", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&["hello"], closes)), length: Some("5"), body: "" },
    Case { name: "HEAD of several", method: "HEAD", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&["hel", "lo"], closes)), length: None, body: "" },
    Case { name: "HEAD of nothing", method: "HEAD", status: "200 OK", headers: FIVE,
           chunks: |closes| Ok(pieces(&[], closes)), length: Some("5"), body: "" },
    Case { name: "204", method: "GET", status: "204 No Content", headers: &[],
           chunks: |closes| Ok(pieces(&[], closes)), length: None, body: "" },
    Case { name: "204 with a chunk", method: "GET", status: "204 No Content", headers: &[],
           chunks: |closes| Ok(pieces(&["hello"], closes)), length: None, body: "" },
    Case { name: "304", method: "GET", status: "304 Not Modified", headers: &[],
           chunks: |closes| Ok(pieces(&[], closes)), length: None, body: "" },
    Case { name: "HEAD with trailers", method: "HEAD", status: "200 OK", headers: &[],
           chunks: |closes| Ok(pieces(&[], closes).with_trailers([], || Ok(http::HeaderMap::new()))), length: None, body: "" },
];

/// An application that answers at the path with the number of a case.
fn application(closes: &Closes) -> impl Application + use<> {
    let closes = closes.clone();
    application_fn(move |environ, start_response| {
        let case = &CASES[environ.path_info()[1..].parse::<usize>()?];
        start_response(case.status, case.headers)?;
        (case.chunks)(closes.clone())
    })
}

fn serve(flavour: Flavour, app: impl Application) -> Server {
    let pool = Pool::builder().threads(1).build().unwrap();
    Server::on(flavour, Gateway::new(app).pool(&pool))
}

/// END-07, HTTP-03: on HTTP/1, the client receives the whole message while `close` is blocked, and the connection stays
/// usable.
#[test]
fn a_message_complete_by_its_length_does_not_wait_for_close() {
    let closes = Closes::default();
    for flavour in Flavour::ALL {
        let server = serve(flavour, application(&closes));
        let kept = server.connect();
        for (number, case) in CASES.iter().enumerate() {
            for version in ["1.1", "1.0"] {
                let mut connection = if version == "1.0" { server.connect() } else { kept.second_handle() };
                connection.send(&format!("{} /{number} HTTP/{version}\r\nHost: h\r\n\r\n", case.method));
                let reply = if case.method == "HEAD" { connection.reply_to_head() } else { connection.reply() };
                let what = format!("{}, HTTP/{version}", case.name);
                assert_eq!(reply.line, format!("HTTP/{version} {}", case.status), "{what}");
                assert_eq!((reply.header("content-length"), &*reply.text()), (case.length, case.body), "{what}");
                closes.let_one_end();
            }
        }
    }
}

/// END-07, HTTP-17: on HTTP/2, the stream ends while `close` is blocked.
#[tokio::test(crate = "crate::bounded")]
async fn a_stream_complete_by_its_length_ends_before_close() {
    let closes = Closes::default();
    let server = serve(Flavour::MultiThread, application(&closes));
    let mut sender = http2(server.address()).await;
    for (number, case) in CASES.iter().enumerate() {
        let request = http::Request::builder().method(case.method).uri(format!("http://h/{number}"));
        let whole = async {
            let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            let (head, body) = response.into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        };
        let (head, body) = within(whole).await;
        assert_eq!((head.status.as_str(), &body[..]), (&case.status[..3], case.body.as_bytes()), "{}", case.name);
        let closes = closes.clone();
        tokio::task::spawn_blocking(move || closes.let_one_end()).await.unwrap();
    }
}

/// LOG-12: the record of such a message may be logged while its close is blocked, and has the time of the application.
#[test]
fn its_record_has_the_time_that_the_application_took() {
    let closes = Closes::default();
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(application(&closes)).pool(&pool);
    let (body, events) = capture_events(|| {
        block_on(async {
            let request = http::Request::get("/0").body(Empty::<Bytes>::new()).unwrap();
            let response = gateway.oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        })
    });
    let record = events.iter().find(|event| event.target == "gateway::access").expect("a record");
    assert!(body == "hello" && record.text.contains("outcome=complete"), "{record:?}");
    assert!(record.text.contains("run_ms"), "{record:?}");
    closes.let_one_end();
}

/// LOG-12: so has the record of a message whose last byte the application has sent, and which it outlives.
#[test]
fn the_record_of_a_last_byte_has_the_time_until_then() {
    let (gate, waiter) = Gate::pair();
    let app = application_fn(move |environ, start_response| {
        let path = environ.path_info().to_owned();
        let write = start_response("200 OK", &[("Content-Length", if path == "/none" { "0" } else { "10" })])?;
        match &*path {
            // The head is the whole message.
            "/none" => write.send("")?,
            "/written" => ["first", "again"].into_iter().try_for_each(|text| write.send(text))?,
            _ => write.send("at once...")?,
        }
        waiter.pass("after the last byte");
        Ok(Chunks::empty())
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    for path in ["/none", "/written", "/at-once"] {
        let gateway = gateway.clone();
        let (_, events) = capture_events(|| {
            block_on(async {
                let request = http::Request::get(path).body(Empty::<Bytes>::new()).unwrap();
                gateway.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
            })
        });
        let record = events.iter().find(|event| event.target == "gateway::access").expect("a record");
        assert!(record.text.contains("outcome=complete") && record.text.contains("run_ms"), "{path}: {record:?}");
        gate.let_one();
    }
}

/// END-07: a failure after a complete message is only logged, and the connection stays open.
#[test]
fn a_close_that_fails_after_a_complete_message_is_only_logged() {
    type Body = (&'static [Step], &'static [(&'static str, &'static str)], &'static str);
    let bodies: [Body; 5] = [
        (&[Step::Chunk("a")], &[], "a"),
        (&[], &[], ""),
        (&[Step::Chunk("he"), Step::Chunk("llo")], FIVE, "hello"),
        (&[Step::Chunk("hello")], FIVE, "hello"),
        (&[Step::Chunk("")], NONE, ""),
    ];
    for (steps, headers, body) in bodies {
        let (journal, noted) = Journal::pair();
        let app = application_fn(move |_, start_response| {
            start_response("200 OK", headers)?;
            Ok(Chunks::new(Script::new(&noted, steps).panicking_when_dropped()))
        });
        let server = serve(Flavour::MultiThread, app);
        let mut connection = server.connect();
        for served in 1..=3 {
            let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!((reply.status(), &*reply.text(), reply.ending), (200, body, Ending::Length), "{steps:?}");
            assert!(journal.count("close") + 1 >= served, "one thread closes one body before it calls for the next");
        }
    }
}
