//! Responses without a body, to HEAD and with a status that has none, of applications and handlers that write all the
//! same.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use gateway::testing::{Client, Inline};
use gateway::{CallError, Chunks, DeadlineExceeded, Events, Gateway, Pool, StartResponse, Streamed, application_fn};
use gateway_tests::{Gate, Server, capture_request, http2, recv, until, until_async, write_until_refused};
use http_body_util::Empty;

use crate::deadline::deadlines;

/// What ended a writer.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Disconnected,
    Deadline,
    Otherwise(String),
}

impl Refused {
    fn by(error: &CallError) -> Self {
        match error.find::<DeadlineExceeded>() {
            Some(_) => Self::Deadline,
            None if error.is_disconnected() => Self::Disconnected,
            None => Self::Otherwise(error.to_string()),
        }
    }
}

fn comment_until_refused(events: &Events<'_>) -> CallError {
    loop {
        if let Err(error) = events.comment("still here") {
            return error;
        }
    }
}

/// Applications and handlers that write until a write is refused, on mounts with these settings.
const ENDLESS: [&str; 6] = ["/write", "/empty", "/304", "/events", "/handler/write", "/handler/events"];

fn endless(pool: &Pool, configure: impl Fn(Gateway) -> Gateway) -> (Router, Receiver<Refused>) {
    let (report, reported) = mpsc::channel();
    let application = |run: for<'r> fn(StartResponse<'r>) -> gateway::Result<CallError>| {
        let report = report.clone();
        let app = application_fn(move |_, start_response| {
            let error = run(start_response)?;
            report.send(Refused::by(&error))?;
            Err::<Chunks<'_>, _>(error.into())
        });
        any(configure(Gateway::new(app).pool(pool)))
    };
    let handlers = configure(pool.gateway());
    let ended = |report: &Sender<Refused>, error: CallError| -> gateway::Result<()> {
        report.send(Refused::by(&error))?;
        Err(error.into())
    };
    let (writes, sends) = (report.clone(), report.clone());
    let write = move || {
        let report = writes.clone();
        Streamed::write(move |write| ended(&report, write_until_refused(write)))
    };
    let events = move || {
        let report = sends.clone();
        Streamed::events(move |events| ended(&report, comment_until_refused(events)))
    };
    let router = Router::new()
        .route("/write", application(|start| Ok(write_until_refused(&start("200 OK", &[])?))))
        .route(
            "/empty",
            application(|start| {
                let write = start("200 OK", &[])?;
                loop {
                    if let Err(error) = write.send("") {
                        return Ok(error);
                    }
                }
            }),
        )
        .route("/304", application(|start| Ok(write_until_refused(&start("304 Not Modified", &[])?))))
        .route("/events", application(|start| Ok(comment_until_refused(&Events::start(start)?))))
        .route("/handler/write", any(handlers.handler(write)))
        .route("/handler/events", any(handlers.handler(events)));
    (router, reported)
}

fn pool() -> Pool {
    Pool::builder().threads(2).build().unwrap()
}

/// WR-10, WR-14, DISC-08: a client that has its whole response and stays does not end the writer; one that leaves does.
#[test]
fn an_endless_writer_ends_when_the_client_of_its_head_request_leaves() {
    let pool = pool();
    let (router, reported) = endless(&pool, |gateway| gateway);
    let server = Server::with_gateway(router);
    for path in ENDLESS {
        let mut connection = server.connect();
        assert!([200, 304].contains(&connection.request_head(path).status()), "{path}");
        assert!(reported.try_recv().is_err(), "{path}");
        drop(connection);
        assert_eq!(recv(&reported), Refused::Disconnected, "{path}");
    }
    until("the threads are free", || pool.stats().busy == 0);
}

/// The same for the connection of an HTTP/2 client.
#[tokio::test(crate = "crate::bounded")]
async fn an_endless_writer_ends_when_its_http2_client_leaves() {
    let pool = pool();
    let (router, reported) = endless(&pool, |gateway| gateway);
    let server = Server::with_gateway(router);
    for path in ENDLESS {
        let mut client = http2::<Empty<Bytes>>(server.address()).await;
        let request = http::Request::head(format!("http://h{path}")).body(Empty::new()).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert!([200, 304].contains(&response.status().as_u16()), "{path}");
        assert!(reported.try_recv().is_err(), "{path}");
        drop((client, response));
        let mut ended = None;
        until_async("the writer ends", || {
            ended = reported.try_recv().ok();
            ended.is_some()
        })
        .await;
        assert_eq!(ended, Some(Refused::Disconnected), "{path}");
    }
}

