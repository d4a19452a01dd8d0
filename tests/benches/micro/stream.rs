//! The cost of a chunk in a response of a thousand chunks.
//!
//! The gateway buffers up to 256 KiB that the client has not read: 4 chunks of 64 KiB, or 256 of 1 KiB. The tokio
//! channel buffers 4 chunks of either size. No chunk is copied.

use std::convert::Infallible;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use futures_util::stream;
use gateway::{Environ, Gateway, StartResponse, wsgi_app};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;
use tower::Service as _;

use crate::hop::{pool, request};
use crate::runtimes;

const CHUNKS: usize = 1000;

static SMALL: [u8; 1024] = [b'x'; 1024];
static LARGE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

#[wsgi_app]
fn small(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = Bytes>> {
    start_response("200 OK", &[])?;
    Ok(chunks(&SMALL))
}

#[wsgi_app]
fn large(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = Bytes>> {
    start_response("200 OK", &[])?;
    Ok(chunks(&LARGE))
}

fn chunks(chunk: &'static [u8]) -> impl Iterator<Item = Bytes> {
    std::iter::repeat_n(Bytes::from_static(chunk), CHUNKS)
}

pub(crate) fn measure(criterion: &mut Criterion) {
    let sizes: [(&str, &'static [u8], Gateway); 2] =
        [("1 KiB", &SMALL, Gateway::new(small)), ("64 KiB", &LARGE, Gateway::new(large))];
    let pool = pool(2);
    for (flavour, runtime) in runtimes() {
        for &(size, chunk, ref gateway) in &sizes {
            let mut group = criterion.benchmark_group(format!("stream/{flavour}/{size}"));
            group.throughput(Throughput::Elements(CHUNKS as u64));
            let gateway = gateway.clone().pool(&pool);
            group.bench_function("gateway", |bencher| {
                bencher.iter(|| {
                    let mut gateway = gateway.clone();
                    let client = runtime.spawn(async move {
                        let response = gateway.call(request()).await.unwrap_or_else(|never| match never {});
                        taken(response.into_body()).await
                    });
                    let taken = runtime.block_on(client).expect("the client does not panic");
                    assert_eq!(taken, CHUNKS * chunk.len());
                });
            });
            group.bench_function("channel", |bencher| {
                bencher.iter(|| {
                    let client = runtime.spawn(async move { taken(by_channel(chunk)).await });
                    let taken = runtime.block_on(client).expect("the client does not panic");
                    assert_eq!(taken, CHUNKS * chunk.len());
                });
            });
        }
    }
}

/// A tokio blocking thread sends the chunks through a channel.
fn by_channel(chunk: &'static [u8]) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
    let (sender, mut receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        for chunk in chunks(chunk) {
            sender.blocking_send(Ok(Frame::data(chunk))).expect("the client takes all");
        }
    });
    StreamBody::new(stream::poll_fn(move |cx| receiver.poll_recv(cx)))
}

/// Reads a body to its end, and returns its length.
async fn taken<B>(mut body: B) -> usize
where
    B: Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    let mut taken = 0;
    while let Some(frame) = body.frame().await {
        taken += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
    }
    taken
}
