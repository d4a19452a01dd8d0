//! A failure never looks like a success.

use gateway::testing::{Client, Outcome};
use gateway::{Application, Chunks, Gateway, RequestId, application_fn};
use gateway_tests::{
    BOUND, Capture, Ending, Flavour, Journal, Script, Server, Step, answer_fn, capture_log, recv, until,
};

fn failing_after_first_chunk(headers: &'static [(&'static str, &'static str)], last: Step) -> impl Application {
    application_fn(move |_, start_response| {
        start_response("200 OK", headers)?;
        let steps = [Step::Chunk("AAAA"), last];
        Ok(Chunks::new(Script::new(&Journal::new(), &steps)))
    })
}

/// ERR-04, ERR-05: on the wire, on both runtimes: the sent bytes arrive, and the message is visibly incomplete.
#[test]
fn a_failure_after_the_first_chunk_breaks_the_message_off() {
    let declared: &[(&str, &str)] = &[("Content-Length", "8")];
    for flavour in Flavour::ALL {
        for headers in [&[], declared] {
            for last in [Step::Fail, Step::Panic] {
                let app = failing_after_first_chunk(headers, last);
                let server = Server::on(flavour, app);
                for _ in 0..10 {
                    let reply = server.get("/");
                    assert_eq!(reply.status(), 200);
                    assert_eq!((reply.text().as_str(), reply.ending), ("AAAA", Ending::Broken), "{headers:?} {last:?}");
                }
            }
        }
    }
}

/// ERR-01, ERR-02, ERR-06, ERR-07, LOG-10, SEC-09.
#[test]
fn a_failure_before_the_first_byte_is_a_plain_500_and_one_log_event() {
    fn panics() -> gateway::Result<Chunks<'static>> {
        panic!("secret panic")
    }
    let apps: [(&str, Box<dyn Application>); 4] = [
        ("before", Box::new(application_fn(|_, _| Err(gateway::Error::new("secret"))))),
        ("before, by panic", Box::new(application_fn(|_, _| panics()))),
        (
            "after start_response",
            Box::new(application_fn(|_, start_response| {
                start_response("200 OK", &[("X-Old", "1"), ("Content-Length", "99")])?;
                Err(gateway::Error::new("secret"))
            })),
        ),
        (
            "after start_response, by panic",
            Box::new(application_fn(|_, start_response| {
                start_response("200 OK", &[("X-Old", "1")])?;
                panics()
            })),
        ),
    ];
    for (when, app) in apps {
        let (response, log) = capture_log(|| Client::new(app).get("/path"));
        assert_eq!(response.status(), 500, "{when}");
        assert_eq!(response.headers().get("x-old"), None, "{when}");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(response.headers()["content-length"], "22");
        assert_eq!(response.text(), "Internal Server Error\n");
        assert_eq!(log.len(), 1, "{when}: {log:?}");
        assert_eq!(log[0].level, tracing::Level::ERROR);
        assert!(log[0].text.contains("secret") && log[0].span.contains("/path"), "{when}: {log:?}");
    }
}

/// ERR-09, ERR-11, LOG-10: any code of the application may panic: its size hint, or the message of its error.
#[test]
fn a_panic_in_a_hint_or_in_an_error_message_is_contained() {
    #[derive(Debug)]
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words")
        }
    }
    impl std::error::Error for Unspeakable {}
    let (response, log) = capture_log(|| Client::new(application_fn(|_, _| Err(Unspeakable.into()))).get("/path"));
    assert_eq!((response.status().as_u16(), log.len()), (500, 1), "{log:?}");
    assert!(log[0].text.contains("no words") && log[0].span.contains("/path"), "{log:?}");

    struct Hintless(u8);
    impl Iterator for Hintless {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            self.0 = self.0.checked_sub(1)?;
            Some("x")
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            panic!("no idea")
        }
    }
    let app = answer_fn(|_| Ok(Hintless(2)));
    assert_eq!(Client::new(app).get("/").text(), "xx");
}

