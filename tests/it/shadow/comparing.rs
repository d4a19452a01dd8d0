//! The comparison of answers, and the reported differences.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gateway::RequestId;
use gateway::migration::Shadow;
use http::{HeaderName, Response, header};
use tower::Layer as _;

use super::{answers, ask, differences, request, settled, settled_in_time, text};

#[test]
fn clients_get_the_primarys_answer_and_each_difference_is_an_event() {
    let shadow = Shadow::new(answers(|| {
        let answer = Response::builder().status(201).header("x-b", "1").header("x-b", "3").header("x-c", "new");
        answer.body(Body::from("hello, wOrld")).unwrap()
    }));
    let primary = answers(|| {
        let answer =
            Response::builder().header("x-a", "old\u{1}".replace('\u{1}', "\t")).header("x-b", "1").header("x-b", "2");
        answer.body(Body::from("hello, world")).unwrap()
    });
    let said = differences(async {
        let service = shadow.clone().layer(primary);
        assert_eq!(ask(&service, request("GET", "/a%20b?secret")).await, "hello, world");
        let counts = settled(&shadow, 1).await;
        assert_eq!((counts.compared, counts.differing, counts.skipped), (1, 1, 0));
    });
    let expected = [
        "message=the status differs method=GET path=/a%20b primary=200 shadow=201",
        r"message=a header differs method=GET path=/a%20b header=x-a primary=old\t shadow=(absent)",
        "message=a header differs method=GET path=/a%20b header=x-b primary=1, 2 shadow=1, 3",
        "message=a header differs method=GET path=/a%20b header=x-c primary=(absent) shadow=new",
        "message=the body differs method=GET path=/a%20b offset=8 compared=12",
    ];
    assert_eq!(said, expected);
}

#[test]
fn equal_answers_make_no_event() {
    let shadow = Shadow::new(answers(|| {
        let answer = Response::builder().header("date", "later").header("server", "other").header("x-mine", "2");
        // The frames may have different boundaries.
        let frames = stream::iter(["he", "", "llo"].map(|frame| Ok::<_, Infallible>(Bytes::from(frame))));
        answer.body(Body::from_stream(frames)).unwrap()
    }))
    .ignore_header(HeaderName::from_static("x-mine"));
    let primary = answers(|| {
        let answer = Response::builder().header("date", "now").header("content-length", "5").header("x-mine", "1");
        answer.body(Body::from("hello")).unwrap()
    });
    let said = differences(async {
        let service = shadow.clone().layer(primary);
        ask(&service, request("GET", "/")).await;
        ask(&service, request("HEAD", "/")).await;
        let counts = settled(&shadow, 2).await;
        assert_eq!((counts.compared, counts.differing), (2, 0));
    });
    assert_eq!(said, [""; 0]);
}

/// LOG-08: an event is one line, and contains no cookie and no query.
#[test]
fn events_are_short_and_contain_no_secrets() {
    let shadow = Shadow::new(answers(|| {
        let answer = Response::builder().header(header::SET_COOKIE, "session=abc").header("x-long", "x".repeat(5000));
        answer.body(Body::from("a")).unwrap()
    }));
    let said = differences(async {
        let mut request = request("GET", "/?token=1");
        request.extensions_mut().insert(RequestId::new("f00"));
        ask(&shadow.clone().layer(text("ab")), request).await;
        settled(&shadow, 1).await;
    });
    let expected = [
        "message=a header differs request_id=f00 method=GET path=/ header=set-cookie primary=(absent) shadow=(hidden)"
            .to_owned(),
        format!(
            "message=a header differs request_id=f00 method=GET path=/ header=x-long primary=(absent) shadow={}...",
            "x".repeat(256)
        ),
        "message=the body differs request_id=f00 method=GET path=/ offset=1 compared=2".to_owned(),
    ];
    assert_eq!(said, expected);
}

/// A missing answer, a panic, an error or half a body is a difference, and does not affect the client.
#[test]
fn a_shadow_that_fails_is_a_difference_and_nothing_more() {
    let rows: [(MethodRouter, &str); 4] = [
        (any(std::future::pending::<()>), "it did not answer in time"),
        (answers(|| panic!("scripted panic")), "it panicked"),
        (
            answers(|| {
                let frames = [Ok(Bytes::from("sa")), Err(std::io::Error::other("scripted\nfailure"))];
                Response::new(Body::from_stream(stream::iter(frames)))
            }),
            r"scripted\nfailure",
        ),
        (
            answers(|| Response::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()))),
            "it did not answer in time",
        ),
    ];
    for (service, expected) in rows {
        let shadow = Shadow::new(service).in_flight(1);
        let said = differences(async {
            let service = shadow.clone().layer(answers(|| Response::new(Body::from("same"))));
            assert_eq!(ask(&service, request("GET", "/x")).await, "same");
            let counts = settled_in_time(&shadow, 1).await;
            assert_eq!((counts.compared, counts.differing), (1, 1));
            // The permit is free again.
            assert_eq!(ask(&service, request("GET", "/x")).await, "same");
            assert_eq!(settled_in_time(&shadow, 2).await.compared, 2);
        });
        assert_eq!(said, vec![format!("message=the shadow failed method=GET path=/x error={expected}"); 2]);
    }
}

#[test]
fn a_shadow_with_an_error_of_its_own_is_a_difference() {
    let shadow =
        Shadow::new(tower::service_fn(|_: Request| std::future::ready(Err::<Response<Body>, _>("no connection"))));
    let said = differences(async {
        ask(&shadow.clone().layer(text("same")), request("GET", "/x")).await;
        settled(&shadow, 1).await;
    });
    assert_eq!(said, ["message=the shadow failed method=GET path=/x error=no connection"]);
}

#[test]
fn bodies_are_compared_up_to_the_limit_and_the_shadows_is_read_no_further() {
    for (limit, theirs, differs) in [
        (4, "sameBUTlater", false),
        (5, "sameBUTlater", true),
        (4, "sam", true),
        (0, "", false),
        (100, "same and", true),
    ] {
        let pulled = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&pulled);
        let shadow = Shadow::new(answers(move || {
            let counter = Arc::clone(&counter);
            let frames = stream::iter(theirs.as_bytes().chunks(1)).map(move |frame| {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Bytes::from_static(frame))
            });
            Response::new(Body::from_stream(frames))
        }))
        .body_limit(limit);
        differences(async {
            let service = shadow.clone().layer(answers(|| Response::new(Body::from("same and more"))));
            assert_eq!(ask(&service, request("GET", "/")).await, "same and more");
            assert_eq!(settled(&shadow, 1).await.differing, u64::from(differs), "{limit} {theirs}");
        });
        assert!(pulled.load(Ordering::SeqCst) <= limit, "{limit} {theirs}");
    }
}
