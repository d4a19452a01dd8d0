//! A server whose subscriber panics: requests, connections and threads are not affected.

use std::io;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use gateway::serve::Listener;
use gateway::{Application, Chunks, Gateway, Pool, Spool, application_fn};
use gateway_tests::{Connection, Ending, Flavour, Gate, Stoppable, Waiter, block_on, http2};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::net::TcpListener;

use crate::broken::{Breaks, Broken};

/// Every second accept fails, because the connection was already closed, which is an event in the accept loop.
struct Flaky {
    inner: TcpListener,
    is_next: bool,
}

impl Listener for Flaky {
    type Io = <TcpListener as Listener>::Io;
    type Opening = <TcpListener as Listener>::Opening;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        self.is_next = !self.is_next;
        if self.is_next {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Listener::accept(&mut self.inner).await
    }
}

/// One application that causes every kind of event.
fn eventful(waiter: Waiter) -> impl Application {
    application_fn(move |environ, start_response| {
        use std::io::Write as _;
        match environ.path_info() {
            "/fails" => Err(gateway::Error::new("trouble")),
            "/panics" => panic!("trouble"),
            "/breaks-off" => {
                start_response("200 OK", &[])?.send("half")?;
                Err(gateway::Error::new("trouble"))
            }
            "/reads" => {
                let body = environ.input().read_all()?;
                start_response("200 OK", &[])?;
                Ok(Chunks::new([body.len().to_string()]))
            }
            "/says-too-much" => {
                start_response("200 OK", &[("Content-Length", "2")])?;
                Ok(Chunks::new(vec!["o", "k, and more"]))
            }
            "/streams" => {
                let _ = writeln!(environ.errors(), "about to stream");
                start_response("200 OK", &[])?.send("1")?;
                Ok(Chunks::new(vec!["2", "3"]))
            }
            "/gated" => {
                waiter.pass("/gated");
                start_response("200 OK", &[])?;
                Ok(Chunks::new(["passed"]))
            }
            _ => {
                start_response("200 OK", &[])?;
                Ok(Chunks::new(["ok"]))
            }
        }
    })
}

struct Site {
    pool: Pool,
    drivers: usize,
    gate: Gate,
    server: Stoppable,
}

impl Site {
    /// With two threads, and a route for metrics. Drivers run each job, too.
    fn open(flavour: Flavour, drivers: usize) -> Self {
        let pool = Pool::builder().name("unlucky").threads(2).drivers(drivers).build().unwrap();
        let gate = Gate::new();
        let gateway = Gateway::new(eventful(gate.waiter())).pool(&pool).body_limit(1 << 20).assume_short();
        let spool = Spool::builder().memory(1024).build().unwrap();
        let figures = pool.clone();
        let publish = move || {
            let figures = figures.clone();
            async move { figures.publish_metrics() }
        };
        let router = Router::new()
            .route("/metrics", get(publish))
            .nest_service("/spooled", gateway.clone().spool(&spool))
            .fallback_service(gateway);
        let stopped = pool.clone();
        let server = Stoppable::start(flavour, move |inner| {
            gateway::serve(Flaky { inner, is_next: false }, router).pool(&stopped)
        });
        Self { pool, drivers, gate, server }
    }

    fn works(mut self) {
        self.speaks_http1();
        self.speaks_http2();
        self.has_all_threads();
        let report = self.server.report();
        assert!(report.is_clean(), "{report}");
    }

