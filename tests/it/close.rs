//! The chunks are dropped exactly once, on their thread, before the message ends, even after a failure.

use std::sync::{Arc, mpsc};

use gateway::testing::{Client, Outcome};
use gateway::{Application, Chunks, Gateway, Pool, application_fn};
use gateway_tests::{Ending, Gate, Journal, Script, Server, Step, Waiter, answer_fn, capture_log, recv};

fn scripted(journal: &Journal, steps: &'static [Step]) -> impl Application {
    let journal = journal.clone();
    answer_fn(move |_| Ok(Script::new(&journal, steps)))
}

/// END-01 to END-04, END-08, ERR-03, ERR-04: the ways in which an iteration can end.
#[test]
fn close_runs_once_however_the_iteration_ends() {
    use Step::{Chunk, Fail, Panic};
    let cases: [(&'static [Step], u16, Outcome); 9] = [
        (&[], 200, Outcome::Complete),
        (&[Chunk("")], 200, Outcome::Complete),
        (&[Chunk("a")], 200, Outcome::Complete),
        (&[Chunk("a"), Chunk("b")], 200, Outcome::Complete),
        (&[Fail], 500, Outcome::Complete),
        (&[Panic], 500, Outcome::Complete),
        (&[Chunk(""), Panic], 500, Outcome::Complete),
        (&[Chunk("a"), Fail], 200, Outcome::Aborted),
        (&[Chunk("a"), Panic], 200, Outcome::Aborted),
    ];
    for (steps, status, outcome) in cases {
        for method in ["GET", "HEAD"] {
            let journal = Journal::new();
            let response = Client::new(scripted(&journal, steps)).request(method, "/").send();
            assert_eq!(journal.count("close"), 1, "{method} {steps:?}: {:?}", journal.lines());
            assert_eq!(journal.lines().last().map(String::as_str), Some("close"), "{method} {steps:?}");
            // A response to HEAD is complete with its head, and later failures do not affect the client.
            let expected = if method == "HEAD" { Outcome::Complete } else { outcome };
            assert_eq!((response.status().as_u16(), response.outcome()), (status, expected), "{method} {steps:?}");
        }
    }
}

/// END-07, ERR-09, POOL-11: a close that fails before the end of the message aborts the message; a close that fails
/// after the end is only logged.
#[test]
fn a_failing_close_breaks_off_what_has_not_ended() {
    for (steps, outcome, says) in [
        (&[][..], Outcome::Complete, "after its response was complete"),
        (&[Step::Chunk("a")], Outcome::Complete, "after its response was complete"),
        (&[Step::Chunk("a"), Step::Chunk("b")], Outcome::Aborted, "was broken off"),
        (&[Step::Chunk("a"), Step::Panic], Outcome::Aborted, "was broken off"),
    ] {
        let (journal, noted) = Journal::pair();
        let app = answer_fn(move |_| Ok(Script::new(&noted, steps).panicking_when_dropped()));
        let (response, log) = capture_log(|| Client::new(app).get("/"));
        assert_eq!((response.status().as_u16(), response.outcome()), (200, outcome), "{steps:?}");
        assert_eq!(journal.count("close"), 1);
        // LOG-10: both failures of one request are one event.
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].text.contains("scripted panic in drop") && log[0].text.contains(says), "{log:?}");
    }
}

/// IT-18: `next` is not called again after the end.
#[test]
fn nothing_is_pulled_after_the_end() {
    let app = answer_fn(|_| {
        let mut chunks = vec!["a", "b"].into_iter();
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            assert!(!ended, "asked after the end");
            let chunk = chunks.next();
            ended = chunk.is_none();
            chunk
        }))
    });
    assert_eq!(Client::new(app).get("/").text(), "ab");
}

/// END-11, POOL-11: values that a layer has put into the request are dropped on the application's thread, after the
/// close.
#[test]
fn the_environ_is_dropped_on_the_pool_thread() {
    #[derive(Clone)]
    struct Marked(Arc<Marker>);
    struct Marker(mpsc::Sender<String>);
    impl Drop for Marker {
        fn drop(&mut self) {
            let _ = self.0.send(std::thread::current().name().unwrap_or("unnamed").to_owned());
        }
    }
    let (sender, dropped) = mpsc::channel();
    let app = answer_fn(|environ| {
        let marked: &Marked = environ.extensions().get().ok_or(gateway::Error::new("not there"))?;
        assert_eq!(Arc::strong_count(&marked.0), 1);
        Ok(["ok"])
    });
    let pool = Pool::builder().threads(1).name("the-pool").build().unwrap();
    let client = Client::of(Gateway::new(app).pool(&pool));
    let response = client.request("GET", "/").extension(Marked(Arc::new(Marker(sender)))).send();
    assert_eq!((response.text(), recv(&dropped)), ("ok".to_owned(), "the-pool-1".to_owned()));
}

/// END-06, IT-12, IT-13: one request, one pool thread, from the call to the close.
#[test]
fn call_iteration_and_close_share_one_pool_thread() {
    struct NotesThreads(Journal, u8);
    impl NotesThreads {
        fn note(&self, what: &str) {
            self.0.note(format!("{what} on {}", std::thread::current().name().unwrap_or("?")));
        }
    }
    impl Iterator for NotesThreads {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            self.note("next");
            self.1 = self.1.checked_sub(1)?;
            Some("x")
        }
    }
    impl Drop for NotesThreads {
        fn drop(&mut self) {
            self.note("close");
        }
    }
    let (journal, noted) = Journal::pair();
    let app = answer_fn(move |_| {
        let threads = NotesThreads(noted.clone(), 2);
        threads.note("call");
        Ok(threads)
    });
    let pool = Pool::builder().threads(1).name("only").build().unwrap();
    let server = Server::of(Gateway::new(app).pool(&pool));
    assert_eq!(server.get("/").text(), "xx");
    assert_eq!(
        journal.lines(),
        ["call on only-1", "next on only-1", "next on only-1", "next on only-1", "close on only-1"]
    );
}

/// The close runs before the end marker of a chunked response is sent.
#[test]
fn the_last_chunk_marker_waits_for_close() {
    struct HeldClose(u8, Waiter);
    impl Iterator for HeldClose {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            self.0 = self.0.checked_sub(1)?;
            Some("abc")
        }
    }
    impl Drop for HeldClose {
        fn drop(&mut self) {
            self.1.pass("close");
        }
    }
    let (gate, waiter) = Gate::pair();
    let app = answer_fn(move |_| Ok(HeldClose(1, waiter.clone())));
    let server = Server::of(app);
    let mut connection = server.ask("/");
    connection.head();
    assert_eq!(connection.chunk(), b"abc");
    gate.await_call();
    // The client has the chunk, and close has not returned; only then may the end marker be sent.
    gate.open();
    assert_eq!(connection.chunk(), b"");
}

/// Neither a destructor that panics while another panic is reported nor a payload that panics when dropped aborts the
/// process.
#[test]
fn a_panic_in_next_and_one_in_close_leave_the_thread_working() {
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |environ, start_response| {
        start_response("200 OK", &[])?;
        if environ.path_info() == "/fine" {
            return Ok(Chunks::new(["fine"]));
        }
        let steps = [Step::Chunk("a"), Step::Panic];
        Ok(Chunks::new(Script::new(&noted, &steps).panicking_when_dropped()))
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    let server = Server::of(Gateway::new(app).pool(&pool));
    for _ in 0..20 {
        assert_eq!(server.get("/").ending, Ending::Broken);
        assert_eq!(server.get("/fine").text(), "fine");
    }
    assert_eq!(journal.count("close"), 20);
}
