//! Request bodies that are read completely before a thread is taken. IN-26.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gateway::testing::{Client, Inline};
use gateway::{Chunks, Environ, Gateway, Pool, Spool, StartResponse, application_fn};
use gateway_tests::{Flavour, Gate, Server, capture_request, until_async};
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

/// Answers with the declared length and the length that was read; fails if the bytes differ from the pattern.
#[expect(clippy::needless_pass_by_value, reason = "the signature of an application")]
fn measure<'r>(environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
    let declared = environ.get("CONTENT_LENGTH").unwrap_or("-").to_owned();
    assert_eq!(environ.content_length().map(|length| length.to_string()).unwrap_or("-".into()), declared);
    let body = environ.input().read_all()?;
    assert!(body.iter().enumerate().all(|(at, byte)| *byte == pattern(at)), "the bytes are out of order");
    start_response("200 OK", &[])?;
    Ok(Chunks::new([format!("{declared} {}", body.len())]))
}

fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap()
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(pattern).collect()
}

/// IN-26: in memory, or in memory and a file, declared or chunked: the application sees the whole body and its length.
#[test]
fn a_spooled_body_has_its_true_length_wherever_it_is_kept() {
    for flavour in Flavour::ALL {
        let spool = Spool::builder().memory(1000).build().unwrap();
        let gateway = Gateway::new(application_fn(measure)).spool(&spool);
        let server = Server::on(flavour, gateway);
        for length in [1, 999, 1000, 1001, 200_000, 1_000_000] {
            let bytes = body(length);
            let mut connection = server.connect();
            connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
            connection.send_bytes(&bytes);
            assert_eq!(connection.reply().text(), format!("{length} {length}"));

            connection.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
            bytes.chunks(777).chain([&[][..]]).for_each(|chunk| connection.send_chunk(chunk));
            assert_eq!(connection.reply().text(), format!("{length} {length}"));
        }
        let mut connection = server.connect();
        assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "- 0");
    }
}

