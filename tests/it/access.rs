//! The access record: one for each request, with its outcome.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway::testing::{Client, Inline, Request};
use gateway::{Application, Chunks, Executor, Gateway, Job, Refused, RequestId, application_fn};
use gateway_tests::{Gate, Logged, Waiter, answer_fn, capture_events, capture_failures, capture_request};
use http_body::Body as _;
use tower::Service as _;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::overload::NoRoom;

fn client(app: impl Application) -> Client {
    Client::of(Gateway::new(app).executor(Inline::new()).body_limit(3))
}

fn records(events: Vec<Logged>) -> Vec<Logged> {
    events.into_iter().filter(|event| event.target == "gateway::access").collect()
}

/// The single record of a request, without its duration, which varies.
fn record(request: Request) -> String {
    let (_, events) = capture_events(|| request.send());
    let records = records(events);
    assert_eq!(records.len(), 1, "{records:?}");
    let fields = records[0].text.split_whitespace().filter(|field| !field.contains("_ms="));
    fields.collect::<Vec<_>>().join(" ")
}

/// LOG-12.
#[test]
fn one_record_says_how_a_request_ended() {
    let whole = || {
        client(application_fn(|_, start_response| {
            start_response("201 Created", &[])?;
            Ok(Chunks::new(["hello"]))
        }))
    };
    let streamed = client(answer_fn(|_| Ok(vec!["hel", "lo"])));
    let failing = client(application_fn(|_, _| Err(gateway::Error::new("trouble"))));
    let breaking = client(application_fn(|_, start_response| {
        start_response("200 OK", &[])?.send("half")?;
        Err(gateway::Error::new("trouble"))
    }));
    let answers = |status: &'static str| {
        client(application_fn(move |_, start_response| {
            start_response(status, &[])?;
            Ok(Chunks::new(["later"]))
        }))
    };
    let reading = client(application_fn(|environ, _| {
        environ.input().read_all()?;
        Ok(Chunks::empty())
    }));
    let rows = [
        (whole().request("GET", "/"), "status=201 bytes=5 outcome=complete"),
        (whole().request("HEAD", "/"), "status=201 bytes=0 outcome=complete"),
        (streamed.request("GET", "/"), "status=200 bytes=5 outcome=complete"),
        // The gateway determines the outcomes `shed` and `deadline`, whatever the application answers.
        (answers("503 Service Unavailable").request("GET", "/"), "status=503 bytes=5 outcome=complete"),
        (answers("504 Gateway Timeout").request("GET", "/"), "status=504 bytes=5 outcome=complete"),
        (failing.request("GET", "/"), "status=500 bytes=22 outcome=error"),
        (breaking.request("GET", "/"), "status=200 bytes=4 outcome=aborted"),
        (
            reading.request("POST", "/").body("1234").header("transfer-encoding", "chunked"),
            "status=413 bytes=40 outcome=client error",
        ),
        (whole().request("POST", "/").body("1234"), "status=413 bytes=40 outcome=client error"),
        (whole().request("CONNECT", "/"), "status=501 bytes=16 outcome=client error"),
    ];
    for (request, expected) in rows {
        let shown = format!("{request:?}");
        assert_eq!(record(request), expected, "{shown}");
    }
}

fn get() -> http::Request<http_body_util::Full<Bytes>> {
    http::Request::get("/").body(http_body_util::Full::default()).unwrap()
}

/// LOG-12, DISC-13: a response that is dropped before its end, or before it exists.
#[test]
fn a_record_tells_a_client_that_left_from_one_that_has_everything() {
    let app = || answer_fn(|_| Ok(vec!["hel", "lo"]));
    let ((), events) = capture_events(|| {
        let mut gateway = Gateway::new(app()).executor(Inline::new());
        let waiting = gateway.call(get());
        drop(waiting);
        // The request was never admitted.
        let mut gateway = Gateway::new(app()).executor(NoRoom);
        drop(gateway.call(get()));
    });
    let outcomes: Vec<_> = records(events).into_iter().map(|record| record.text).collect();
    assert!(outcomes[0].ends_with("outcome=client gone "), "{outcomes:?}");
    assert!(outcomes[1].ends_with("outcome=cancelled in queue "), "{outcomes:?}");

    let mut gateway = Gateway::new(app()).executor(Inline::new());
    let (answer, events) = capture_events(|| gateway.call(get()).now_or_never());
    assert_eq!(records(events).len(), 0, "there is no record before the end");
    let response = answer.expect("the executor is inline").unwrap();
    assert!(!response.body().is_end_stream());
    let ((), events) = capture_events(|| drop(response));
    let records = records(events);
    assert!(records[0].text.contains("status=200 bytes=0"), "{records:?}");
    assert!(records[0].text.ends_with("outcome=client gone "), "{records:?}");
}

/// LOG-12, POOL-07.
#[test]
fn a_shed_request_has_a_record() {
    let app = application_fn(|_, _| panic!("the application was called"));
    let (response, events) = capture_request(Client::new(app).request("GET", "/").queue_full());
    assert_eq!(response.status(), 503);
    assert!(records(events)[0].text.ends_with("outcome=shed "));
}

