//! The life of one connection.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::body::Body as AxumBody;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tower_service::Service;

use crate::serve::activity::Activity;
use crate::serve::handler::Handler;
use crate::serve::stream::Stream;
use crate::serve::{Opened, Transport};
use crate::{BoxError, LocalAddr, Tls};

/// How connections are served; shared by those of a server.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) http1: http1::Builder,
    pub(super) http2: Option<http2::Builder<TokioExecutor>>,
    pub(super) header_timeout: Duration,
    pub(super) keep_alive: Duration,
}

/// What a server asks of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Take requests.
    Serving,
    /// Finish those that have begun.
    Draining,
    /// End now.
    Cut,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself, or because nothing more came.
    Closed,
    /// Because the server had to go.
    Cut,
}

/// How long a connection has to end, once it was told to for having waited too long.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often to look at the clock at most, however short the times it measures.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// Serves one connection, from its handshake to its end.
pub(super) async fn serve<Io, S, B>(
    opening: impl Future<Output = std::io::Result<Opened<Io>>>,
    app: S,
    protocol: Arc<Protocol>,
    mut stage: watch::Receiver<Stage>,
) -> Ending
where
    Io: Transport,
    S: Service<Request<AxumBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let opening = timeout(protocol.header_timeout, open(opening, &activity, protocol.http2.is_some()));
    let opened = tokio::select! {
        // In this order, so that a request that has arrived is found.
        biased;
        opened = opening => opened,
        // Nothing was asked yet, so nothing is lost.
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return Ending::Closed,
    };
    let (stream, is_http2, facts) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection did not open");
            return Ending::Closed;
        }
        Err(_) => {
            tracing::debug!("a connection did not open in time");
            return Ending::Closed;
        }
    };
    let io = TokioIo::new(stream);
    let handler = Handler::new(app, facts, Arc::clone(&activity));
    match &protocol.http2 {
        Some(http2) if is_http2 => {
            activity.is_http2();
            let connection = http2.serve_connection(io, handler);
            drive(connection, |connection| connection.graceful_shutdown(), &activity, &protocol, stage).await
        }
        _ => {
            let connection = protocol.http1.serve_connection(io, handler).with_upgrades();
            drive(connection, |connection| connection.graceful_shutdown(), &activity, &protocol, stage).await
        }
    }
}

type Facts = (Option<SocketAddr>, Option<LocalAddr>, Option<Tls>);

/// Does what has to be done before the first request, and finds out the protocol.
async fn open<Io: Transport>(
    opening: impl Future<Output = std::io::Result<Opened<Io>>>,
    activity: &Arc<Activity>,
    may_be_http2: bool,
) -> std::io::Result<(Stream<Io>, bool, Facts)> {
    let Opened { io, peer, local, tls, is_http2 } = opening.await?;
    let mut stream = Stream::new(io, Arc::clone(activity));
    let is_http2 = match is_http2 {
        Some(known) => known,
        None => may_be_http2 && stream.speaks_http2().await?,
    };
    Ok((stream, is_http2, (peer, local, tls)))
}

/// Runs a connection to its end, while watching the time and the server. `finish` tells it to take no more requests.
async fn drive<C>(
    connection: C,
    finish: fn(Pin<&mut C>),
    activity: &Activity,
    protocol: &Protocol,
    mut stage: watch::Receiver<Stage>,
) -> Ending
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let (head, idle) = (protocol.header_timeout, protocol.keep_alive);
    // A deadline that begins between two looks at the clock is never nearer than this.
    let look = head.min(idle).max(SHORTEST_LOOK);
    let mut alarm = pin!(sleep_until(Instant::now() + look));
    let mut is_draining = false;
    let mut was_told_to_end = false;
    loop {
        tokio::select! {
            // In this order, so that what has arrived counts.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection failed");
                }
                return Ending::Closed;
            }
            stage = next(&mut stage, is_draining) => match stage {
                // All was sent; only the client has not closed its side yet.
                Stage::Cut if activity.is_finished() => return Ending::Closed,
                Stage::Cut => return Ending::Cut,
                _ => {
                    is_draining = true;
                    finish(connection.as_mut());
                }
            },
            () = alarm.as_mut() => {
                let now = Instant::now();
                let again = match activity.deadline(head, idle) {
                    Some(deadline) if deadline > now => deadline.min(now + look),
                    None => now + look,
                    Some(_) if was_told_to_end => return Ending::Closed,
                    Some(_) => {
                        was_told_to_end = true;
                        tracing::debug!("a connection has waited too long for a request");
                        finish(connection.as_mut());
                        now + FAREWELL
                    }
                };
                alarm.as_mut().reset(again);
            }
        }
    }
}

/// The next stage that a connection has to do something about.
async fn next(stage: &mut watch::Receiver<Stage>, is_draining: bool) -> Stage {
    let is_news = |stage: &Stage| *stage == Stage::Cut || *stage == Stage::Draining && !is_draining;
    match stage.wait_for(is_news).await {
        Ok(stage) => *stage,
        // The server itself is gone.
        Err(_) => Stage::Cut,
    }
}
