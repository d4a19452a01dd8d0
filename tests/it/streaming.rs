//! Streaming: a chunk is sent at once, and the memory is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use gateway::{Chunks, Gateway, Pool, application_fn};
use gateway_tests::{Ending, Flavour, Gate, Server, answer_fn};
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;

/// IT-04, IT-05, BP-09: a chunk reaches the client while the next one is still being generated.
#[test]
fn a_chunk_is_not_held_back_for_the_next() {
    for flavour in Flavour::ALL {
        let (gate, waiter) = Gate::pair();
        let app = answer_fn(move |_| {
            let waiter = waiter.clone();
            Ok((1..=5).map(move |step| {
                waiter.wait();
                format!("chunk {step}")
            }))
        });
        let server = Server::on(flavour, app);
        let mut connection = server.ask("/");
        gate.let_one();
        connection.head();
        for step in 1..=5 {
            assert_eq!(connection.chunk(), format!("chunk {step}").as_bytes());
            gate.let_one();
        }
        assert_eq!(connection.chunk(), b"");
    }
}

const CHUNK: usize = 1024;
const BUFFERED: usize = 4;

/// BP-01, BP-02, BP-03, IT-11: the application is ahead of its client by at most the buffer.
#[tokio::test(crate = "crate::bounded")]
async fn the_application_waits_when_the_buffer_is_full() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&pulled);
    let (gate, waiter) = Gate::pair();
    let app = answer_fn(move |_| {
        let (seen, waiter) = (Arc::clone(&seen), waiter.clone());
        let mut made = 0;
        Ok(std::iter::from_fn(move || {
            made += 1;
            // The buffered chunks, the chunk that is being sent, and the chunk that waits for capacity.
            let ahead = made - seen.load(Ordering::SeqCst);
            assert!(ahead <= BUFFERED + 2, "{ahead} chunks ahead of the client");
            if made == BUFFERED {
                waiter.note("the buffer is full");
            }
            (made <= 200).then(|| vec![0_u8; CHUNK])
        }))
    });
    let gateway = Gateway::new(app).response_buffer(BUFFERED * CHUNK);
    let response = gateway.oneshot(http::Request::new(http_body_util::Empty::<bytes::Bytes>::new())).await.unwrap();
    gate.begun().await;
    let mut body = response.into_body();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        pulled.fetch_add(1, Ordering::SeqCst);
        received += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(received, 200 * CHUNK);
}

/// IN-16, BP-10: the server reads no more of the request body than the application has buffer space for.
#[tokio::test(crate = "crate::bounded")]
async fn the_client_waits_while_the_application_does_not_read() {
    let taken = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&taken);
    let app = application_fn(move |environ, start_response| {
        start_response("200 OK", &[])?;
        for read in 0..200 {
            // The buffered chunks, and the chunk that waits for capacity.
            let ahead = seen.load(Ordering::SeqCst) - read;
            assert!(ahead <= BUFFERED + 1, "{ahead} chunks were taken ahead of the application");
            assert_eq!(environ.input().read_up_to(CHUNK)?.len(), CHUNK);
        }
        assert!(environ.input().read_all()?.is_empty());
        Ok(Chunks::new(["ok"]))
    });
    let frames = stream::iter(0..200).map(move |_| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(http_body::Frame::data(bytes::Bytes::from(vec![0; CHUNK])))
    });
    let request = http::Request::post("/").body(StreamBody::new(frames)).unwrap();
    let response = Gateway::new(app).read_ahead(BUFFERED * CHUNK).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}

/// BP-05: a chunk larger than the buffer is sent.
#[test]
fn a_chunk_larger_than_the_buffer_passes_whole() {
    let app = answer_fn(|_| Ok([vec![b'x'; 3_000_000], vec![b'y'; 1]]));
    let server = Server::of(Gateway::new(app).response_buffer(1024));
    let reply = server.get("/");
    assert_eq!((reply.body.len(), reply.ending), (3_000_001, Ending::Chunked));
}

/// One pool thread can echo a body larger than all buffers together, even on a runtime with one thread.
#[test]
fn a_large_echo_needs_one_thread() {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(environ.input().chunks(10_000)))
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    for flavour in Flavour::ALL {
        let gateway = Gateway::new(app).pool(&pool).read_ahead(1000).response_buffer(5000);
        let server = Server::on(flavour, gateway);
        let body: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        let mut connection = server.connect();
        connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
        let reply = std::thread::scope(|scope| {
            let mut sender = connection.second_handle();
            let body = &body;
            scope.spawn(move || sender.send_bytes(body));
            connection.reply()
        });
        assert!(reply.body == body, "{flavour:?}: {} bytes came back", reply.body.len());
    }
}

#[test]
fn an_application_may_write_inside_a_runtime_of_its_own() {
    let app = application_fn(|_, start_response| {
        let write = start_response("200 OK", &[])?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            for _ in 0..100 {
                write.send("x".repeat(10_000))?;
                tokio::task::yield_now().await;
            }
            Ok::<_, gateway::Error>(())
        })?;
        Ok(Chunks::empty())
    });
    let server = Server::of(app);
    assert_eq!(server.get("/").body.len(), 1_000_000);
}

/// POOL-24: the application is called when the read-ahead is full, even if the client then pauses.
#[test]
fn an_application_begins_once_the_read_ahead_is_full() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let app = application_fn(move |environ, start_response| {
        waiter.note(std::str::from_utf8(&environ.input().read_up_to(5)?)?);
        let rest = environ.input().read_all()?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new([rest]))
    });
    let server = Server::of(Gateway::new(app).read_ahead(5));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nabcde");
    assert_eq!(gate.await_call(), "abcde");
    connection.send("fgh");
    assert_eq!(connection.reply().text(), "fgh");
}
