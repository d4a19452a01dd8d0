//! The error stream.

use std::io::Write as _;

use gateway::testing::{Client, Inline};
use gateway::{Chunks, ErrorLog, Gateway, application_fn};
use gateway_tests::{Logged, Sink, answer_fn, capture_log, join, recv};

fn messages(log: &[Logged]) -> Vec<&str> {
    assert!(
        log.iter().all(|event| event.level == tracing::Level::ERROR && event.target == "gateway::wsgi_errors"),
        "{log:?}"
    );
    log.iter().map(|event| event.text.as_str()).collect()
}

/// LOG-01, LOG-02, LOG-03, LOG-04, LOG-09.
#[test]
fn one_call_is_one_event_and_none_of_it_reaches_the_client() {
    let app = answer_fn(|environ| {
        let mut errors = environ.errors();
        writeln!(errors, "one and {}", 2)?;
        errors.write_all("gr\u{fc}n \u{2603}\n".as_bytes())?;
        errors.flush()?;
        Ok(["body"])
    });
    let (response, log) = capture_log(|| Client::new(app).get("/"));
    assert_eq!(messages(&log), ["message=one and 2 ", "message=gr\u{fc}n \u{2603} "]);
    assert_eq!(response.text(), "body");
    assert!(!format!("{:?}", response.headers()).contains("one"));
}

/// LOG-07.
#[test]
fn a_log_works_after_its_request_and_on_any_thread() {
    let (keep, kept) = std::sync::mpsc::channel::<ErrorLog>();
    let app = answer_fn(move |environ| {
        keep.send(environ.errors())?;
        Ok(["ok"])
    });
    Client::new(app).get("/");
    let mut errors = recv(&kept);
    let log = join(std::thread::spawn(move || capture_log(|| write!(errors, "late").unwrap()).1));
    assert_eq!(messages(&log), ["message=late "]);
}

/// LOG-06, LOG-08: a mount may have its own log, in which each event is one line, whatever its text.
#[test]
fn a_mount_may_log_to_a_writer_of_its_own() {
    let app = application_fn(|environ, start_response| {
        writeln!(environ.errors(), "caf\u{e9}\nFATAL forged\u{1b}[31m")?;
        write!(environ.errors(), "second")?;
        start_response("200 OK", &[])?;
        Ok(Chunks::empty())
    });
    let sink = Sink::default();
    let gateway = Gateway::new(app).executor(Inline::new()).error_log(sink.clone());
    let (_, log) = capture_log(|| Client::of(gateway).get("/"));
    assert_eq!(log.len(), 0, "{log:?}");
    assert_eq!(sink.text(), "caf\u{e9}\\nFATAL forged\\u{1b}[31m\nsecond\n");
}

/// A writer that panics.
struct PanickingWriter;

impl std::io::Write for PanickingWriter {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        panic!("the log is broken");
    }

    fn flush(&mut self) -> std::io::Result<()> {
        panic!("the log is broken");
    }
}

/// LOG-06: a writer that panics fails the write, like a writer that returns an error, and the application may continue.
#[test]
fn a_writer_that_panics_fails_the_write() {
    let app = answer_fn(|environ| {
        let mut errors = environ.errors();
        for _ in 0..2 {
            assert_eq!(writeln!(errors, "lost").unwrap_err().kind(), std::io::ErrorKind::Other);
            assert_eq!(errors.flush().unwrap_err().kind(), std::io::ErrorKind::Other);
        }
        Ok(["served"])
    });
    let gateway = Gateway::new(app).executor(Inline::new()).error_log(PanickingWriter);
    assert_eq!(Client::of(gateway).get("/").text(), "served");
}
