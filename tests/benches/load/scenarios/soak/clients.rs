//! The clients of the soak: each sends one request in each period, and counts how it ended.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use gateway_tests::frames::Frame;
use gateway_tests::frames::kind::{GOAWAY, HEADERS, RST_STREAM};
use gateway_tests::frames::read_frame;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::kinds::{KINDS, Kind, Way};
use super::ledger::{End, Ends};
use crate::client::{Connection, Outcome, get, post_head};
use crate::dice::Dice;
use crate::frames;

/// The bound of one request.
const LONGEST: Duration = Duration::from_secs(60);

/// The length of the uploads that take their time.
const UPLOAD: usize = 32_000;

/// Longer than the server waits for a client that takes nothing.
const STALL: Duration = Duration::from_secs(3);

/// The connection of a client, for its next request.
enum Spare {
    None,
    Http1(Connection),
    Http2(BufReader<TcpStream>, u32),
}

/// Runs all clients for a time, and returns the number of their requests by mount and end.
pub(super) async fn ask(address: SocketAddr, length: Duration, seed: u64) -> anyhow::Result<Ends> {
    let end = Instant::now() + length;
    let stream = TcpStream::connect(address).await?;
    let (http2, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut clients = JoinSet::new();
    let mut number = seed * 1_000;
    for kind in KINDS {
        for client in 0..kind.clients {
            number += 1;
            // Evenly spaced.
            let first = Instant::now() + kind.period * client / kind.clients;
            clients.spawn(run(address, http2.clone(), kind, Dice::new(number), first, end));
        }
    }
    // The connection ends with its last client.
    drop(http2);
    let mut all = Ends::default();
    while let Some(ends) = clients.join_next().await {
        all.add(&ends??);
    }
    timeout(LONGEST, connection).await.context("the connection of HTTP/2 does not end")???;
    Ok(all)
}

async fn run(
    address: SocketAddr,
    mut http2: SendRequest<Empty<Bytes>>,
    kind: Kind,
    mut dice: Dice,
    first: Instant,
    end: Instant,
) -> anyhow::Result<Ends> {
    let mut ends = Ends::default();
    let mut spare = Spare::None;
    let mut ticks = interval_at(first, kind.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while ticks.tick().await < end {
        let once = async {
            match kind.way {
                Way::Http2(target) => exchange_http2(&mut http2, address, target(&mut dice)).await,
                _ => send(address, &kind, &mut dice, &mut spare).await,
            }
        };
        let ended = timeout(LONGEST, once).await.with_context(|| format!("{}: timeout", kind.mount))?;
        ends.count(kind.mount, ended.with_context(|| kind.mount)?);
    }
    Ok(ends)
}

/// Sends one request on HTTP/1, or raw frames.
async fn send(address: SocketAddr, kind: &Kind, dice: &mut Dice, spare: &mut Spare) -> anyhow::Result<End> {
    if matches!(kind.way, Way::Reset) {
        return reset(address, &kind.target(), spare).await;
    }
    let mut connection = match std::mem::replace(spare, Spare::None) {
        Spare::Http1(connection) => connection,
        _ if matches!(kind.way, Way::Stall) => Connection::open_narrow(address).await?,
        _ => Connection::open(address).await?,
    };
    let outcome = match kind.way {
        Way::Leave | Way::Stall => {
            connection.send(&get(&kind.target())).await?;
            match connection.reply_head().await? {
                200 => {}
                // Its body is left in the connection, which is not used again.
                status => return Ok(End::Status(status)),
            }
            if matches!(kind.way, Way::Leave) {
                connection.reset();
            } else {
                sleep(STALL).await;
                connection.closed().await;
            }
            return Ok(End::Left);
        }
        Way::Vanish => {
            connection.send(&get(&kind.target())).await?;
            return Ok(End::Vanished);
        }
        Way::CutUpload => {
            connection.send(&post_head(&kind.target(), UPLOAD)).await?;
            connection.send(&[b'x'; UPLOAD / 2]).await?;
            return Ok(End::Vanished);
        }
        Way::StalledUpload => {
            connection.send(&post_head(&kind.target(), UPLOAD)).await?;
            connection.send(&[b'x'; UPLOAD / 2]).await?;
            connection.reply().await
        }
        Way::SlowUpload => {
            connection.send(&post_head(&kind.target(), UPLOAD)).await?;
            for _ in 0..20 {
                sleep(Duration::from_millis(100)).await;
                // If the server has refused the request, its response is there to be read.
                if connection.send(&[b'x'; UPLOAD / 20]).await.is_err() {
                    break;
                }
            }
            connection.reply().await
        }
        Way::Exchange(request) => connection.exchange(&request(dice)).await,
        Way::Http2(_) | Way::Reset => anyhow::bail!("no request of HTTP/1"),
    };
    Ok(match outcome {
        Outcome::Answered(reply) => {
            if !reply.closes {
                *spare = Spare::Http1(connection);
            }
            End::Status(reply.status)
        }
        Outcome::Cut => End::Cut,
        Outcome::Unanswered => End::Unanswered,
    })
}

async fn exchange_http2(
    client: &mut SendRequest<Empty<Bytes>>,
    address: SocketAddr,
    target: &str,
) -> anyhow::Result<End> {
    client.ready().await?;
    let request = Request::get(format!("http://{address}{target}")).body(Empty::new())?;
    let Ok(response) = client.send_request(request).await else {
        // A reset that comes with the head of the response hides it. The connection goes on.
        return Ok(if client.ready().await.is_ok() { End::Cut } else { End::Unanswered });
    };
    let status = response.status().as_u16();
    Ok(match response.into_body().collect().await {
        Ok(_) => End::Status(status),
        Err(_) => End::Cut,
    })
}

/// Resets a stream after the head of its response. The window of the stream is too small for the body.
async fn reset(address: SocketAddr, target: &str, spare: &mut Spare) -> anyhow::Result<End> {
    let (mut connection, stream) = match std::mem::replace(spare, Spare::None) {
        Spare::Http2(connection, stream) => (connection, stream),
        _ => (frames::open_shut(address).await?, 1),
    };
    connection.write_all(&frames::headers(stream, target)).await?;
    let ended = loop {
        let Frame { kind, stream: of, payload, .. } = read_frame(&mut connection).await?;
        match kind {
            // Status 200 has index 8 in the static HPACK table.
            HEADERS if of == stream && payload.first() == Some(&0x88) => break End::Left,
            // Only a full pool answers otherwise.
            HEADERS if of == stream => break End::Status(503),
            GOAWAY => break End::Unanswered,
            RST_STREAM if of == stream => break End::Unanswered,
            _ => {}
        }
    };
    connection.write_all(&frames::cancel(stream)).await?;
    *spare = Spare::Http2(connection, stream + 2);
    Ok(ended)
}