    fn speaks_http1(&self) {
        let body = "x".repeat(200_000);
        let mut connection = self.server.connect();
        for (target, status, text) in [
            ("/", 200, "ok"),
            ("/streams", 200, "123"),
            ("/fails", 500, "Internal Server Error\n"),
            ("/panics", 500, "Internal Server Error\n"),
            ("/says-too-much", 200, "ok"),
            ("/metrics", 200, ""),
            ("/", 200, "ok"),
        ] {
            let reply = connection.request(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!((reply.status(), reply.text().as_str()), (status, text), "{target}");
        }
        for target in ["/reads", "/spooled/reads"] {
            let head = format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
            let reply = connection.request(&(head + &body));
            assert_eq!((reply.status(), reply.text()), (200, "200000".to_owned()), "{target}");
        }
        // The request is refused before the application is called.
        let reply = self.server.connect().request("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n");
        assert_eq!(reply.status(), 400);
        // The response is aborted, and does not look complete.
        let mut connection = self.server.get("/breaks-off");
        let (line, _) = connection.head();
        assert!(line.contains(" 200 "), "{line}");
        assert_eq!(connection.rest_of_chunks(), Ending::Broken);
    }

    fn speaks_http2(&self) {
        block_on(async {
            let mut client = http2(self.server.address()).await;
            for (path, body, status, text) in [
                ("/", "", 200, "ok"),
                ("/streams", "", 200, "123"),
                ("/fails", "", 500, "Internal Server Error\n"),
                ("/panics", "", 500, "Internal Server Error\n"),
                ("/reads", "five!", 200, "5"),
                ("/spooled/reads", "five!", 200, "5"),
                ("/metrics", "", 200, ""),
            ] {
                let request = Request::post(format!("http://h{path}")).body(Full::new(Bytes::from(body))).unwrap();
                let request = if path == "/metrics" { get_of(path) } else { request };
                let answer = client.send_request(request).await.unwrap();
                assert_eq!(read(answer).await.unwrap(), (StatusCode::from_u16(status).unwrap(), text.to_owned()));
            }
            let answer = client.send_request(get_of("/breaks-off")).await;
            let ended = match answer {
                Ok(answer) => read(answer).await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert!(ended.is_err(), "a message that was broken off looks complete");
            // The other streams of the connection continue.
            let answer = client.send_request(get_of("/")).await.unwrap();
            assert_eq!(read(answer).await.unwrap(), (StatusCode::OK, "ok".to_owned()));
        });
    }

    /// Checks that two requests run at the same time.
    fn has_all_threads(&self) {
        let mut waiting: Vec<Connection> = (0..2).map(|_| self.server.get("/gated")).collect();
        for _ in 0..2 {
            self.gate.await_call();
        }
        self.gate.open();
        for connection in &mut waiting {
            assert_eq!(connection.reply().text(), "passed");
        }
        let stats = self.pool.stats();
        // Drivers may have run both.
        assert!(self.drivers > 0 || stats.busy + stats.idle == 2, "{stats:?}");
    }
}

fn get_of(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://h{path}")).body(Full::default()).unwrap()
}

async fn read(answer: Response<hyper::body::Incoming>) -> hyper::Result<(StatusCode, String)> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok((head.status, String::from_utf8(body.to_vec()).unwrap()))
}

/// Runs a server with a broken log. Then the subscriber's methods in `panicked` must have panicked on threads of that
/// kind. With drivers, all threads are the pool's.
fn check(breaks: Breaks, panicked: &[(&'static str, &'static str)]) {
    for flavour in Flavour::ALL {
        let broken = Broken::new(breaks);
        Site::open(flavour, 0).works();
        for (method, thread) in panicked {
            assert!(broken.broke(method, thread), "{breaks:?}: {method} did not panic on a {thread} thread");
        }
        drop(broken);
        let broken = Broken::new(breaks);
        Site::open(flavour, 2).works();
        for (method, _) in panicked {
            let has_broken = ["pool", "runtime"].iter().any(|thread| broken.broke(method, thread));
            assert!(has_broken, "{breaks:?}: {method} did not panic beside drivers");
        }
    }
}

#[test]
fn a_log_that_works_changes_nothing() {
    check(Breaks::Nothing, &[]);
}

/// LOG-10, LOG-12.
#[test]
fn a_panic_in_an_event_costs_that_event() {
    check(Breaks::Events, &[("event", "runtime"), ("event", "pool")]);
}

#[test]
fn a_panic_in_every_method_of_the_subscriber_costs_the_log() {
    check(Breaks::Everything, &[("event", "runtime"), ("event", "pool"), ("new_span", "runtime")]);
}

#[test]
fn a_panic_of_a_subscriber_that_is_asked_what_it_wants_costs_the_log() {
    check(Breaks::Interest, &[("enabled", "runtime"), ("enabled", "pool")]);
}

#[test]
fn a_panic_where_a_span_is_left_or_closed_costs_no_thread() {
    check(Breaks::Guards, &[("exit", "pool"), ("try_close", "pool")]);
}

#[test]
fn a_panic_for_some_targets_alone_costs_these() {
    check(Breaks::Target("gateway::access"), &[("event", "runtime")]);
    check(Breaks::Target("gateway::serve::accept"), &[("event", "runtime")]);
    check(Breaks::Target("gateway::wsgi_errors"), &[("event", "pool")]);
    check(Breaks::Target("gateway::failure"), &[("event", "pool")]);
}

#[test]
fn a_panic_of_a_metrics_recorder_costs_its_figure() {
    check(Breaks::Metrics, &[("metric", "runtime"), ("metric", "pool")]);
}

/// The future of a server logs the report.
#[test]
fn a_server_that_cannot_log_its_report_ends_as_a_success() {
    let _broken = Broken::new(Breaks::Everything);
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        gateway::serve(listener, Router::new()).with_graceful_shutdown(async {}).await.unwrap();
    });
}
