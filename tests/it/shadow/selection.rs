//! The requests that the shadow receives.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use gateway::migration::Shadow;
use http::Method;
use http_body_util::BodyExt as _;
use tower::Layer as _;

use super::{ask, counting, differences, request, settled, text};

#[test]
fn one_request_in_n_is_shown() {
    for (every, expected) in [(0, 0), (1, 7), (3, 3), (10, 1)] {
        let calls = Arc::default();
        let shadow = Shadow::new(counting(&calls)).every(every);
        differences(async {
            let service = shadow.clone().layer(text("same"));
            for _ in 0..7 {
                // Requests that cannot be shadowed do not count.
                ask(&service, request("POST", "/")).await;
                ask(&service, request("GET", "/")).await;
            }
            let expected = u64::try_from(expected).unwrap();
            assert_eq!(settled(&shadow, expected).await.compared, expected, "{every}");
        });
        assert_eq!(calls.load(Ordering::SeqCst), expected, "{every}");
    }
}

#[test]
fn only_safe_methods_are_shown_unless_others_are_named() {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];
    let seen = |shadow: fn(Shadow<MethodRouter>) -> Shadow<MethodRouter>| {
        let methods = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&methods);
        let shadow = shadow(Shadow::new(any(move |method: Method| {
            noted.lock().unwrap().push(method.to_string());
            std::future::ready("same")
        })));
        differences(async {
            let service = shadow.clone().layer(text("same"));
            for method in all {
                ask(&service, request(method, "/")).await;
            }
            assert_eq!(settled(&shadow, 2).await.compared, 2);
        });
        std::mem::take(&mut *methods.lock().unwrap())
    };
    assert_eq!(seen(|shadow| shadow), ["GET", "HEAD"]);
    assert_eq!(seen(|shadow| shadow.methods([Method::GET, Method::DELETE])), ["GET", "DELETE"]);
}

/// Sends bodies of 3, 4 and 5 bytes, each with a declared length and without, and returns the bodies that primary and
/// shadow have read.
fn uploads(limit: Option<usize>) -> [Vec<String>; 2] {
    let read = [Arc::default(), Arc::default()];
    let reader = |read: &Arc<Mutex<Vec<String>>>| {
        let read = Arc::clone(read);
        any(move |body: String| {
            read.lock().unwrap().push(body);
            std::future::ready("same")
        })
    };
    let shadow = Shadow::new(reader(&read[1])).methods([Method::POST]);
    let shadow = limit.into_iter().fold(shadow, Shadow::request_bodies);
    differences(async {
        let service = shadow.clone().layer(reader(&read[0]));
        for body in ["abc", "abcd", "abcde"] {
            let frames = body.as_bytes().chunks(2).map(Bytes::copy_from_slice).map(Ok::<_, Infallible>);
            let frames: Vec<_> = frames.collect();
            for body in [Body::from(body), Body::from_stream(stream::iter(frames))] {
                ask(&service, http::Request::post("/").body(body).unwrap()).await;
            }
        }
        // A body without a declared length that turns out to be too large is skipped, too.
        assert_eq!(settled(&shadow, if limit.is_some() { 5 } else { 0 }).await.differing, 0);
    });
    read.map(|read| read.lock().unwrap().clone())
}

#[test]
fn requests_with_a_body_are_shown_up_to_the_limit_that_was_set() {
    let all = ["abc", "abc", "abcd", "abcd", "abcde", "abcde"];
    let [primary, shadow] = uploads(None);
    assert_eq!((primary, shadow.len()), (all.map(str::to_owned).to_vec(), 0));
    let [primary, shadow] = uploads(Some(4));
    assert_eq!(primary, all);
    assert_eq!(shadow, all[..4]);
}

/// If the primary has not read the body, there is no body for the shadow, and the request is skipped.
#[test]
fn a_request_whose_body_was_not_read_is_skipped() {
    let calls = Arc::default();
    let shadow = Shadow::new(counting(&calls)).methods([Method::POST]).request_bodies(100);
    let said = differences(async {
        let service = shadow.clone().layer(text("same"));
        ask(&service, http::Request::post("/").body(Body::from("body")).unwrap()).await;
        assert_eq!(settled(&shadow, 1).await.skipped, 1);
    });
    assert_eq!((said.len(), calls.load(Ordering::SeqCst)), (0, 0));
}

/// Half a body is not the client's complete message.
#[test]
fn a_request_whose_body_broke_off_is_skipped() {
    let calls = Arc::default();
    let shadow = Shadow::new(counting(&calls)).methods([Method::POST]).request_bodies(100);
    let primary = any(|request: Request| async {
        assert!(request.into_body().collect().await.is_err());
        "same"
    });
    differences(async {
        let frames = [Ok(Bytes::from("half")), Err(std::io::Error::other("scripted failure"))];
        let body = Body::from_stream(stream::iter(frames));
        let service = shadow.clone().layer(primary);
        assert_eq!(ask(&service, http::Request::post("/").body(body).unwrap()).await, "same");
        assert_eq!(settled(&shadow, 1).await.skipped, 1);
    });
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn requests_beyond_the_limit_are_not_shown() {
    let (open, opened) = tokio::sync::watch::channel(false);
    let shadow = Shadow::new(any(move || {
        let mut opened = opened.clone();
        async move {
            opened.wait_for(|opened| *opened).await.unwrap();
            "same"
        }
    }))
    .in_flight(2);
    let said = differences(async {
        let service = shadow.clone().layer(counting(&Arc::default()));
        for _ in 0..5 {
            assert_eq!(ask(&service, request("GET", "/")).await, "same");
        }
        let counts = shadow.counts();
        assert_eq!((counts.compared, counts.skipped), (0, 3));
        open.send(true).unwrap();
        assert_eq!(settled(&shadow, 5).await.compared, 2);
        assert_eq!(ask(&service, request("GET", "/")).await, "same");
        assert_eq!(settled(&shadow, 6).await.compared, 3);
    });
    assert_eq!(said, [""; 0]);
}

#[test]
fn without_a_runtime_nothing_is_shown() {
    let calls = Arc::default();
    let shadow = Shadow::new(counting(&calls));
    let service = shadow.clone().layer(text("same"));
    assert_eq!(ask(&service, request("GET", "/")).now_or_never().unwrap(), "same");
    assert_eq!((shadow.counts().skipped, calls.load(Ordering::SeqCst)), (1, 0));
}
