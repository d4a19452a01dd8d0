//! Peers that do not read.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::frames::kind::{DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS};
use gateway_tests::frames::{Frame, frame, read_frame};
use gateway_tests::{BOUND, Flavour, Stoppable, answer_fn, until, until_async};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use super::network::{Network, preface, read_to_end, read_until, send};
use super::{network, pool};

const STALL: Duration = Duration::from_secs(60);

fn router() -> Router {
    let file = application_fn(|_, start_response| {
        let file = tempfile::tempfile()?;
        file.set_len(100 * 1024 * 1024)?;
        start_response("200 OK", &[])?;
        Ok(Chunks::file(file))
    });
    let endless = || stream::repeat(Bytes::from_static(&[b'x'; 1024])).map(Ok::<_, Infallible>);
    Router::new()
        .route("/", get(move || async move { Body::from_stream(endless()) }))
        .route("/large", get(|| async { vec![b'x'; 4 * 1024 * 1024] }))
        .route("/small", get(|| async { "small" }))
        .route_service("/file", Gateway::new(file).pool(&pool(4, 4)))
}

fn serve() -> Network {
    Network::of(router())
}

/// Waits until this number of connections was dropped, and returns the elapsed time.
async fn await_dropped(network: &Network, connections: usize) -> Duration {
    let begun = Instant::now();
    timeout(Duration::from_secs(600), async {
        while network.counts().0 < connections {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the connections end");
    begun.elapsed()
}

/// BP-06: the connection of a peer that does not read is closed after the write stall timeout, whatever handler or file
/// is being sent.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_whose_peer_takes_nothing_is_reset() {
    for version in ["1.1", "1.0"] {
        for target in ["/", "/large", "/file"] {
            // The socket buffer accepts a few bytes, or almost none.
            for buffer in [1, 100_000] {
                let case = format!("{target} HTTP/{version} {buffer}");
                let network = serve();
                let mut client = network.connect(buffer);
                send(&mut client, &format!("GET {target} HTTP/{version}\r\nHost: a\r\n\r\n")).await;
                // A pool thread needs real time, which the paused clock does not measure.
                client.read_exact(&mut [0]).await.expect("the response begins");
                sleep(STALL - Duration::from_secs(1)).await;
                assert_eq!(network.counts(), (0, 0), "{case}");
                let took = await_dropped(&network, 1).await;
                assert!(took < Duration::from_secs(7), "{case}: {took:?}");
                assert_eq!(network.counts(), (1, 1), "{case}");
            }
        }
    }
}

/// BP-06: each byte that a peer reads restarts the timeout.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_slow_reader_keeps_its_connection() {
    let network = serve();
    let mut client = network.connect(100);
    send(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for _ in 0..10 {
        sleep(STALL - Duration::from_secs(1)).await;
        assert_ne!(client.read(&mut [0; 10]).await.expect("reads"), 0);
    }
    assert_eq!(network.counts(), (0, 0));
}

/// The same timeout applies to a small answer that is not read.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_untaken_small_answer_ends_its_connection_as_well() {
    let network = serve();
    let mut client = network.connect(40);
    send(&mut client, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let took = await_dropped(&network, 1).await;
    assert!((STALL..STALL + Duration::from_secs(6)).contains(&took), "{took:?}");
}

/// The frames of these kinds, until the connection is silent for a second.
async fn frames(client: &mut DuplexStream, kinds: &[u8]) -> Vec<(u8, u32)> {
    let mut found = Vec::new();
    while let Ok(Ok(Frame { kind, stream, .. })) = timeout(Duration::from_secs(1), read_frame(client)).await {
        if kinds.contains(&kind) {
            found.push((kind, stream));
        }
    }
    found
}

/// BP-06: on HTTP/2 a stream whose window stays closed is reset after the timeout; the other streams continue.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_stream_whose_peer_takes_nothing_is_reset_alone() {
    let network = serve();
    let mut client = network.connect(1 << 20);
    // Each stream has a window of ten bytes.
    client.write_all(&preface(10)).await.expect("writes");
    for stream in [1, 3, 5] {
        client.write_all(&network::get(stream)).await.expect("writes");
    }
    assert_eq!(frames(&mut client, &[DATA]).await, [(DATA, 1), (DATA, 3), (DATA, 5)]);
    sleep(STALL - Duration::from_secs(3)).await;
    assert_eq!(frames(&mut client, &[DATA, RST_STREAM]).await, []);
    // One of the streams is read further.
    client.write_all(&frame(8, 0, 3, &100_000_u32.to_be_bytes())).await.expect("writes");
    sleep(Duration::from_secs(5)).await;
    let found = frames(&mut client, &[DATA, RST_STREAM, GOAWAY]).await;
    let resets: Vec<_> = found.iter().filter(|(kind, _)| *kind == RST_STREAM).collect();
    assert_eq!(resets, [&(RST_STREAM, 1), &(RST_STREAM, 5)]);
    assert!(found.contains(&(DATA, 3)) && !found.iter().any(|(kind, _)| *kind == GOAWAY), "{found:?}");
    assert_eq!(network.counts(), (0, 0));
}

/// BP-06: on HTTP/2 a stream whose peer opens its window by 64 KiB within the timeout is kept, even one whose body is
/// larger than a frame.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_slow_reader_keeps_its_stream() {
    const STEP: u32 = 65_536 / 60;
    // The literal path needs no Huffman code; the rest is in HPACK's static table.
    let large = frame(HEADERS, 0x5, 1, b"\x82\x86\x04\x06/large\x41\x01a");
    for (initial, request) in [(10, network::get(1)), (10, large.clone()), (65_535, large)] {
        let network = serve();
        let mut client = network.connect(1 << 20);
        client.write_all(&preface(initial)).await.expect("writes");
        client.write_all(&request).await.expect("writes");
        let (mut received, mut windows) = (0, initial);
        for second in 1..=300_u32 {
            sleep(Duration::from_secs(1)).await;
            for stream in [0, 1] {
                client.write_all(&frame(8, 0, stream, &STEP.to_be_bytes())).await.expect("writes");
            }
            while let Ok(Ok(frame)) = timeout(Duration::from_millis(1), read_frame(&mut client)).await {
                assert!(![RST_STREAM, GOAWAY].contains(&frame.kind), "{frame:?} after {second} s");
                received += if frame.kind == DATA { frame.payload.len() } else { 0 };
            }
            windows += STEP;
        }
        assert_eq!(received, windows as usize);
    }
}

