//! Connections on the drivers of a pool. The mounts are assumed to be short, so that no test depends on time.

use std::io::Write as _;
use std::net::TcpStream;

use axum::Router;
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use gateway::{Application, Chunks, Gateway, Input, Pool, application_fn};
use gateway_tests::{Flavour, Gate, Stoppable, answer_fn, until};

fn driving(threads: usize) -> Pool {
    Pool::builder().name("driven").threads(threads).queue(16).drivers(2).build().unwrap()
}

/// A server with this pool.
fn serve(pool: &Pool, router: Router) -> Stoppable {
    let pool = pool.clone();
    Stoppable::start(Flavour::MultiThread, move |listener| gateway::serve(listener, router).pool(&pool))
}

/// A server of one application, on this pool.
fn serve_short(pool: &Pool, app: impl Application) -> Stoppable {
    serve(pool, Router::new().fallback_service(Gateway::new(app).pool(pool).assume_short()))
}

#[test]
fn a_short_job_runs_on_the_driver_that_has_read_it() {
    let pool = driving(4);
    let server = serve_short(&pool, answer_fn(|_| Ok([std::thread::current().name().unwrap_or_default().to_owned()])));
    let mut connection = server.connect();
    for _ in 0..20 {
        let thread = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text();
        assert!(thread.starts_with("driven-"), "{thread}");
    }
    until("no job runs", || pool.stats().busy == 0);
    assert_eq!((pool.stats().driven, pool.stats().completed), (20, 20));
}