/// Middleware that fails for every head, or for each chunk `bad` that is written.
struct FailingMiddleware<A>(A, &'static str);
impl<A: Application> Application for FailingMiddleware<A> {
    fn call<'r>(
        &'r self,
        environ: &'r mut gateway::Environ,
        start_response: gateway::StartResponse<'r>,
    ) -> gateway::Result<Chunks<'r>> {
        let broken = if self.1 == "head" {
            start_response.map_head(|_| Err(gateway::Error::new("middleware trouble")))
        } else {
            start_response
                .map_write(|bytes| if bytes == "bad" { Err(gateway::Error::new("trouble")) } else { Ok(bytes) })
        };
        self.0.call(environ, broken)
    }
}

/// SR-09, SR-11: middleware that fails poisons the response, even if the application swallows the error.
#[test]
fn failing_middleware_never_looks_like_success() {
    let swallowing_writer = application_fn(|_, start_response| {
        let write = start_response("200 OK", &[])?;
        write.send("good")?;
        let _ = write.send("bad");
        Ok(Chunks::new(["good"]))
    });
    let response = Client::new(FailingMiddleware(swallowing_writer, "write")).get("/");
    assert_eq!((response.outcome(), response.chunks().concat()), (Outcome::Aborted, b"goodgood".to_vec()));

    let (report, reported) = std::sync::mpsc::channel();
    let trying_twice = application_fn(move |_, start_response| {
        report.send([(); 2].map(|()| start_response("200 OK", &[]).map(|_| ()).map_err(|error| error.to_string())))?;
        Ok(Chunks::new(["x"]))
    });
    assert_eq!(Client::new(FailingMiddleware(trying_twice, "head")).get("/").status(), 500);
    for answer in recv(&reported) {
        assert!(answer.as_ref().is_err_and(|error| error.contains("middleware trouble")), "{answer:?}");
    }
}

/// SR-10, HTTP-01: a head that should have been replaced is never sent, with a body or without.
#[test]
fn a_head_that_should_have_been_replaced_never_goes_out() {
    for headers in [&[][..], &[("Content-Length", "0")]] {
        let app = application_fn(move |_, start_response| {
            let refusing = start_response.map_head(|head| match head.status().as_u16() {
                200 => Ok(()),
                _ => Err(gateway::Error::new("refused")),
            });
            let write = refusing("200 OK", headers)?;
            let _ = refusing.replace(gateway::Error::new("trouble"), "500 Oops", &[]);
            let _ = write.send("");
            Ok(Chunks::new(vec!["a", "b"]))
        });
        let client = Client::new(app);
        for method in ["GET", "HEAD"] {
            let (response, _) = capture_log(|| client.request(method, "/").send());
            assert_eq!((response.status().as_u16(), response.outcome()), (500, Outcome::Complete), "{method}");
        }
    }
}

/// SR-10: a replacement clears the poison that middleware has set before the head was sent.
#[test]
fn a_replacement_clears_a_poisoned_response() {
    let app = application_fn(|_, start_response| {
        let write = start_response("200 OK", &[("Content-Length", "9")])?;
        let error = write.send("bad").expect_err("middleware fails");
        start_response.replace(error, "503 Service Unavailable", &[])?;
        Ok(Chunks::new(["sor", "ry"]))
    });
    let response = Client::new(FailingMiddleware(app, "write")).get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (503, "sorry"));
}

/// SR-06, SR-07, IT-16.
#[test]
fn an_application_that_never_starts_its_response_gets_500() {
    for body in [&[][..], &["x"], &["", "x"]] {
        let app = application_fn(move |_, _| Ok(Chunks::new(body.iter().copied())));
        let (response, log) = capture_log(|| Client::new(app).get("/"));
        assert_eq!(response.status(), 500, "{body:?}");
        assert_eq!(log.len(), 1);
        assert!(log[0].text.contains("start_response"), "{log:?}");
    }
}