/// DISC-05: a request is either counted as cancelled, or its application is called, even if a thread takes the job
/// while the client disconnects.
#[test]
fn a_request_that_is_cancelled_never_runs() {
    /// A thread takes the job just before the cancellation.
    #[derive(Clone, Default)]
    struct Late(Arc<Mutex<Option<Job>>>, Arc<AtomicUsize>);

    #[async_trait::async_trait]
    impl Executor for Late {
        async fn execute(&self, job: Job) -> Result<(), Refused> {
            Err(Refused::new(job))
        }

        fn try_execute(&self, job: Job) -> Result<gateway::Accepted, Refused> {
            *self.0.lock().unwrap() = Some(job);
            Ok(gateway::Accepted::at_once())
        }

        fn dropped(&self, _: gateway::DropReason) {
            self.1.fetch_add(1, Ordering::Relaxed);
            let job = self.0.lock().unwrap().take();
            job.expect("it was accepted").run();
        }
    }

    for begins_before in [false, true] {
        let called = Arc::new(AtomicUsize::new(0));
        let calls = Arc::clone(&called);
        let app = application_fn(move |_, _| {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok(Chunks::empty())
        });
        let executor = Late::default();
        let future = Gateway::new(app).executor(executor.clone()).call(get());
        if begins_before {
            let job = executor.0.lock().unwrap().take();
            job.expect("it was accepted").run();
        }
        drop(future);
        let counts = (executor.1.load(Ordering::Relaxed), called.load(Ordering::Relaxed));
        assert_eq!(counts, if begins_before { (0, 1) } else { (1, 0) });
    }
}

/// LOG-05, LOG-10, EXT-03, POOL-12: every event of a request contains the request's id, which the application sees,
/// too.
#[test]
fn every_event_carries_the_identity_of_its_request() {
    let app = application_fn(|environ, start_response| {
        use std::io::Write as _;
        writeln!(environ.errors(), "about {}", environ.request_id())?;
        assert_eq!(environ.get("gateway.request_id"), Some(environ.request_id()));
        start_response("200 OK", &[])?.send("x")?;
        Err(gateway::Error::new("trouble"))
    });
    let client = client(app);
    let (_, events) = capture_events(|| {
        client.request("GET", "/a%20b").extension(RequestId::new("given")).send();
        client.get("/other");
    });
    let (given, counted): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.span.contains("request_id=given "));
    assert_eq!((given.len(), counted.len()), (3, 3), "{events:?}");
    assert!(given.iter().all(|event| event.span.contains("method=GET path=/a%20b mount=\"/\"")), "{given:?}");
    assert!(given.iter().any(|event| event.text.contains("about given")), "{given:?}");
    assert!(counted.iter().all(|event| event.span == counted[0].span), "{counted:?}");
}

/// LOG-12: the record has the time in the queue and the time in the application, if the request reached the
/// application.
#[test]
fn a_record_has_the_times_of_its_request() {
    let app = answer_fn(|_| Ok(["ok"]));
    let (_, events) = capture_events(|| client(app).get("/"));
    assert_eq!(times(events), ["duration_ms", "queue_ms", "run_ms"]);
    let refused = Client::new(application_fn(|_, _| panic!("the application was called")));
    let (_, events) = capture_request(refused.request("GET", "/").queue_full());
    assert_eq!(times(events), ["duration_ms"]);
}

/// The times on the only record among these events.
fn times(events: Vec<Logged>) -> Vec<String> {
    let records = records(events);
    let fields = records[0].text.split_whitespace().filter_map(|field| Some(field.split_once('=')?.0));
    fields.filter(|name| name.ends_with("_ms")).map(str::to_owned).collect()
}

/// LOG-05: the same in a program that logs only failures, where the span of a request is created at the first failure.
#[test]
fn a_failure_has_its_span_even_if_successes_are_not_logged() {
    let app = application_fn(|environ, start_response| {
        use std::io::Write as _;
        writeln!(environ.errors(), "about to fail")?;
        start_response("200 OK", &[("Content-Length", "1")])?;
        match environ.path_info() {
            "/long" => Ok(Chunks::new(vec!["ab", "c"])),
            _ => Err(gateway::Error::new("trouble")),
        }
    });
    let client = client(app);
    for (path, events) in [("/fails", 2), ("/long", 2)] {
        let (_, log) = capture_failures(|| client.get(path));
        assert_eq!(log.len(), events, "{log:?}");
        assert!(log.iter().all(|event| event.span.contains(&format!("path={path} "))), "{log:?}");
        assert!(log.iter().all(|event| event.span == log[0].span), "{log:?}");
    }
}

/// A log that waits at a gate when a failure is written to it.
struct SlowLog(Waiter);

impl Subscriber for SlowLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, _: &Event<'_>) {
        self.0.pass("a failure");
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Runs jobs with a separate log.
struct Logging(Dispatch);

#[async_trait::async_trait]
impl Executor for Logging {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        let log = self.0.clone();
        // A job never panics.
        let _ = tokio::task::spawn_blocking(move || tracing::dispatcher::with_default(&log, || job.run())).await;
        Ok(())
    }
}

/// LOG-12: the record is the last event of a request: its answer is not sent before its failure is logged.
#[tokio::test(crate = "crate::bounded")]
async fn a_failure_is_logged_before_the_record() {
    let gate = Gate::new();
    let log = Dispatch::new(SlowLog(gate.waiter()));
    let app = application_fn(|_, _| Err(gateway::Error::new("the disk is gone")));
    let mut gateway = Gateway::new(app).executor(Logging(log));
    let mut response = gateway.call(http::Request::new(axum::body::Body::empty()));
    assert!((&mut response).now_or_never().is_none());
    gate.begun().await;
    assert!((&mut response).now_or_never().is_none(), "the answer was there before the failure was said");
    gate.open();
    assert_eq!(response.await.unwrap().status(), 500);
}
