//! The validator. EXT-04.

use gateway::testing::{Client, Outcome};
use gateway::{Application, Chunks, Environ, StartResponse, Validator, application_fn};
use gateway_tests::capture_log;

const TEXT: &[(&str, &str)] = &[("Content-Type", "text/plain")];

/// The validator's message for an application, with the resulting status and outcome.
fn verdict(app: impl Application) -> (u16, Outcome, String) {
    let (response, log) = capture_log(|| Client::new(Validator::new(app)).get("/path?query"));
    let said = log.iter().map(|event| event.text.as_str()).collect();
    (response.status().as_u16(), response.outcome(), said)
}

#[test]
fn an_application_that_keeps_the_contract_passes_unchanged() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", TEXT)?.send("a")?;
        Ok(Chunks::new(["", "b", "c"]))
    });
    let response = Client::new(Validator::new(app)).get("/");
    assert_eq!((response.text().as_str(), response.headers()["content-type"].as_bytes()), ("abc", &b"text/plain"[..]));

    let whole = application_fn(|_, start_response| {
        start_response("200 OK", TEXT)?;
        Ok(Chunks::new(["abc"]))
    });
    assert_eq!(Client::new(Validator::new(whole)).get("/").headers()["content-length"], "3");
}

#[test]
fn a_head_has_a_type_where_there_is_a_body() {
    for (status, headers, rule) in [
        ("200 OK", &[][..], "no Content-Type"),
        ("204 No Content", TEXT, "has a Content-Type"),
        ("200 OK", &[("Content-Type", "text/plain"), ("X-", "1")], "ends in a dash"),
    ] {
        let (code, _, said) = verdict(application_fn(move |_, start_response| {
            start_response(status, headers)?;
            Ok(Chunks::empty())
        }));
        assert_eq!(code, 500);
        assert!(said.contains(rule) && said.contains("PEP 3333"), "{said}");
    }
}

#[test]
fn a_response_is_started_before_its_first_byte() {
    let (code, _, said) = verdict(application_fn(|_, _| Ok(Chunks::new(["x"]))));
    assert_eq!(code, 500);
    assert!(said.contains("before start_response"), "{said}");
}

#[test]
fn nothing_is_written_from_inside_the_iteration() {
    let (code, outcome, said) = verdict(application_fn(|_, start_response| {
        let write = start_response("200 OK", TEXT)?;
        let mut step = 0;
        Ok(Chunks::new(std::iter::from_fn(move || {
            step += 1;
            match step {
                1 => Some(Ok("first")),
                2 => Some(write.send("second").map(|()| "third")),
                _ => None,
            }
        })))
    }));
    assert_eq!((code, outcome), (200, Outcome::Aborted));
    assert!(said.contains("inside the iteration"), "{said}");
}

/// The server's side: a server, or middleware in its place, that passes on a broken environ.
#[test]
fn a_broken_environ_is_reported() {
    struct BreaksEnviron<A>(A, &'static str, &'static str);
    impl<A: Application> Application for BreaksEnviron<A> {
        fn call<'r>(
            &'r self,
            environ: &'r mut Environ,
            start_response: StartResponse<'r>,
        ) -> gateway::Result<Chunks<'r>> {
            environ.insert(self.1, self.2);
            self.0.call(environ, start_response)
        }
    }
    for (key, value) in [
        ("REQUEST_METHOD", ""),
        ("SCRIPT_NAME", "/"),
        ("SCRIPT_NAME", "app"),
        ("PATH_INFO", "x"),
        ("PATH_INFO", ""),
        ("SERVER_NAME", ""),
        ("SERVER_PORT", "http"),
        ("CONTENT_LENGTH", "-1"),
        ("HTTP_CONTENT_TYPE", "x"),
        ("wsgi.url_scheme", "ftp"),
        ("own.key", "\u{100}"),
    ] {
        let app = application_fn(|_, start_response| {
            start_response("200 OK", TEXT)?;
            Ok(Chunks::new(["ok"]))
        });
        let (response, log) = capture_log(|| Client::new(BreaksEnviron(Validator::new(app), key, value)).get("/path"));
        assert_eq!(response.status(), 500, "{key} {value:?}");
        assert!(log[0].text.contains(key) && log[0].text.contains("PEP 3333"), "{log:?}");
    }
}