/// IN-01 to IN-09: all ways of reading share one cursor, across the boundary between memory and file.
#[test]
fn every_way_of_reading_works_across_the_seam() {
    let app = application_fn(|environ, start_response| {
        let input = environ.input();
        let mut pieces = vec![input.readline()?, input.read_up_to(3)?, input.readline_up_to(4)?];
        pieces.extend(input.readlines(1)?);
        pieces.push(input.read_all()?);
        pieces.push(input.read_all()?);
        let pieces: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
        start_response("200 OK", &[])?;
        Ok(Chunks::new([format!("{pieces:?}")]))
    });
    let app = Arc::new(app);
    let text = "first\nsecond line\nthird\nfourth";
    for memory in 0..text.len() {
        let spool = Spool::builder().memory(memory).build().unwrap();
        let pool = Pool::builder().threads(1).build().unwrap();
        let client = Client::of(Gateway::new(Arc::clone(&app)).pool(&pool).spool(&spool));
        for frame in [1, 7, 100] {
            let response = client.request("POST", "/").body(text).body_frames(frame).send();
            assert_eq!(response.text(), r#"["first\n", "sec", "ond ", "line\n", "third\nfourth", ""]"#, "{memory}");
        }
    }
}

/// IN-26, POOL-24: a body of any size takes no thread before it is complete.
#[tokio::test(crate = "crate::bounded")]
async fn a_slow_upload_takes_no_thread() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let app = application_fn(move |environ, start_response| {
        seen.fetch_add(1, Ordering::SeqCst);
        measure(environ, start_response)
    });
    let spool = Spool::builder().memory(10).build().unwrap();
    let gateway = Gateway::new(app).pool(&Pool::builder().threads(1).build().unwrap()).spool(&spool);
    let (frames, mut receiver) = mpsc::unbounded_channel::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    let frame = |range: std::ops::Range<usize>| Ok(http_body::Frame::data(range.map(pattern).collect::<Bytes>()));
    let stream = StreamBody::new(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let request = http::Request::post("/").body(stream).unwrap();
    let mut answer = std::pin::pin!(gateway.oneshot(request));
    for at in 0..3 {
        frames.send(frame(at * 100_000..(at + 1) * 100_000)).unwrap();
        // There is no answer, and no call.
        for _ in 0..10 {
            tokio::select! {
                biased;
                _ = &mut answer => panic!("an answer before the end"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }
    drop(frames);
    let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!((&body[..], calls.load(Ordering::SeqCst)), (&b"300000 300000"[..], 1));
}

/// IN-26: a declared length reserves no quota; the received bytes use the quota before the body is complete.
#[tokio::test(crate = "crate::bounded")]
async fn bytes_take_room_and_declared_lengths_do_not() {
    let spool = Spool::builder().memory(1000).total(1500).build().unwrap();
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(application_fn(measure)).pool(&pool).spool(&spool);
    let (frames, mut receiver) = mpsc::unbounded_channel::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    let stream = StreamBody::new(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let request = http::Request::post("/").header("content-length", "1400").body(stream).unwrap();
    let mut answer = std::pin::pin!(gateway.clone().oneshot(request));
    assert!(futures_util::poll!(&mut answer).is_pending());
    assert_eq!(spool.taken(), 0);
    let small = http::Request::post("/").body(Full::new(Bytes::from(body(200)))).unwrap();
    assert_eq!(gateway.clone().oneshot(small).await.unwrap().status(), 200);
    until_async("the thread has dropped the body", || spool.taken() == 0).await;
    frames.send(Ok(http_body::Frame::data(body(700).into()))).unwrap();
    assert!(futures_util::poll!(&mut answer).is_pending());
    assert_eq!(spool.taken(), 700);
    drop(frames);
    assert_eq!(answer.await.unwrap().status(), 400);
    assert_eq!(spool.taken(), 0);
}

/// IN-17, IN-19, IN-20: a broken body is answered, and the application is not called.
#[test]
fn a_bad_body_is_refused_before_the_application_is_called() {
    let app = || application_fn(|_, _| panic!("the application was called"));
    let spool = Spool::builder().memory(10).build().unwrap();
    let pool = Pool::builder().threads(1).build().unwrap();
    let client = Client::of(Gateway::new(app()).pool(&pool).spool(&spool).body_limit(1000));
    let post = || client.request("POST", "/").header("transfer-encoding", "chunked");
    assert_eq!(post().body(body(1001)).body_frames(100).send().status(), 413);
    assert_eq!(post().body(body(900)).body_frames(100).cut_body_after(800).send().status(), 400);
    assert_eq!(client.request("POST", "/").body(body(900)).cut_body_after(5).send().status(), 400);
    assert_eq!(spool.taken(), 0);
    // The same without threads and files.
    let client = Client::of(Gateway::new(app()).executor(Inline::new()).spool(&spool).body_limit(1000));
    assert_eq!(client.request("POST", "/").body(body(900)).cut_body_after(5).send().status(), 400);
}

/// IN-26: one quota for all bodies together; a body that exceeds the quota is shed, and the end of a request releases
/// its part.
#[tokio::test(crate = "crate::bounded")]
async fn all_bodies_together_have_one_bound() {
    let spool = Spool::builder().memory(100).total(1500).build().unwrap();
    let (gate, waiter) = Gate::pair();
    let app = application_fn(move |environ, start_response| {
        waiter.pass(environ.path_info());
        measure(environ, start_response)
    });
    let gateway = Gateway::new(app).pool(&Pool::builder().threads(2).build().unwrap()).spool(&spool);
    let post = |length: usize, declared: bool| {
        let gateway = gateway.clone();
        let mut request = http::Request::post("/");
        if declared {
            request = request.header("content-length", length);
        }
        tokio::spawn(async move { gateway.oneshot(request.body(Full::new(Bytes::from(body(length)))).unwrap()).await })
    };
    let first = post(1000, true);
    gate.begun().await;
    assert_eq!(spool.taken(), 1000);
    assert_eq!(post(501, true).await.unwrap().unwrap().status(), 503);
    assert_eq!(post(501, false).await.unwrap().unwrap().status(), 503);
    let second = post(500, false);
    gate.begun().await;
    assert_eq!(spool.taken(), 1500);
    gate.open();
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
    drop(gateway);
}

/// LOG-12: a full spool sheds, a broken spool fails, and the record has a different outcome for each.
#[test]
fn a_broken_spool_is_no_full_one() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::builder().memory(10).total(1000).directory(directory.path()).build().unwrap();
    let pool = Pool::builder().threads(1).build().unwrap();
    let client = Client::of(Gateway::new(application_fn(measure)).pool(&pool).spool(&spool));
    let post = |length: usize| {
        let (response, events) = capture_request(client.request("POST", "/").body(body(length)).body_frames(100));
        let record = events.iter().find(|event| event.target == "gateway::access").expect("a record");
        (response.status().as_u16(), record.text.split("outcome=").nth(1).unwrap().trim().to_owned())
    };
    assert_eq!(post(1001), (503, "shed".to_owned()));
    directory.close().unwrap();
    assert_eq!(post(900), (503, "error".to_owned()));
}

/// HTTP-05: the limits of the mount and of its spool are checked before a client is asked for its body.
#[test]
fn continue_is_sent_once_the_limits_are_checked() {
    let spool = Spool::builder().total(1000).build().unwrap();
    let gateway = Gateway::new(application_fn(measure)).spool(&spool).body_limit(5000);
    let server = Server::of(gateway);
    let ask = |length: usize| {
        let mut connection = server.connect();
        connection
            .send(&format!("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"));
        let (line, _) = connection.head();
        (connection, line)
    };
    assert!(ask(5001).1.starts_with("HTTP/1.1 413"));
    assert!(ask(1001).1.starts_with("HTTP/1.1 503"));
    let (mut connection, line) = ask(100);
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    connection.send_bytes(&body(100));
    assert_eq!(connection.reply().text(), "100 100");
}

/// A spool whose directory is not usable is not built, and the error names the directory.
#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Spool::builder().directory("/nowhere/at/all").build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}
