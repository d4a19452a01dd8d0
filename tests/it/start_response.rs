//! `start_response`: its arguments, and when the head takes effect.

use std::sync::{Arc, mpsc};

use gateway::testing::{Client, Outcome};
use gateway::{Chunks, ContractError, StartResponse, application_fn};
use gateway_tests::{Flavour, Server, answer_fn, capture_log, recv};
use http::{HeaderMap, HeaderValue, StatusCode};

/// SR-14 to SR-24: each invalid head is an error of the call, and the client gets 500 if the application returns the
/// error.
#[test]
fn what_must_not_leave_is_refused_inside_the_call() {
    let refused: [(&str, &[(&str, &str)]); 12] = [
        ("200", &[]),
        ("100 Continue", &[]),
        ("200 OK\r\nX: y", &[]),
        ("200 \u{100}", &[]),
        ("200 OK", &[("X\r\nY", "z")]),
        ("200 OK", &[("X-A", "a\r\nX-B: b")]),
        ("200 OK", &[("X-A", "\u{100}")]),
        ("200 OK", &[("Connection", "close")]),
        ("200 OK", &[("transfer-ENCODING", "chunked")]),
        ("200 OK", &[("Upgrade", "websocket")]),
        ("200 OK", &[("Content-Length", "five")]),
        ("200 OK", &[("Status", "200 OK")]),
    ];
    for (status, headers) in refused {
        let (report, reported) = mpsc::channel();
        let app = application_fn(move |_, start_response| {
            let answer = start_response(status, headers).map(|_| ());
            report.send(answer.as_ref().is_err_and(|error| error.find::<ContractError>().is_some()))?;
            answer?;
            Ok(Chunks::empty())
        });
        let (response, log) = capture_log(|| Client::new(app).get("/"));
        assert!(recv(&reported), "{status:?} {headers:?}");
        assert_eq!(response.status(), 500, "{status:?} {headers:?}");
        assert_eq!(log.len(), 1, "{log:?}");
    }
}

/// SR-15, SR-17: a reason phrase may be empty (RFC 9112 §4), and a status code without a standard phrase gets none.
#[test]
fn a_reason_phrase_may_be_empty() {
    let app = application_fn(|environ, start_response| {
        match environ.path_info() {
            "/typed" => start_response.with(StatusCode::from_u16(299)?, HeaderMap::new())?,
            "/replaced" => {
                start_response("200 OK", &[])?;
                start_response.replace(gateway::Error::new("x"), "500 ", &[])?
            }
            _ => start_response("299 ", &[])?,
        };
        Ok(Chunks::new(["ok"]))
    });
    for flavour in Flavour::ALL {
        let server = Server::on(flavour, app);
        for (path, line) in [("/", "299 "), ("/typed", "299 "), ("/replaced", "500 ")] {
            let reply = server.get(path);
            assert_eq!((&*reply.line, &*reply.text()), (&*format!("HTTP/1.1 {line}"), "ok"), "{path}");
            // hyper sends the status line of HTTP/1.0 to an HTTP/1.0 client.
            let reply = server.connect().request(&format!("GET {path} HTTP/1.0\r\n\r\n"));
            assert_eq!((&*reply.line, &*reply.text()), (&*format!("HTTP/1.0 {line}"), "ok"), "{path}");
        }
    }
    // The code alone is not a valid WSGI status, nor a valid HTTP status line: both require the space.
    let app = application_fn(|_, start_response| {
        start_response("200", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let (response, log) = capture_log(|| Client::new(app).get("/"));
    assert_eq!(response.status(), 500);
    assert!(log[0].text.contains("has no space after its code"), "{log:?}");
}

/// SR-17, SR-22, SR-25, SR-26, SR-27.
#[test]
fn status_and_headers_arrive_as_they_were_given() {
    let app = application_fn(|_, start_response| {
        start_response(
            "299 Quite f\u{fc}nny",
            &[
                ("Set-Cookie", "a=1"),
                ("X-Word", "caf\u{e9}"),
                ("Set-Cookie", "b=2"),
                ("Date", "today"),
                ("server", "me"),
            ],
        )?;
        Ok(Chunks::new(["ok"]))
    });
    let server = Server::of(app);
    let reply = server.get("/");
    assert_eq!(reply.line, "HTTP/1.1 299 Quite f\u{fc}nny");
    let cookies: Vec<_> =
        reply.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(reply.header("x-word"), Some("caf\u{e9}"));
    // SR-29, SR-30: only the application's own fields are sent.
    assert_eq!((reply.header("date"), reply.header("server")), (Some("today"), Some("me")));
    assert_eq!(reply.header("content-type"), None);
}

/// SR-29.
#[test]
fn a_date_is_added_when_there_is_none() {
    let app = answer_fn(|_| Ok(["ok"]));
    let server = Server::of(app);
    assert!(server.get("/").header("date").is_some());
}

/// SR-05.
#[test]
fn the_first_call_may_come_inside_the_first_next() {
    let app = application_fn(|_, start_response| {
        let mut started = false;
        Ok(Chunks::new(std::iter::from_fn(move || {
            if std::mem::replace(&mut started, true) {
                return None;
            }
            Some(start_response("201 Created", &[]).map(|_| "late"))
        })))
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status(), response.text().as_str()), (StatusCode::CREATED, "late"));
}

/// SR-01, SR-03, SR-04, IT-02, IT-03: empty chunks send nothing, so the head can still be replaced.
#[test]
fn the_head_waits_for_the_first_byte() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[("X-Old", "1"), ("Content-Length", "99")])?;
        let mut step = 0;
        Ok(Chunks::new(std::iter::from_fn(move || {
            step += 1;
            match step {
                1 | 2 => Some(Ok("")),
                3 => Some(
                    start_response
                        .replace(gateway::Error::new("late trouble"), "503 Service Unavailable", &[("X-New", "1")])
                        .map(|_| "replaced"),
                ),
                _ => None,
            }
        })))
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (503, "replaced"));
    // SR-10: no field of the first head remains, including the declared length.
    assert_eq!((response.headers().get("x-old"), response.headers().get("x-new").is_some()), (None, true));
    assert_eq!(response.headers().get("content-length"), None);
}

