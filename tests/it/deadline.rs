//! Deadlines of mounts.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;
use gateway::testing::{Client, Inline, Outcome, with_request};
use gateway::{
    Accepted, Application, Chunks, DeadlineExceeded, Events, Executor, Gateway, Job, Pool, Refused, StartResponse,
    Streamed, application_fn,
};
use gateway_tests::{
    BOUND, Flavour, Gate, Logged, Stoppable, answer_fn, capture_events, capture_request, join, recv, until,
    write_until_refused,
};
use http_body_util::BodyExt as _;

/// Deadlines, each twice as long as the one before: on a busy machine, the first few may pass before the application is
/// called, which is a different case.
pub(crate) fn deadlines() -> impl Iterator<Item = Duration> {
    (0..12).map(|doubled| Duration::from_millis(10 << doubled))
}

fn client(app: impl Application, pool: &Pool, deadline: Duration) -> Client {
    Client::of(Gateway::new(app).pool(pool).deadline(deadline))
}

fn outcome(events: &[Logged]) -> &str {
    let record = events.iter().find(|event| event.target == "gateway::access").expect("a record");
    record.text.split("outcome=").nth(1).expect("an outcome").trim()
}

/// ERR-16: if an application misses its deadline, the gateway answers, and the thread stays occupied until the
/// application returns; the pool's figures count it.
#[test]
fn a_late_application_is_504_and_keeps_its_thread() {
    let was_called = deadlines().any(|deadline| {
        let gate = Gate::new();
        let pool = Pool::builder().threads(1).build().unwrap();
        let (response, events) = capture_request(client(gate.application(), &pool, deadline).request("GET", "/"));
        assert_eq!((response.status().as_u16(), outcome(&events)), (504, "deadline"));
        let stats = pool.stats();
        assert_eq!(stats.busy, stats.orphaned);
        gate.open();
        until("the thread is free", || pool.stats().busy == 0);
        stats.busy == 1
    });
    assert!(was_called);
}

/// ERR-16: after the head, the message is aborted.
#[test]
fn a_deadline_after_the_head_breaks_the_message_off() {
    let (report, reported) = mpsc::channel();
    let app = || {
        let report = report.clone();
        application_fn(move |environ, start_response| {
            let mut write = start_response("200 OK", &[])?;
            write.send("half")?;
            let deadline = environ.deadline().expect("the mount has one");
            while Instant::now() < deadline {
                std::thread::yield_now();
            }
            let error = write.send("the other half").expect_err("it is too late");
            let kind = std::io::Write::write_all(&mut write, b"the other half").expect_err("it is too late").kind();
            report.send((error.find::<DeadlineExceeded>().is_some(), error.is_disconnected(), kind))?;
            Err(error.into())
        })
    };
    let pool = Pool::builder().threads(1).build().unwrap();
    let got_its_head = deadlines().any(|deadline| {
        let (response, events) = capture_request(client(app(), &pool, deadline).request("GET", "/"));
        assert_eq!(outcome(&events), "deadline");
        assert_eq!(response.outcome() == Outcome::Aborted, response.status() == 200);
        response.status() == 200
    });
    assert!(got_its_head);
    assert_eq!(recv(&reported), (true, false, std::io::ErrorKind::TimedOut));
}

fn call(app: impl Application, deadline: Duration) -> gateway::ResponseFuture {
    // A body that never arrives.
    let never = futures_util::stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>();
    let request = http::Request::post("/").body(http_body_util::StreamBody::new(never)).unwrap();
    tower::Service::call(&mut Gateway::new(app).deadline(deadline).read_ahead(0), request)
}

/// ERR-16: the same if the application sends nothing more.
#[tokio::test(crate = "crate::bounded")]
async fn a_silent_application_does_not_hold_up_its_deadline() {
    for deadline in deadlines() {
        let (gate, waiter) = Gate::pair();
        let app = application_fn(move |_, start_response| {
            start_response("200 OK", &[])?.send("half")?;
            waiter.wait();
            Ok(Chunks::empty())
        });
        let response = call(app, deadline).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.into_body().collect().await.is_err(), status == 200);
        drop(gate);
        if status == 200 {
            return;
        }
    }
    panic!("the application never began in time");
}

