//! The write callable.

use std::io::Write as _;

use gateway::testing::Client;
use gateway::{Chunks, application_fn};
use gateway_tests::{Ending, Gate, Journal, Server};

/// SR-02, WR-01, WR-02, WR-04, WR-07, WR-11, WR-16.
#[test]
fn what_is_written_comes_before_what_is_returned() {
    let app = application_fn(|_, start_response| {
        let mut write = start_response("200 OK", &[])?;
        write!(write, "{}-{}", 1, 2)?;
        write.write_all(b"B")?;
        write.send(vec![b'C'])?;
        write.flush()?;
        Ok(Chunks::new(["D"]))
    });
    let response = Client::new(app).get("/");
    // One call sends one chunk, also for `write!`.
    assert_eq!(response.chunks(), ["1-2", "B", "C", "D"]);
    assert_eq!(response.headers().get("content-length"), None);
}

/// WR-01: the client receives the bytes before the application continues.
#[test]
fn a_write_goes_out_at_once() {
    let (gate, waiter) = Gate::pair();
    let app = application_fn(move |_, start_response| {
        let write = start_response("200 OK", &[])?;
        write.send("first")?;
        waiter.wait();
        Ok(Chunks::new(["second"]))
    });
    let server = Server::of(app);
    let mut connection = server.ask("/");
    connection.head();
    assert_eq!(connection.chunk(), b"first");
    gate.open();
    assert_eq!(connection.chunk(), b"second");
    assert_eq!(connection.chunk(), b"");
}

/// WR-05, WR-06: an empty write sends the head, and no chunk.
#[test]
fn an_empty_write_sends_the_head_and_nothing_else() {
    let (gate, waiter) = Gate::pair();
    let app = application_fn(move |_, start_response| {
        let write = start_response("200 OK", &[])?;
        write.send("")?;
        waiter.wait();
        write.send("")?;
        Ok(Chunks::new(["", "x", ""]))
    });
    let server = Server::of(app);
    let mut connection = server.ask("/");
    // The head has arrived, although the application has not sent a byte.
    assert!(connection.head().0.contains("200"));
    gate.open();
    assert_eq!((connection.chunk(), connection.chunk()), (b"x".to_vec(), Vec::new()));
}

/// WR-14, HTTP-01.
#[test]
fn writes_to_a_response_without_a_body_are_dropped() {
    let app = application_fn(|_, start_response| {
        let write = start_response("200 OK", &[])?;
        for _ in 0..1000 {
            write.send("x".repeat(1024))?;
        }
        Ok(Chunks::new(["y"]))
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    for _ in 0..2 {
        assert_eq!(connection.request_head("/").status(), 200);
    }
    connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let reply = connection.reply();
    assert_eq!((reply.body.len(), reply.ending), (1024 * 1000 + 1, Ending::Chunked));
}

/// A body that writes when `next` is called or when it is dropped, and records the results.
struct Afterthought<'r> {
    write: gateway::Write<'r>,
    yielded: bool,
    when: &'static str,
    /// Whether the body looks complete after its first chunk.
    is_known: bool,
    journal: Journal,
}

impl Afterthought<'_> {
    fn write(&self, when: &str) {
        if self.when == when {
            let written = self.write.send("</html>");
            self.journal.note(written.map_or_else(|error| error.to_string(), |()| String::from("written")));
        }
    }
}

impl Iterator for Afterthought<'_> {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        if !std::mem::replace(&mut self.yielded, true) {
            return Some("<body>");
        }
        self.write("next");
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.is_known.then_some(usize::from(!self.yielded)))
    }
}

impl Drop for Afterthought<'_> {
    fn drop(&mut self) {
        self.write("drop");
    }
}

/// Returns the chunks, and the recorded results.
fn written_late(when: &'static str, is_known: bool) -> (Vec<bytes::Bytes>, Vec<String>) {
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |_, start_response| {
        let write = start_response("200 OK", &[])?;
        Ok(Chunks::new(Afterthought { write, yielded: false, when, is_known, journal: noted.clone() }))
    });
    (Client::new(app).get("/").chunks().to_vec(), journal.lines())
}

/// WR-12, IT-06: bytes keep the order of the program, even after a chunk that looked like the whole body.
#[test]
fn a_late_write_follows_the_chunk_before_it() {
    for (when, is_known) in [("next", true), ("next", false), ("drop", false)] {
        let (chunks, noted) = written_late(when, is_known);
        assert_eq!(
            (chunks.concat(), noted),
            (b"<body></html>".to_vec(), vec!["written".to_owned()]),
            "{when} {is_known}"
        );
    }
}

/// WR-08: if the iteration ends with the only chunk, the message has a length, and is sent before the destructor runs.
#[test]
fn a_write_after_a_complete_message_is_refused() {
    let (chunks, noted) = written_late("drop", true);
    assert_eq!(chunks, ["<body>"]);
    assert!(noted.len() == 1 && noted[0].contains("beyond the declared Content-Length"), "{noted:?}");
}

/// WR-15.
#[test]
fn a_handle_outlives_a_replaced_head() {
    let app = application_fn(|_, start_response| {
        let write = start_response("200 OK", &[])?;
        start_response.replace(gateway::Error::new("x"), "503 Service Unavailable", &[])?;
        write.send("sorry")?;
        Ok(Chunks::empty())
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (503, "sorry"));
}