/// SR-08, SR-09.
#[test]
fn a_second_call_without_an_error_is_an_error() {
    for first in ["200 OK", "not a status"] {
        let app = application_fn(move |_, start_response| {
            let _ = start_response(first, &[]);
            start_response("201 Created", &[])?;
            Ok(Chunks::new(["x"]))
        });
        let (response, log) = capture_log(|| Client::new(app).get("/"));
        assert_eq!(response.status(), 500, "{first}");
        assert!(log[0].text.contains("twice"), "{log:?}");
    }
}

/// SR-11: after the head was sent, the call returns the same error.
#[test]
fn an_error_after_the_head_comes_back_and_breaks_the_message_off() {
    #[derive(Debug, PartialEq)]
    struct Trouble(u8);
    impl std::fmt::Display for Trouble {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("trouble")
        }
    }
    impl std::error::Error for Trouble {}

    for swallow in [false, true] {
        let (report, reported) = mpsc::channel();
        let app = application_fn(move |_, start_response| {
            start_response("200 OK", &[])?;
            let (mut step, report) = (0, report.clone());
            Ok(Chunks::new(std::iter::from_fn(move || {
                step += 1;
                match step {
                    1 => Some(Ok("AAAA")),
                    2 => {
                        let error = start_response.replace(Trouble(7), "500 Oh No", &[]).expect_err("too late");
                        let _ = report.send(error.find::<Trouble>() == Some(&Trouble(7)));
                        if swallow { Some(Ok("BBBB")) } else { Some(Err(error)) }
                    }
                    _ => None,
                }
            })))
        });
        let (response, log) = capture_log(|| Client::new(app).get("/"));
        assert!(recv(&reported), "the error is another one");
        assert_eq!((response.status().as_u16(), response.outcome()), (200, Outcome::Aborted), "swallow: {swallow}");
        assert_eq!(log.len(), 1, "{log:?}");
    }
}

/// SR-12, SR-13: the error of a replacement is dropped at once.
#[test]
fn no_reference_to_the_error_survives_the_call() {
    #[derive(Debug)]
    struct Counted(Arc<()>);
    impl std::fmt::Display for Counted {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "held {} times", Arc::strong_count(&self.0))
        }
    }
    impl std::error::Error for Counted {}
    let app = application_fn(|_, start_response| {
        let held = Arc::new(());
        start_response.replace(Counted(Arc::clone(&held)), "503 Service Unavailable", &[])?;
        assert_eq!(Arc::strong_count(&held), 1);
        Ok(Chunks::new(["sorry"]))
    });
    assert_eq!(Client::new(app).get("/").status(), 503);
}

/// SR-12.
#[test]
fn an_error_may_come_with_the_very_first_call() {
    let app = application_fn(|_, start_response| {
        start_response.replace(gateway::Error::new("x"), "500 Oh No", &[])?;
        Ok(Chunks::new(["sorry"]))
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (500, "sorry"));
}

#[test]
fn typed_parts_pass_the_same_checks() {
    let app = application_fn(|environ, start_response| {
        let mut headers = HeaderMap::new();
        if environ.path_info() == "/bad" {
            headers.insert("connection", HeaderValue::from_static("close"));
        }
        start_response.with(StatusCode::ACCEPTED, headers.clone())?;
        start_response.replace_with(gateway::Error::new("x"), StatusCode::IM_A_TEAPOT, headers)?;
        Ok(Chunks::new(["ok"]))
    });
    let client = Client::new(app);
    assert_eq!(client.get("/bad").status(), 500);
    assert_eq!(client.get("/good").status(), StatusCode::IM_A_TEAPOT);
}

/// If the application ignores the error of `start_response`, the log names that error.
#[test]
fn the_log_names_the_reason_for_a_missing_head() {
    let going_on = |call: fn(&StartResponse<'_>) -> bool| {
        let app = application_fn(move |_, start_response| {
            assert!(!call(&start_response));
            Ok(Chunks::new(["ok"]))
        });
        let (status, log) = capture_log(|| Client::new(app).get("/").status());
        assert_eq!((status.as_u16(), log.len()), (500, 1), "{log:?}");
        log[0].text.clone()
    };
    let refused = going_on(|start_response| start_response("200", &[]).is_ok());
    assert!(refused.contains("status \\\"200\\\" has no space") && refused.contains("with `?`"), "{refused}");
    let hop = going_on(|start_response| start_response("200 OK", &[("Connection", "close")]).is_ok());
    assert!(hop.contains("connection") && hop.contains("with `?`"), "{hop}");
    let middleware = going_on(|start_response| {
        let refusing = start_response.clone().map_head(|_| Err(gateway::Error::new("middleware trouble")));
        refusing("200 OK", &[]).is_ok()
    });
    assert!(middleware.contains("middleware trouble") && middleware.contains("with `?`"), "{middleware}");
    let never = going_on(|_| false);
    assert!(never.contains("returned a body without calling start_response"), "{never}");
}
