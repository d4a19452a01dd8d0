//! A table of the ways in which an application ends a request, with the client's view, the close, and the log. The ways
//! in which a client ends a request are in `client_outcomes`.

use gateway::testing::{Client, Outcome, Request};
use gateway::{Application, Chunks, Environ, Error, Gateway, StartResponse};
use gateway_tests::{Journal, Script, Step, capture_log};
use tracing::Level;

pub(crate) type Run = for<'r> fn(&'r mut Environ, StartResponse<'r>, &Journal) -> gateway::Result<Chunks<'r>>;

/// One way to end.
struct Row {
    name: &'static str,
    run: Run,
    status: u16,
    outcome: Outcome,
    body: &'static str,
    closes: usize,
    /// The events, without those below the level of warnings.
    log: &'static [Level],
}

/// An application that runs one row.
pub(crate) struct Case(pub(crate) Run, pub(crate) Journal);

impl Application for Case {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        (self.0)(environ, start_response, &self.1)
    }
}

const ERROR_PAGE: &str = "Internal Server Error\n";

fn ok<'r>(start_response: &StartResponse<'r>, length: Option<&str>) -> gateway::Result<gateway::Write<'r>> {
    let headers = length.map(|length| ("Content-Length", length));
    Ok(start_response("200 OK", headers.as_slice())?)
}

fn script<'r>(journal: &Journal, steps: &[Step]) -> Chunks<'r> {
    Chunks::new(Script::new(journal, steps))
}

/// An iterator whose size hint always claims its end.
struct Hinted<I>(I);

impl<I: Iterator> Iterator for Hinted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(0))
    }
}

fn failure() -> Error {
    Error::new("trouble")
}

fn panics() -> gateway::Result<Chunks<'static>> {
    panic!("trouble")
}

