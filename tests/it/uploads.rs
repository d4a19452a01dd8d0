//! Slow uploads: incomplete bodies that exceed the read-ahead occupy at most a part of the threads.

use axum::Router;
use axum::routing::{any, post};
use gateway::{Chunks, Gateway, Input, Pool, PoolBuilder, Share, Spool, application_fn};
use gateway_tests::{Connection, Server, until};

pub(crate) const SIZE: usize = 200_000;

/// Counts the body.
pub(crate) fn counting(settings: PoolBuilder) -> (Pool, Server) {
    let pool = settings.build().unwrap();
    let app = application_fn(|environ, start_response| {
        let bytes = std::io::copy(environ.input(), &mut std::io::sink())?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new([format!("{bytes} bytes")]))
    });
    let server = Server::of(Gateway::new(app).pool(&pool));
    (pool, server)
}

/// How a client declares its body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Length,
    Chunked,
}

/// Sends the first half of a body, which is more than the read-ahead.
pub(crate) fn begin(server: &Server, framing: Framing) -> Connection {
    begin_with(server, framing, SIZE)
}

pub(crate) fn finish(connection: &mut Connection, framing: Framing) -> String {
    finish_with(connection, framing, SIZE)
}

/// Sends the first half of a body of `size` bytes.
fn begin_with(server: &Server, framing: Framing, size: usize) -> Connection {
    let mut connection = server.connect();
    let half = vec![b'x'; size / 2];
    match framing {
        Framing::Length => {
            connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n"));
            connection.send_bytes(&half);
        }
        Framing::Chunked => {
            connection.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
            connection.send_chunk(&half);
        }
    }
    connection
}

fn finish_with(connection: &mut Connection, framing: Framing, size: usize) -> String {
    let half = vec![b'x'; size / 2];
    match framing {
        Framing::Length => connection.send_bytes(&half),
        Framing::Chunked => {
            connection.send_chunk(&half);
            connection.send_chunk(b"");
        }
    }
    connection.reply().text()
}

/// POOL-24: with the defaults, half of the threads stay free for other requests, and no upload is refused or lost.
#[test]
fn slow_uploads_leave_half_of_the_threads_to_others() {
    for framing in [Framing::Length, Framing::Chunked] {
        let (pool, server) = counting(Pool::builder().threads(4));
        let mut uploads: Vec<_> = (0..16).map(|_| begin(&server, framing)).collect();
        until("two uploads stream", || pool.stats().busy == 2);
        for _ in 0..3 {
            assert_eq!(server.get("/").text(), "0 bytes");
        }
        until("the threads of the GETs are idle", || pool.stats().busy == 2);
        assert_eq!(pool.stats().shed, 0);
        for upload in &mut uploads {
            assert_eq!(finish(upload, framing), format!("{SIZE} bytes"), "{framing:?}");
        }
    }
}

/// POOL-24: all uploads that may stream are slow, and the spool has no room for a large one: it streams at once, and a
/// thread is left for other requests. A second large one waits for the first.
#[test]
fn a_large_upload_does_not_wait_for_slow_ones() {
    const LARGE: usize = 2_000_000;
    for framing in [Framing::Length, Framing::Chunked] {
        let spool = Spool::builder().total(1_000_000).build().unwrap();
        let (pool, server) = counting(Pool::builder().threads(4).upload_spool(&spool));
        let mut slow = [(); 6].map(|()| begin(&server, framing));
        until("two uploads stream, and four are in the spool", || pool.stats().busy == 2 && spool.taken() == 400_000);
        let mut large = begin_with(&server, framing, LARGE);
        until("the large upload streams", || pool.stats().busy == 3);
        let mut second = begin_with(&server, framing, LARGE);
        for _ in 0..3 {
            assert_eq!(server.get("/").text(), "0 bytes");
        }
        until("the threads of the GETs are idle", || pool.stats().busy == 3);
        assert_eq!(finish_with(&mut large, framing, LARGE), format!("{LARGE} bytes"), "{framing:?}");
        assert_eq!(finish_with(&mut second, framing, LARGE), format!("{LARGE} bytes"), "{framing:?}");
        for upload in &mut slow {
            assert_eq!(finish(upload, framing), format!("{SIZE} bytes"), "{framing:?}");
        }
        assert_eq!(pool.stats().shed, 0);
    }
}