/// An HTTP/2 connection whose socket accepts no bytes is closed, like an HTTP/1 connection.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_http2_connection_whose_peer_takes_nothing_is_reset() {
    let network = serve();
    let mut client = network.connect(2000);
    client.write_all(&preface(1 << 20)).await.expect("writes");
    client.write_all(&network::get(1)).await.expect("writes");
    let took = await_dropped(&network, 1).await;
    assert!((STALL..STALL + Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(network.counts(), (1, 1));
}

/// The header timeout applies to the first request of an HTTP/2 client, as on HTTP/1.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_silent_preface_ends_with_the_header_timeout() {
    for begins in [preface(10), preface(10)[..24].to_vec(), preface(10)[..20].to_vec()] {
        for pings in [false, true] {
            let network = serve();
            let mut client = network.connect(1 << 20);
            let begun = Instant::now();
            client.write_all(&begins).await.expect("writes");
            while network.counts().0 == 0 {
                assert!(begun.elapsed() < Duration::from_secs(32), "{:?}", begun.elapsed());
                sleep(Duration::from_millis(500)).await;
                if pings && begins.len() > 24 {
                    let _ = client.write_all(&frame(PING, 0, 0, &[0; 8])).await;
                    let _ = client.write_all(&frame(SETTINGS, 0, 0, &[])).await;
                }
            }
            assert!(begun.elapsed() >= Duration::from_secs(30), "{:?}", begun.elapsed());
        }
    }
}