/// Jobs that block on their drivers: others drive in their place, so that the limits are those of a pool without
/// drivers, and everything else goes on.
#[test]
fn a_job_that_blocks_holds_up_nobody() {
    let pool = driving(2);
    let gate = Gate::new();
    let other = answer_fn(|_| Ok(["other"]));
    let router = Router::new()
        .route("/async", get(|| async { "async" }))
        .route_service("/other", Gateway::new(other).pool(&pool).assume_short())
        .fallback_service(Gateway::new(gate.application()).pool(&pool).assume_short());
    let server = serve(&pool, router);
    let mut held = [(); 2].map(|()| server.connect());
    for connection in &mut held {
        connection.send("GET /blocks HTTP/1.1\r\nHost: h\r\n\r\n");
        gate.await_call();
    }
    for _ in 0..100 {
        assert_eq!(server.get("/async").reply().text(), "async");
    }
    assert_eq!((pool.stats().busy, pool.stats().held_drivers), (2, 2));
    let mut queued = server.connect();
    queued.send("GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
    until("it is queued", || pool.stats().queued == 1);
    gate.open();
    for connection in &mut held {
        assert_eq!(connection.reply().status(), 200);
    }
    assert_eq!(queued.reply().text(), "other");
    until("no job runs", || pool.stats().busy == 0);
}

/// A job that waits until its client has taken a part of its response, or has sent the rest of its request.
#[test]
fn a_job_that_waits_for_its_own_connection_is_served() {
    const SIZE: usize = 8 << 20;
    let pool = driving(2);
    let server = serve_short(
        &pool,
        application_fn(|environ, start_response| {
            let bytes = std::io::copy(environ.input(), &mut std::io::sink())?;
            let pieces = if environ.path_info() == "/large" { SIZE / 65536 } else { 0 };
            start_response("200 OK", &[("X-Received", &bytes.to_string())])?;
            Ok(Chunks::new((0..pieces).map(|_| vec![b'x'; 65536])))
        }),
    );
    for _ in 0..3 {
        assert_eq!(server.get("/large").reply().body.len(), SIZE);
    }
    // The rest of an upload is read by a task of the same drivers: its job goes to the queue.
    let (driven, held) = (pool.stats().driven, pool.stats().held_drivers);
    for _ in 0..3 {
        let mut upload = server.connect();
        upload.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
        upload.send_bytes(&[b'x'; 500_000]);
        until("the job waits for the rest", || pool.stats().busy == 1);
        upload.send_bytes(&[b'x'; 500_000]);
        assert_eq!(upload.reply().header("x-received"), Some("1000000"));
        until("no job runs", || pool.stats().busy == 0);
    }
    assert_eq!((pool.stats().driven, pool.stats().held_drivers), (driven, held));
}

/// A body that is complete keeps no job from the driver, even if a handler reads it as a stream.
#[test]
fn a_handler_of_a_complete_body_runs_on_a_driver() {
    let pool = driving(4);
    let count =
        |mut input: Input| Ok::<_, gateway::Error>(std::io::copy(&mut input, &mut std::io::sink())?.to_string());
    let gateway = pool.gateway().name("count").assume_short();
    let server = serve(&pool, Router::new().route("/", post(gateway.handler(count))));
    let mut connection = server.connect();
    for _ in 0..20 {
        let body = connection.request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345").text();
        assert_eq!(body, "5");
    }
    // A driver that has no processor for a millisecond gives its job to the queue.
    assert!(pool.stats().driven > 0, "no job runs where it was read");
}

/// The thread of a held job and an idle thread change their roles: no thread is started, and none ends.
#[test]
fn held_drivers_do_not_make_more_threads() {
    let pool = Pool::builder().name("driven").threads(8).drivers(1).build().unwrap();
    let (gate, waiter) = Gate::pair();
    let app = answer_fn(move |_| {
        waiter.pass(std::thread::current().name().unwrap_or_default());
        Ok(["done"])
    });
    let server = serve_short(&pool, app);
    let mut names = std::collections::BTreeSet::new();
    let (mut held, mut queued) = (0, 0);
    while held < 20 {
        let driven = pool.stats().driven;
        let mut connection = server.connect();
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        names.insert(gate.await_call());
        if pool.stats().driven > driven {
            held += 1;
            until("the job has held its driver", || pool.stats().held_drivers == held);
        } else {
            // The driver had no processor for a millisecond, so that the job went to the queue, and to a thread of its
            // own.
            queued += 1;
            assert!(queued < 100, "no job runs where it was read");
        }
        gate.let_one();
        assert_eq!(connection.reply().text(), "done");
        until("the job has ended", || pool.stats().busy == 0);
    }
    assert!(names.len() <= 2 + queued, "{names:?}");
}

#[test]
fn a_panic_costs_its_request_alone() {
    let pool = driving(2);
    let server = serve_short(
        &pool,
        answer_fn(|environ| {
            assert!(environ.path_info() != "/panic", "as the test wants");
            Ok(["done"])
        }),
    );
    let mut connection = server.connect();
    for _ in 0..50 {
        assert_eq!(connection.request("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n").status(), 500);
        assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(), 200);
    }
    until("no job runs", || pool.stats().busy == 0);
}

/// The requests of a client that sends without waiting are answered in order, and others beside it, too.
#[test]
fn a_client_that_pipelines_holds_up_nobody() {
    let pool = driving(2);
    let server = serve_short(&pool, answer_fn(|environ| Ok([environ.path_info().to_owned()])));
    let mut pipelining = server.connect();
    let requests = |numbers: std::ops::Range<usize>| -> String {
        numbers.map(|number| format!("GET /{number} HTTP/1.1\r\nHost: h\r\n\r\n")).collect()
    };
    for round in 0..20 {
        pipelining.send(&requests(round * 50..(round + 1) * 50));
        assert_eq!(server.get("/beside").reply().text(), "/beside");
        for number in round * 50..(round + 1) * 50 {
            assert_eq!(pipelining.reply().text(), format!("/{number}"));
        }
    }
}

#[test]
fn a_server_on_drivers_stops_gracefully() {
    for _ in 0..10 {
        let pool = driving(2);
        let gate = Gate::new();
        let mut server = serve_short(&pool, gate.application());
        let mut running = server.connect();
        running.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        gate.await_call();
        server.stop();
        gate.open();
        assert_eq!(running.reply().status(), 200);
        assert_eq!(server.ended().connections_cut, 0);
        until("all threads have ended", || pool.stats().threads == 0);
    }
}