/// ERR-07: no body on HEAD.
#[test]
fn a_500_to_head_has_no_body() {
    let app = application_fn(|_, _| Err(gateway::Error::new("x")));
    let server = Server::of(app);
    let mut connection = server.connect();
    connection.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(connection.head().0.contains("500"));
    assert_eq!(connection.reply().text(), "Internal Server Error\n");
}

/// HTTP-10: a complete error leaves the connection usable.
#[test]
fn a_connection_survives_a_500() {
    let app = application_fn(|environ, start_response| {
        if environ.path_info() == "/bad" {
            return Err(gateway::Error::new("x"));
        }
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    for _ in 0..3 {
        assert_eq!(connection.request("GET /bad HTTP/1.1\r\nHost: h\r\n\r\n").status(), 500);
        assert_eq!(connection.request("GET /good HTTP/1.1\r\nHost: h\r\n\r\n").text(), "ok");
    }
}

/// A test gets the failure, which no client sees: with the inline executor, with a pool, and after an aborted message.
#[test]
fn a_test_gets_the_failure_of_the_application() {
    let app = || {
        application_fn(|environ, start_response| {
            let table = std::fs::read_to_string("/no/such/table");
            if environ.query() == "late" {
                start_response("200 OK", &[])?;
                return Ok(Chunks::new([Ok("half"), Err("the disk is gone")]));
            }
            start_response("200 OK", &[])?;
            Ok(Chunks::new([Ok::<_, &str>(if environ.query() == "good" { "good".to_owned() } else { table? })]))
        })
    };
    let pool = gateway::Pool::builder().threads(1).build().unwrap();
    for client in [Client::new(app()), Client::of(Gateway::new(app()).pool(&pool))] {
        let early = client.get("/");
        assert_eq!(early.status(), 500);
        assert!(early.failure().unwrap().contains("No such file"), "{early:?}");
        let late = client.get("/?late");
        assert_eq!((late.outcome(), late.failure()), (Outcome::Aborted, Some("the disk is gone")));
        assert_eq!(client.get("/?good").failure(), None);
        assert_eq!(client.request("GET", "/").queue_full().send().failure(), None);
    }
}

/// The sources of an error may form a circle.
#[test]
fn an_error_that_is_its_own_source_is_a_500() {
    #[derive(Debug)]
    struct Circle;
    impl std::fmt::Display for Circle {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("circle")
        }
    }
    impl std::error::Error for Circle {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(self)
        }
    }
    let app = application_fn(|_, _| Err::<Chunks<'_>, _>(gateway::Error::new(Circle)));
    let pool = gateway::Pool::builder().threads(1).build().unwrap();
    let server = Server::of(gateway::Gateway::new(app).pool(&pool).deadline(BOUND));
    assert_eq!(server.get("/").status(), 500);
}

/// A failure after the whole response is no disconnect, although the client has left meanwhile.
#[test]
fn a_failure_after_a_wait_that_follows_the_whole_response_is_logged() {
    let app = application_fn(|_, start_response| {
        let write = start_response("200 OK", &[("Content-Length", "2")])?;
        write.send("ok")?;
        assert_eq!(write.wait(BOUND), gateway::Wait::ClientGone);
        Err::<Chunks<'_>, _>(gateway::Error::new("the invoice was not stored"))
    });
    let pool = gateway::Pool::builder().threads(1).build().unwrap();
    let router = axum::Router::new().route("/", axum::routing::get(pool.mount(app)));
    let capture = Capture::begin();
    let response = Client::router(router).request("GET", "/").extension(RequestId::new(capture.id())).send();
    assert_eq!(response.text(), "ok");
    until("the thread is idle", || pool.stats().busy == 0);
    assert!(capture.events().iter().any(|event| event.text.contains("not stored")), "{:?}", capture.events());
}