/// Frames that the server acknowledges automatically do not restart the timeout.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn pings_and_settings_do_not_keep_an_idle_http2_connection() {
    let network = serve();
    let mut client = network.connect(1 << 22);
    client.write_all(&preface(10_000)).await.expect("writes");
    let (mut reader, mut writer) = tokio::io::split(client);
    tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    // The client sends a request, so that the connection is idle and does not wait for its first request.
    let small = [0x82, 0x86, 0x04, 6, b'/', b's', b'm', b'a', b'l', b'l', 0x41, 1, b'a'];
    writer.write_all(&frame(HEADERS, 0x5, 1, &small)).await.expect("writes");
    let begun = Instant::now();
    while network.counts().0 == 0 {
        assert!(begun.elapsed() < Duration::from_secs(77), "{:?}", begun.elapsed());
        let _ = writer.write_all(&frame(PING, 0, 0, &[0; 8])).await;
        let _ = writer.write_all(&frame(SETTINGS, 0, 0, &[])).await;
        sleep(Duration::from_millis(500)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(75), "{:?}", begun.elapsed());
}

/// BP-02: the server bounds the memory of complete bodies that were not read yet; beyond the bound a body waits on its
/// thread. All bodies arrive completely.
#[test]
fn a_body_without_room_waits_on_its_thread() {
    let pool = pool(3, 3);
    let app = answer_fn(|_| Ok([vec![b'x'; 16 * 1024 * 1024]]));
    let router = Router::new().fallback_service(Gateway::new(app).pool(&pool));
    let served = pool.clone();
    let server = Stoppable::start(Flavour::MultiThread, move |listener| {
        // One connection may use a quarter of the bound: there is room for one body in each connection, and for one in
        // all.
        gateway::serve(listener, router).pool(&served).response_memory(64 * 1024 * 1024 + 1).max_concurrent_streams(4)
    });
    let mut clients: Vec<_> = (0..5)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(server.address()).unwrap();
            client.set_read_timeout(Some(BOUND)).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            let mut head = [0; 12];
            client.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200");
            client
        })
        .collect();
    // Four bodies have released their threads; the last one waits.
    until("one body waits on its thread", || (pool.stats().completed, pool.stats().busy) == (4, 1));
    for client in &mut clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.len() > 16 * 1024 * 1024 && rest.ends_with(b"xxxx"), "{}", rest.len());
    }
    until("all threads are free", || pool.stats().busy == 0);
}

#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_reader_that_pauses_for_less_than_the_stall_gets_everything() {
    let network = serve();
    let mut client = network.connect(1000);
    send(&mut client, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    sleep(STALL - Duration::from_secs(1)).await;
    let all = read_to_end(&mut client).await;
    assert_eq!(all.len() - all.find("\r\n\r\n").expect("a head") - 4, 4 * 1024 * 1024);
    let mut client = network.connect(1000);
    send(&mut client, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_until(&mut client, "small").await;
}

/// Bytes that set a flag when their memory is freed.
struct Tracked(Vec<u8>, Arc<AtomicBool>);

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.1.store(true, SeqCst);
    }
}

/// BP-02: when the thread of a body is free, the last unread bytes of the body do not keep the memory of the whole
/// body.
#[tokio::test(crate = "crate::bounded")]
async fn the_rest_of_a_body_does_not_keep_all_of_its_memory() {
    const LENGTH: usize = 1 << 20;
    for pieces in [1, 2] {
        let freed = Arc::new(AtomicBool::new(false));
        let pool = pool(1, 1);
        let owner = Arc::clone(&freed);
        let app = answer_fn(move |_| {
            let large = Bytes::from_owner(Tracked(vec![b'x'; LENGTH], Arc::clone(&owner)));
            // In one piece, or as a stream.
            Ok(std::iter::once(large).chain((1..pieces).map(|_| Bytes::from_static(b"y"))))
        });
        let router = Router::new().fallback_service(Gateway::new(app).pool(&pool));
        let (network, listener) = Network::new();
        tokio::spawn(gateway::serve(listener, router).response_memory(0).into_future());
        let mut client = network.connect(1000);
        send(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut most = vec![0; LENGTH - 8 * 1024];
        client.read_exact(&mut most).await.expect("reads");
        let is_freed = || pool.stats().busy == 0 && freed.load(SeqCst);
        until_async("the memory is freed", is_freed).await;
    }
}