/// An async handler that blocks, which it should not: the other driver does all else.
#[test]
fn a_long_poll_holds_up_no_other_connection() {
    let pool = driving(2);
    let (gate, waiter) = Gate::pair();
    let router = Router::new().route("/async", get(|| async { "async" })).route(
        "/blocks",
        get(move || {
            let waiter = waiter.clone();
            async move {
                waiter.pass("/blocks");
                "done"
            }
        }),
    );
    let server = serve(&pool, router);
    // Several times: the driver that blocks is any of the two.
    for _ in 0..5 {
        let mut idle = server.connect();
        assert_eq!(idle.request("GET /async HTTP/1.1\r\nHost: h\r\n\r\n").text(), "async");
        let mut blocked = server.connect();
        blocked.send("GET /blocks HTTP/1.1\r\nHost: h\r\n\r\n");
        gate.await_call();
        for _ in 0..20 {
            assert_eq!(idle.request("GET /async HTTP/1.1\r\nHost: h\r\n\r\n").text(), "async");
            assert_eq!(server.get("/async").reply().text(), "async");
        }
        gate.let_one();
        assert_eq!(blocked.reply().text(), "done");
    }
}

/// A handler that waits inside its poll for a job that this poll has made: a worker runs the job.
#[test]
fn a_poll_that_waits_for_its_own_job_ends() {
    for (drivers, threads) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        let pool = Pool::builder().name("driven").threads(threads).drivers(drivers).build().unwrap();
        let app = answer_fn(|_| Ok(["done"]));
        let inner = Gateway::new(app).pool(&pool).assume_short();
        let handler = move |request: axum::extract::Request| {
            let inner = inner.clone();
            async move {
                let handle = tokio::runtime::Handle::current();
                tokio::task::block_in_place(|| handle.block_on(tower::ServiceExt::oneshot(inner, request)))
            }
        };
        let server = serve(&pool, Router::new().route("/", get(handler)));
        for _ in 0..5 {
            assert_eq!(server.get("/").reply().text(), "done");
        }
        until("no job runs", || pool.stats().busy == 0);
    }
}

/// Clients that send for as long as they are read, what needs no answer: the polls of their connections end all the
/// same. Empty lines before a request, and frames that HTTP/2 ignores.
#[test]
fn a_client_that_sends_without_end_holds_up_nobody() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // A frame of the type PRIORITY, for stream 1.
    let priority = b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\0\x10";
    for (first, then) in [(Vec::new(), b"\r\n".repeat(32768)), (preface, priority.repeat(4096))] {
        let pool = Pool::builder().threads(1).drivers(1).build().unwrap();
        let server = serve(&pool, Router::new().route("/", get(|| async { "beside" })));
        let mut beside = server.connect();
        let mut flood = TcpStream::connect(server.address()).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let flooding = std::thread::spawn(move || {
            flood.write_all(&first).unwrap();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                flood.write_all(&then).unwrap();
            }
        });
        for _ in 0..50 {
            assert_eq!(beside.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "beside");
        }
        drop(stop);
        gateway_tests::join(flooding);
    }
}

/// The streams of an HTTP/2 connection are driven, too.
#[tokio::test(crate = "crate::bounded")]
async fn a_short_job_of_a_stream_runs_on_a_driver() {
    let pool = driving(2);
    let server = serve_short(&pool, answer_fn(|environ| Ok([environ.path_info().to_owned()])));
    let client = gateway_tests::http2::<axum::body::Body>(server.address()).await;
    // As many at once as the pool has places.
    let streams = futures_util::stream::iter(0..50).for_each_concurrent(4, |number| {
        let mut client = client.clone();
        async move {
            let request = http::Request::get(format!("http://h/{number}")).body(axum::body::Body::empty()).unwrap();
            let response = client.send_request(request).await.unwrap();
            let body = axum::body::to_bytes(axum::body::Body::new(response.into_body()), 100).await.unwrap();
            assert_eq!(body, format!("/{number}"));
        }
    });
    streams.await;
    assert!(pool.stats().driven > 0, "{:?}", pool.stats());
    assert_eq!(pool.stats().completed, 50);
}