/// ERR-16: a blocked reader is woken, with an error that names the deadline.
#[tokio::test(crate = "crate::bounded")]
async fn a_blocked_reader_is_woken_at_the_deadline() {
    for deadline in deadlines() {
        let (report, reported) = mpsc::channel();
        let app = application_fn(move |environ, _| {
            let error = environ.input().read_all().expect_err("it never comes");
            report.send(error.find::<DeadlineExceeded>().is_some())?;
            Err(error.into())
        });
        assert_eq!(call(app, deadline).await.unwrap().status(), 504);
        // There is no message if the application was never called: its sender is dropped.
        if let Ok(has_reason) = reported.recv_timeout(BOUND) {
            assert!(has_reason);
            return;
        }
    }
    panic!("the application never began in time");
}

/// ERR-16: a writer whose client does not read is woken, too, whatever the write stall timeout.
#[tokio::test(crate = "crate::bounded")]
async fn a_blocked_writer_is_let_go_at_the_deadline() {
    for deadline in deadlines() {
        let (report, reported) = mpsc::channel();
        let app = application_fn(move |_, start_response| {
            let write = start_response("200 OK", &[])?;
            let error = write_until_refused(&write);
            report.send(error.find::<DeadlineExceeded>().is_some())?;
            Err(error.into())
        });
        let response = call(app, deadline).await.unwrap();
        if response.status() == 200 {
            // The body is not polled.
            assert!(recv(&reported));
            return;
        }
    }
    panic!("the application never began in time");
}

/// ERR-16, LOG-12: the record of an aborted message does not wait for the application.
#[tokio::test(crate = "crate::bounded", flavor = "current_thread")]
async fn the_record_says_that_a_blocked_writer_was_late() {
    for deadline in deadlines() {
        let (gate, waiter) = Gate::pair();
        let app = application_fn(move |_, start_response| {
            let write = start_response("200 OK", &[])?;
            let error = write_until_refused(&write);
            waiter.pass("it has an error");
            Err(error.into())
        });
        let response = call(app, deadline).await.unwrap();
        if response.status() == 200 {
            gate.begun().await;
            let mut body = response.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            let ((), events) = capture_events(|| drop(body));
            assert_eq!(outcome(&events), "deadline");
            return;
        }
    }
    panic!("the application never began in time");
}

/// A deadline that does not expire has no effect, and the application can read it.
#[test]
fn a_deadline_is_visible_and_harmless_when_it_is_met() {
    let app = answer_fn(|environ| {
        let left = environ.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        assert!(left.is_some_and(|left| left > Duration::from_secs(3000)), "{left:?}");
        environ.input().read_all()?;
        Ok(["in ", "time"])
    });
    let client = Client::of(Gateway::new(app).deadline(Duration::from_secs(3600)));
    assert_eq!(client.post("/", "body").text(), "in time");
    let none = application_fn(|environ, start_response| {
        assert!(environ.deadline().is_none());
        start_response("200 OK", &[])?;
        Ok(Chunks::empty())
    });
    assert_eq!(Client::new(none).get("/").status(), 200);
}

#[test]
fn a_direct_call_has_the_deadline_of_the_mount() {
    let gateway = || Gateway::new(application_fn(|_, _| Ok(Chunks::empty()))).executor(Inline::new());
    let deadline =
        |gateway| with_request(Client::of(gateway).request("GET", "/"), |environ, _| environ.deadline()).returned;
    assert_eq!(deadline(gateway()), None);
    let (now, hour) = (Instant::now(), Duration::from_secs(3600));
    assert!(deadline(gateway().deadline(hour)).is_some_and(|deadline| deadline >= now + hour));
    assert_eq!(deadline(gateway().deadline(Duration::MAX)), None);
}

/// Waits for the deadline of its mount, which began before the application did.
fn exceed(deadline: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < deadline {
        std::thread::yield_now();
    }
}

type Late = for<'r> fn(StartResponse<'r>, &dyn Fn()) -> gateway::Result<Chunks<'r>>;

