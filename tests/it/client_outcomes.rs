//! A table of the ways in which a client or a full queue ends a request, with the client's view, the application's
//! view, the close, and the log. The ways in which an application ends a request are in `outcomes`.

use gateway::testing::{Client, Outcome, Request};
use gateway::{CallError, Chunks, Environ, Error, InputError, StartResponse};
use gateway_tests::{BOUND, Journal, Script, Step, capture_request};
use tracing::Level;

use crate::outcomes::{Case, Run};

/// One way to end.
struct ClientRow {
    name: &'static str,
    fault: fn(Request) -> Request,
    run: Run,
    /// The client's view: the status, and how the body ended.
    client: (u16, Outcome),
    /// The application's notes, without `next` and `close`.
    sees: &'static [&'static str],
    closes: usize,
    /// The warnings and errors in the log.
    log: &'static [Level],
    /// The outcome on the record.
    record: &'static str,
}

/// A body that is longer than every client here reads.
fn long<'r>(start: &StartResponse<'r>, journal: &Journal) -> gateway::Result<Script> {
    start("200 OK", &[])?;
    Ok(Script::new(journal, &[Step::Chunk("tick"); 100_000]))
}

/// Writes until a write fails, and records the error.
fn write_on(start: &StartResponse<'_>, journal: &Journal) -> gateway::Result<()> {
    let write = start("200 OK", &[])?;
    loop {
        write.send("x".repeat(1000)).inspect_err(|error| note(journal, error))?;
    }
}

fn note(journal: &Journal, error: &CallError) {
    journal.note(match error.find::<InputError>() {
        Some(InputError::Incomplete) => "incomplete",
        Some(_) => "another body error",
        None if error.is_disconnected() => "disconnected",
        None => "another error",
    });
}

/// Reads the body, and records the error.
fn read(environ: &mut Environ, journal: &Journal) -> Result<Vec<u8>, CallError> {
    environ.input().read_all().inspect_err(|error| note(journal, error))
}

use Outcome::{Aborted, Complete, Disconnected};