/// BP-06, DISC-08: a server that does not report its connections: the writer ends after the write stall timeout, as for
/// a client that takes nothing of a body, and the client keeps its connection.
#[test]
fn an_endless_writer_ends_after_the_write_stall_whatever_the_server() {
    let pool = pool();
    let (router, reported) = endless(&pool, |gateway| gateway.write_stall(Duration::from_millis(20)));
    let server = Server::with_axum(router);
    let mut connection = server.connect();
    for path in ENDLESS {
        assert!([200, 304].contains(&connection.request_head(path).status()), "{path}");
        assert_eq!(recv(&reported), Refused::Disconnected, "{path}");
    }
    until("the threads are free", || pool.stats().busy == 0);
}

/// The same without threads, where the runtime learns of no disconnect while the application runs.
#[test]
fn an_endless_writer_ends_on_the_inline_executor() {
    let (router, reported) =
        endless(&pool(), |gateway| gateway.executor(Inline::new()).write_stall(Duration::from_millis(20)));
    for path in ENDLESS {
        let response = Client::router(router.clone()).request("HEAD", path).send();
        assert!([200, 304].contains(&response.status().as_u16()), "{path}");
        assert_eq!(recv(&reported), Refused::Disconnected, "{path}");
    }
}

/// ERR-16: the deadline ends the writer, too; the client has its response.
#[test]
fn an_endless_writer_ends_at_the_deadline() {
    for is_inline in [false, true] {
        for path in ENDLESS {
            let has_begun = deadlines().any(|deadline| {
                let (router, reported) = endless(&pool(), |gateway| {
                    let gateway = gateway.deadline(deadline);
                    if is_inline { gateway.executor(Inline::new()) } else { gateway }
                });
                let (response, events) = capture_request(Client::router(router).request("HEAD", path));
                if response.status() == 504 {
                    return false;
                }
                assert_eq!(recv(&reported), Refused::Deadline, "{path}");
                let record = events.iter().find(|event| event.target == "gateway::access").expect("a record");
                assert!(record.text.ends_with("outcome=complete "), "{path}: {record:?}");
                true
            });
            assert!(has_begun, "{path}");
        }
    }
}

/// HTTP-03, END-08: an endless iterator is not pulled beyond the head, and is closed.
#[test]
fn an_endless_iterator_is_not_pulled_for_a_response_without_a_body() {
    let pool = pool();
    let endless = || std::iter::repeat("tick");
    let app = |status: &'static str| {
        application_fn(move |_, start_response| {
            start_response(status, &[])?;
            Ok(Chunks::new(endless()))
        })
    };
    let router = Router::new()
        .route("/application", any(pool.mount(app("200 OK"))))
        .route("/204", any(pool.mount(app("204 No Content"))))
        .route("/handler", any(pool.handler(move || Streamed::chunks(endless()))));
    let client = Client::router(router);
    for path in ["/application", "/204", "/handler"] {
        assert!(client.request("HEAD", path).send().status().is_success(), "{path}");
        until("the threads are free", || pool.stats().busy == 0);
    }
}

/// WR-14: an application that writes after its client has the response to HEAD runs to its end, without an error.
#[test]
fn a_writer_with_an_end_reaches_it() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let (report, reported) = mpsc::channel();
    let app = application_fn(move |_, start_response| {
        let events = Events::start(start_response)?;
        waiter.pass("the head is sent");
        let sent = (0..100).try_for_each(|_| events.comment("still here"));
        report.send(sent.is_ok())?;
        Ok(sent.map(|()| Chunks::empty())?)
    });
    let router = Router::new().route("/", any(pool().mount(app)));
    for server in [Server::of(router.clone()), Server::with_axum(router)] {
        let mut connection = server.connect();
        assert_eq!(connection.request_head("/").status(), 200);
        gate.await_call();
        gate.let_one();
        assert!(recv(&reported));
    }
}