/// The last thread is left to other requests, so that a large upload waits. A reserved thread is no such thread.
#[test]
fn a_large_upload_does_not_take_the_last_thread() {
    for reserved in [0, 1] {
        let spool = Spool::builder().total(1000).build().unwrap();
        let (pool, server) = counting(Pool::builder().threads(3 + reserved).uploads(2).upload_spool(&spool));
        let _reserved = pool.share(Share::new().reserved_threads(reserved)).unwrap();
        let mut slow = [(); 2].map(|()| begin(&server, Framing::Length));
        until("two uploads stream", || pool.stats().busy == 2);
        let mut third = begin(&server, Framing::Length);
        for _ in 0..3 {
            assert_eq!(server.get("/").text(), "0 bytes");
        }
        until("the threads of the GETs are idle", || pool.stats().busy == 2);
        assert_eq!(finish(&mut slow[0], Framing::Length), format!("{SIZE} bytes"));
        assert_eq!(finish(&mut third, Framing::Length), format!("{SIZE} bytes"));
    }
}

/// A body that has arrived needs no permit, however large it is.
#[test]
fn a_body_returns_its_permit_when_it_is_whole() {
    let (pool, server) = counting(Pool::builder().threads(2));
    for _ in 0..5 {
        let mut upload = begin(&server, Framing::Length);
        until("the upload streams", || pool.stats().busy == 1);
        assert_eq!(finish(&mut upload, Framing::Length), format!("{SIZE} bytes"));
        until("the thread is idle", || pool.stats().busy == 0);
    }
}

/// A disconnect, and an application that does not read, release the permit, too.
#[test]
fn a_body_that_is_not_read_to_its_end_returns_its_permit() {
    let (pool, server) = counting(Pool::builder().threads(2));
    for _ in 0..3 {
        let upload = begin(&server, Framing::Length);
        until("the upload streams", || pool.stats().busy == 1);
        drop(upload);
        until("the thread is idle", || pool.stats().busy == 0);
    }
}

#[test]
fn the_number_of_streaming_uploads_can_be_set() {
    let (pool, server) = counting(Pool::builder().threads(3).uploads(3));
    let _uploads = [(); 3].map(|()| begin(&server, Framing::Length));
    until("three uploads stream", || pool.stats().busy == 3);
}

#[test]
fn a_pool_that_grows_lets_more_uploads_stream() {
    let (pool, server) = counting(Pool::builder().threads(2));
    let _first = [(); 2].map(|()| begin(&server, Framing::Length));
    until("one upload streams", || pool.stats().busy == 1);
    pool.resize(1..=8).unwrap();
    let _more = [(); 3].map(|()| begin(&server, Framing::Length));
    until("four uploads stream", || pool.stats().busy == 4);
}

/// The uploads that stream when the pool shrinks keep their threads. Those that end make no room for others.
#[test]
fn a_pool_that_shrinks_lets_fewer_uploads_stream() {
    let (pool, server) = counting(Pool::builder().threads(8));
    let mut first = [(); 4].map(|()| begin(&server, Framing::Length));
    until("four uploads stream", || pool.stats().busy == 4);
    pool.resize(1..=4).unwrap();
    for upload in &mut first {
        assert_eq!(finish(upload, Framing::Length), format!("{SIZE} bytes"));
    }
    until("the threads of the first uploads are idle", || pool.stats().busy == 0);
    let _last = [(); 4].map(|()| begin(&server, Framing::Length));
    until("two uploads stream", || pool.stats().busy == 2);
    for _ in 0..3 {
        assert_eq!(server.get("/").text(), "0 bytes");
    }
}

/// A body that is known to exceed the read-ahead waits for its end in the file, with all of its bytes.
#[test]
fn a_large_upload_without_a_permit_is_spooled_from_its_first_byte() {
    let spool = Spool::builder().build().unwrap();
    let (pool, server) = counting(Pool::builder().threads(2).upload_spool(&spool));
    let _first = begin(&server, Framing::Length);
    until("one upload streams", || pool.stats().busy == 1);
    let mut second = server.connect();
    second.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n"));
    second.send_bytes(&[b'x'; 10]);
    until("ten bytes are in the spool", || spool.taken() == 10);
    second.send_bytes(&vec![b'x'; SIZE - 10]);
    assert_eq!(second.reply().text(), format!("{SIZE} bytes"));
}

/// The input of a handler is received in the same way.
#[test]
fn slow_uploads_to_a_handler_leave_half_of_the_threads_to_others() {
    fn count(mut input: Input) -> gateway::Result<String> {
        Ok(format!("{} bytes", std::io::copy(&mut input, &mut std::io::sink())?))
    }
    let pool = Pool::builder().threads(2).build().unwrap();
    let router = Router::new().route("/", post(pool.handler(count))).fallback(any(pool.handler(|| "free")));
    let server = Server::of(router);
    let mut uploads = [(); 6].map(|()| begin(&server, Framing::Length));
    until("one upload streams", || pool.stats().busy == 1);
    assert_eq!(server.get("/other").text(), "free");
    for upload in &mut uploads {
        assert_eq!(finish(upload, Framing::Length), format!("{SIZE} bytes"));
    }
}