use Outcome::{Aborted, Complete};
use Step::{Chunk, Fail, Panic};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "it ends well, in one piece", status: 200, outcome: Complete, body: "a", closes: 1, log: &[],
          run: |_, start, journal| { ok(&start, None)?; Ok(script(journal, &[Chunk("a")])) } },
    Row { name: "it ends well, in pieces", status: 200, outcome: Complete, body: "ab", closes: 1, log: &[],
          run: |_, start, journal| { ok(&start, None)?; Ok(script(journal, &[Chunk("a"), Chunk(""), Chunk("b")])) } },
    Row { name: "it ends well, without a byte", status: 200, outcome: Complete, body: "", closes: 1, log: &[],
          run: |_, start, journal| { ok(&start, None)?; Ok(script(journal, &[])) } },
    Row { name: "an error before start_response", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, _, _| Err(failure()) },
    Row { name: "a panic before start_response", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, _, _| panics() },
    Row { name: "an error after start_response", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, Some("99"))?; Err(failure()) } },
    Row { name: "a panic after start_response", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, Some("99"))?; panics() } },
    Row { name: "an error after a write", status: 200, outcome: Aborted, body: "w", closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, None)?.send("w")?; Err(failure()) } },
    Row { name: "a panic after a write", status: 200, outcome: Aborted, body: "w", closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, None)?.send("w")?; panics() } },
    Row { name: "an error in the first next", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?; Ok(script(journal, &[Chunk(""), Fail])) } },
    Row { name: "a panic in the first next", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?; Ok(script(journal, &[Panic])) } },
    Row { name: "an error between chunks", status: 200, outcome: Aborted, body: "a", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?; Ok(script(journal, &[Chunk("a"), Fail])) } },
    Row { name: "a panic between chunks", status: 200, outcome: Aborted, body: "a", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, Some("2"))?; Ok(script(journal, &[Chunk("a"), Panic])) } },
    Row { name: "a failing close of a whole body", status: 200, outcome: Complete, body: "a", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?; Ok(Chunks::new(Script::new(journal, &[Chunk("a")]).panicking_when_dropped())) } },
    Row { name: "a failing close of a stream", status: 200, outcome: Aborted, body: "ab", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?; Ok(Chunks::new(Script::new(journal, &[Chunk("a"), Chunk("b")]).panicking_when_dropped())) } },
    Row { name: "a panic, and a failing close", status: 200, outcome: Aborted, body: "a", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?; Ok(Chunks::new(Script::new(journal, &[Chunk("a"), Panic]).panicking_when_dropped())) } },
    Row { name: "bytes without start_response", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 1, log: &[Level::ERROR],
          run: |_, _, journal| Ok(script(journal, &[Chunk("a")])) },
    Row { name: "nothing at all", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 1, log: &[Level::ERROR],
          run: |_, _, journal| Ok(script(journal, &[])) },
    Row { name: "start_response twice", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, None)?; ok(&start, None)?; Ok(Chunks::empty()) } },
    Row { name: "a bad head", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { start("200 OK", &[("A", "\r\n")])?; Ok(Chunks::empty()) } },
    Row { name: "a replaced response", status: 503, outcome: Complete, body: "sorry", closes: 1, log: &[],
          run: |_, start, journal| { ok(&start, Some("99"))?; start.replace(failure(), "503 Sorry", &[])?; Ok(script(journal, &[Chunk("sorry")])) } },
    Row { name: "a replacement too late", status: 200, outcome: Aborted, body: "w", closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, None)?.send("w")?; start.replace(failure(), "503 Sorry", &[])?; Ok(Chunks::empty()) } },
    Row { name: "a replacement too late, swallowed", status: 200, outcome: Aborted, body: "wb", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, None)?.send("w")?; let _ = start.replace(failure(), "503 Sorry", &[]); Ok(script(journal, &[Chunk("b")])) } },
    // No bytes may be sent to reach the declared length after the failure.
    Row { name: "a replacement too late, swallowed, with a length", status: 200, outcome: Aborted, body: "w", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, Some("2"))?.send("w")?; let _ = start.replace(failure(), "503 Sorry", &[]); Ok(script(journal, &[Chunk("bb")])) } },
    Row { name: "a replacement after the only chunk", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 0, log: &[Level::ERROR],
          run: |_, start, _| {
              ok(&start, Some("1"))?;
              let mut step = 0;
              Ok(Chunks::new(Hinted(std::iter::from_fn(move || {
                  step += 1;
                  if step == 1 { return Some("a"); }
                  let _ = start.replace(failure(), "503 Sorry", &[]);
                  None
              }))))
          } },
    Row { name: "a whole body that is too short", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, Some("2"))?; Ok(script(journal, &[Chunk("a")])) } },
    Row { name: "a whole body that is too long", status: 500, outcome: Complete, body: ERROR_PAGE, closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, Some("2"))?; Ok(script(journal, &[Chunk("abc")])) } },
    Row { name: "a stream that is too short", status: 200, outcome: Aborted, body: "ab", closes: 1, log: &[Level::ERROR],
          run: |_, start, journal| { ok(&start, Some("3"))?; Ok(script(journal, &[Chunk("a"), Chunk("b")])) } },
    Row { name: "a stream that is too long", status: 200, outcome: Complete, body: "ab", closes: 1, log: &[Level::WARN],
          run: |_, start, journal| { ok(&start, Some("2"))?; Ok(script(journal, &[Chunk("a"), Chunk("bc"), Chunk("d")])) } },
    // All declared bytes were sent; later bytes are not part of the message.
    Row { name: "a write that is too long", status: 200, outcome: Complete, body: "ab", closes: 0, log: &[Level::ERROR],
          run: |_, start, _| { ok(&start, Some("2"))?.send("abc")?; Ok(Chunks::empty()) } },
    Row { name: "a request body over the limit", status: 413, outcome: Complete, body: "Payload Too Large: the limit is 1 bytes\n", closes: 0, log: &[],
          run: |environ, _, _| { environ.input().read_all()?; Ok(Chunks::empty()) } },
];

fn request(row: &Row, method: &str) -> (Request, Journal) {
    let journal = Journal::new();
    let gateway = Gateway::new(Case(row.run, journal.clone())).body_limit(1).executor(gateway::testing::Inline::new());
    // The length is undeclared, so that only reading detects the excess.
    let request = Client::of(gateway).request(method, "/").body("xx").header("transfer-encoding", "chunked");
    (request, journal)
}

/// END-01 to END-08, END-12, IT-20, ERR-01 to ERR-09, LOG-10, LOG-11, HTTP-11 to HTTP-14, SR-06 to SR-11.
#[test]
fn every_way_to_end_is_what_the_table_says() {
    for row in ROWS {
        let (request, journal) = request(row, "GET");
        let (response, log) = capture_log(|| request.send());
        let seen = (response.status().as_u16(), response.outcome(), response.chunks().concat(), journal.count("close"));
        assert_eq!(seen, (row.status, row.outcome, row.body.as_bytes().to_vec(), row.closes), "{}", row.name);
        let levels: Vec<_> = log.iter().map(|event| event.level).collect();
        assert_eq!(levels, row.log, "{}: {log:?}", row.name);
    }
}

/// END-08, HTTP-01: the same applications with HEAD: no byte of a body is sent, and each close runs exactly once.
#[test]
fn head_closes_as_often_and_sends_nothing() {
    for row in ROWS {
        let (request, journal) = request(row, "HEAD");
        let (response, _) = capture_log(|| request.send());
        let seen = (response.outcome(), response.chunks().len(), journal.count("close"));
        assert_eq!(seen, (Complete, 0, row.closes), "{}", row.name);
    }
}