/// Ways to begin a response too late.
const LATE: &[(&str, Late)] = &[
    ("a write", |start, exceed| {
        let write = start("200 OK", &[])?;
        exceed();
        write.send("late")?;
        Ok(Chunks::empty())
    }),
    ("a write whose error is swallowed", |start, exceed| {
        let write = start("200 OK", &[])?;
        exceed();
        let _ = write.send("late");
        Ok(Chunks::new(["late"]))
    }),
    ("an empty write", |start, exceed| {
        let write = start("200 OK", &[])?;
        exceed();
        write.send("")?;
        Ok(Chunks::empty())
    }),
    ("one chunk", |start, exceed| {
        start("200 OK", &[])?;
        exceed();
        Ok(Chunks::new(["late"]))
    }),
    ("chunks", |start, exceed| {
        start("200 OK", &[("Content-Length", "5")])?;
        exceed();
        Ok(Chunks::new(["late", "r"]))
    }),
    ("chunks of a known length", |start, exceed| {
        start("200 OK", &[])?;
        exceed();
        Ok(Chunks::known(["late", "r"])?)
    }),
    ("trailers", |start, exceed| {
        start("200 OK", &[])?;
        exceed();
        Ok(Chunks::new(["late"]).with_trailers([http::HeaderName::from_static("a")], || Ok(http::HeaderMap::new())))
    }),
    ("no body", |start, exceed| {
        start("204 No Content", &[])?;
        exceed();
        Ok(Chunks::empty())
    }),
    ("events", |start, exceed| {
        exceed();
        Events::start(start)?.comment("late")?;
        Ok(Chunks::empty())
    }),
    ("empty chunks without an end", |start, _| {
        start("200 OK", &[])?;
        Ok(Chunks::new(std::iter::repeat("")))
    }),
];

/// ERR-16, LOG-12: a response that begins after the deadline is 504, even if the runtime was busy when the deadline
/// passed. The inline executor keeps it busy. It is not 503: the application has run.
#[test]
fn a_response_that_begins_too_late_is_504_on_a_busy_runtime() {
    let deadline = Duration::from_millis(10);
    let mount = |gateway: Gateway| gateway.executor(Inline::new()).deadline(deadline);
    for method in ["GET", "HEAD"] {
        for (name, late) in LATE {
            let app = application_fn(move |_, start_response| late(start_response, &|| exceed(deadline)));
            let client = Client::of(mount(Gateway::new(app)));
            let (response, events) = capture_request(client.request(method, "/"));
            assert_eq!((response.status().as_u16(), outcome(&events)), (504, "deadline"), "{method}: {name}");
        }
        let handlers = mount(Pool::default().gateway());
        let router = Router::new()
            .route("/response", any(handlers.handler(move || exceed(deadline))))
            .route(
                "/streamed",
                any(handlers.handler(move || {
                    Streamed::write(move |write| {
                        exceed(deadline);
                        Ok(write.send("late")?)
                    })
                })),
            )
            .route(
                "/chunks",
                any(handlers.handler(move || {
                    exceed(deadline);
                    Streamed::chunks(["late", "r"])
                })),
            );
        for path in ["/response", "/streamed", "/chunks"] {
            let (response, events) = capture_request(Client::router(router.clone()).request(method, path));
            assert_eq!((response.status().as_u16(), outcome(&events)), (504, "deadline"), "{method}: {path}");
        }
    }
}

/// Runs each job on another thread, and waits for it on the runtime thread, which is busy meanwhile.
struct Elsewhere;

#[async_trait::async_trait]
impl Executor for Elsewhere {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        Err(Refused::new(job))
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        join(std::thread::spawn(move || job.run()));
        Ok(Accepted::at_once())
    }
}

/// ERR-16, BP-03: the same if the server has no memory for the response, so that it would be sent in parts.
#[test]
fn a_late_response_for_which_there_is_no_memory_is_504() {
    let deadline = Duration::from_millis(10);
    let app = answer_fn(move |_| {
        exceed(deadline);
        Ok([vec![b'x'; 100_000]])
    });
    let app = Router::new().fallback_service(Gateway::new(app).executor(Elsewhere).deadline(deadline));
    let server = Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(listener, app).response_memory(0));
    assert_eq!(server.get("/").reply().status(), 504);
}