#[rustfmt::skip]
const ROWS: &[ClientRow] = &[
    ClientRow { name: "it leaves between chunks", fault: |request| request.disconnect_after(4), client: (200, Disconnected), sees: &[], closes: 1, log: &[], record: "client gone",
          run: |_, start, journal| Ok(Chunks::new(long(&start, journal)?)) },
    ClientRow { name: "it leaves with the head", fault: |request| request.disconnect_after(0), client: (200, Disconnected), sees: &[], closes: 1, log: &[], record: "client gone",
          run: |_, start, journal| Ok(Chunks::new(long(&start, journal)?)) },
    ClientRow { name: "it leaves between writes", fault: |request| request.disconnect_after(1), client: (200, Disconnected), sees: &["disconnected"], closes: 0, log: &[], record: "client gone",
          run: |_, start, journal| { write_on(&start, journal)?; Ok(Chunks::empty()) } },
    ClientRow { name: "it leaves, and the application goes on", fault: |request| request.disconnect_after(1), client: (200, Disconnected), sees: &["disconnected"], closes: 1, log: &[], record: "client gone",
          run: |_, start, journal| { let _ = write_on(&start, journal); Ok(Chunks::new(Script::new(journal, &[Step::Chunk("x")]))) } },
    ClientRow { name: "it leaves, and the application fails of it", fault: |request| request.disconnect_after(1), client: (200, Disconnected), sees: &["disconnected"], closes: 0, log: &[], record: "client gone",
          run: |_, start, journal| { let _ = write_on(&start, journal); Err(Error::new("the writer failed")) } },
    ClientRow { name: "it leaves, and the application panics", fault: |request| request.disconnect_after(1), client: (200, Disconnected), sees: &["disconnected"], closes: 0, log: &[Level::ERROR], record: "client gone",
          run: |_, start, journal| { let _ = write_on(&start, journal); panic!("of its own accord") } },
    ClientRow { name: "it leaves, and close panics", fault: |request| request.disconnect_after(4), client: (200, Disconnected), sees: &[], closes: 1, log: &[Level::ERROR], record: "client gone",
          run: |_, start, journal| Ok(Chunks::new(long(&start, journal)?.panicking_when_dropped())) },
    ClientRow { name: "it leaves, and the application asks", fault: |request| request.disconnect_after(0), client: (200, Disconnected), sees: &["observed"], closes: 0, log: &[], record: "client gone",
          run: |environ, start, journal| {
              start("200 OK", &[])?.send("")?;
              if environ.wait_for_disconnect(BOUND) { journal.note("observed"); }
              Ok(Chunks::empty())
          } },
    ClientRow { name: "it leaves, and `write` waits", fault: |request| request.disconnect_after(0), client: (200, Disconnected), sees: &["ClientGone"], closes: 0, log: &[], record: "client gone",
          run: |_, start, journal| {
              let write = start("200 OK", &[])?;
              write.send("")?;
              journal.note(format!("{:?}", write.wait(BOUND)));
              Err(Error::new("nobody listens"))
          } },
    ClientRow { name: "it leaves when it has what was declared", fault: |request| request.disconnect_after(4), client: (200, Disconnected), sees: &[], closes: 1, log: &[], record: "complete",
          run: |_, start, journal| { start("200 OK", &[("Content-Length", "4")])?; Ok(Chunks::new(Script::new(journal, &[Step::Chunk("tick"), Step::Chunk("tock")]))) } },
    ClientRow { name: "it leaves when it has what was declared, and the application fails of something else", fault: |request| request.disconnect_after(4), client: (200, Disconnected), sees: &["observed"], closes: 0, log: &[Level::ERROR], record: "complete",
          run: |environ, start, journal| {
              start("200 OK", &[("Content-Length", "4")])?.send("tick")?;
              if environ.wait_for_disconnect(BOUND) { journal.note("observed"); }
              Err(Error::new("of its own accord"))
          } },
    ClientRow { name: "it leaves between empty writes", fault: |request| request.disconnect_after(1), client: (200, Disconnected), sees: &["disconnected"], closes: 0, log: &[], record: "client gone",
          run: |_, start, journal| {
              let write = start("200 OK", &[])?;
              write.send("x")?;
              loop { write.send("").inspect_err(|error| note(journal, error))?; }
          } },
    ClientRow { name: "it takes nothing, between chunks", fault: Request::stop_reading, client: (200, Aborted), sees: &[], closes: 1, log: &[], record: "client gone",
          run: |_, start, journal| Ok(Chunks::new(long(&start, journal)?)) },
    ClientRow { name: "it takes nothing, between writes", fault: Request::stop_reading, client: (200, Aborted), sees: &["disconnected"], closes: 0, log: &[], record: "client gone",
          run: |_, start, journal| { write_on(&start, journal)?; Ok(Chunks::empty()) } },
    ClientRow { name: "it is slow", fault: Request::read_slowly, client: (200, Complete), sees: &[], closes: 1, log: &[], record: "complete",
          run: |_, start, journal| { start("200 OK", &[])?; Ok(Chunks::new(Script::new(journal, &[Step::Chunk("tick"); 50]))) } },
    ClientRow { name: "its body breaks off, and the application copes", fault: |request| request.body("0123456789").cut_body_after(5), client: (200, Complete), sees: &["incomplete"], closes: 0, log: &[], record: "complete",
          run: |environ, start, journal| { let _ = read(environ, journal); start("200 OK", &[])?; Ok(Chunks::new(["coped"])) } },
    ClientRow { name: "its body breaks off, and the application does not cope", fault: |request| request.body("0123456789").cut_body_after(5), client: (400, Complete), sees: &["incomplete"], closes: 0, log: &[], record: "client error",
          run: |environ, _, journal| { read(environ, journal)?; Ok(Chunks::empty()) } },
    ClientRow { name: "its body breaks off after the first byte", fault: |request| request.body("0123456789").cut_body_after(5), client: (200, Aborted), sees: &["incomplete"], closes: 0, log: &[], record: "client error",
          run: |environ, start, journal| { start("200 OK", &[])?.send("x")?; read(environ, journal)?; Ok(Chunks::empty()) } },
    ClientRow { name: "its body breaks off, and the application does not read it", fault: |request| request.body("0123456789").cut_body_after(5), client: (200, Complete), sees: &[], closes: 0, log: &[], record: "complete",
          run: |_, start, _| { start("200 OK", &[])?; Ok(Chunks::new(["ok"])) } },
    ClientRow { name: "there is no room for it", fault: Request::queue_full, client: (503, Complete), sees: &[], closes: 0, log: &[], record: "shed",
          run: |_, _, journal| { journal.note("called"); Ok(Chunks::empty()) } },
];

/// DISC-01, DISC-03, DISC-06 to DISC-08, END-03, END-04, ERR-12, ERR-13, BP-06, LOG-11, LOG-12, WR-10, WR-13, IN-17.
#[test]
fn every_way_a_client_ends_it_is_what_the_table_says() {
    for row in ROWS {
        let journal = Journal::new();
        let client = Client::new(Case(row.run, journal.clone()));
        let (response, events) = capture_request((row.fault)(client.request("POST", "/")));
        assert_eq!((response.status().as_u16(), response.outcome()), row.client, "{}", row.name);
        let seen: Vec<_> = journal.lines().into_iter().filter(|line| line != "next" && line != "close").collect();
        assert_eq!(
            (seen, journal.count("close")),
            (row.sees.iter().map(ToString::to_string).collect(), row.closes),
            "{}",
            row.name
        );
        let (records, others): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.target == "gateway::access");
        let levels: Vec<_> = others.iter().map(|event| event.level).filter(|level| *level <= Level::WARN).collect();
        assert_eq!(levels, row.log, "{}: {others:?}", row.name);
        assert_eq!(records.len(), 1, "{}: {records:?}", row.name);
        assert!(records[0].text.ends_with(&format!("outcome={} ", row.record)), "{}: {records:?}", row.name);
    }
}
