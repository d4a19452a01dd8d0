//! The life of one connection.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::body::Body as AxumBody;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Duration, sleep_until, timeout};
use tower_service::Service;

use crate::serve::activity::Activity;
use crate::serve::aside::Aside;
use crate::serve::handler::Handler;
use crate::serve::stream::Stream;
use crate::serve::warden::{Duty, FAREWELL, Warden};
use crate::serve::{Opened, Transport};
use crate::{BoxError, LocalAddr, Tls};

/// How connections are served; shared by those of a server.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) http1: http1::Builder,
    pub(super) http2: Option<http2::Builder<TokioExecutor>>,
    pub(super) half_close: bool,
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

/// Serves one connection, from its handshake to its end.
///
/// hyper keeps two buffers for a connection on HTTP/1, 24 KiB in all, and gives neither back. So it is given the connection only while there
/// is something to do: until the first byte has come, and again after a while without a request, all that is left is the task, and hyper's part
/// has a box of its own.
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
    let activity = Arc::new(Activity::new(protocol.half_close));
    let opening = timeout(protocol.header_timeout, open(opening, &activity, protocol.http2.is_some()));
    let opened = tokio::select! {
        // In this order, so that a request that has arrived is found.
        biased;
        opened = opening => opened,
        // Nothing was asked yet, so nothing is lost.
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return Ending::Closed,
    };
    let (mut stream, is_http2, facts) = match opened {
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
    let handler = Handler::new(app, facts, Arc::clone(&activity));
    if let Some(http2) = protocol.http2.as_ref().filter(|_| is_http2) {
        activity.is_http2();
        let connection = http2.serve_connection(TokioIo::new(stream), handler);
        let driven = drive(connection, |connection| connection.graceful_shutdown(), &activity, &protocol, &mut stage);
        return Box::pin(driven).await.unwrap_or(Ending::Closed);
    }
    loop {
        let shelf = stream.shelf();
        let connection = protocol.http1.serve_connection(TokioIo::new(stream), handler.clone()).with_upgrades();
        let driven = drive(connection, |connection| connection.graceful_shutdown(), &activity, &protocol, &mut stage);
        if let Some(ending) = Box::pin(driven).await {
            return ending;
        }
        let Some(rested) = shelf.take(&activity) else { return Ending::Closed };
        stream = rested;
        if !rest(&mut stream, &activity, &protocol, &mut stage).await {
            return Ending::Closed;
        }
    }
}

type Facts = (Option<SocketAddr>, Option<LocalAddr>, Option<Tls>);

/// Does what has to be done before the first request, finds out the protocol, and waits until something was said.
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
    if !is_http2 {
        stream.listen().await?;
    }
    Ok((stream, is_http2, (peer, local, tls)))
}

/// Waits for the next request on a connection that was put away. Says whether there is one; if not, the connection has ended.
async fn rest<Io: Transport>(
    stream: &mut Stream<Io>,
    activity: &Activity,
    protocol: &Protocol,
    stage: &mut watch::Receiver<Stage>,
) -> bool {
    let deadline = activity.deadline(protocol.header_timeout, protocol.keep_alive);
    let over = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // In this order, so that a request that has arrived is found.
        biased;
        heard = stream.listen() => match heard {
            Ok(is_there) if is_there => return true,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a connection failed");
                return false;
            }
        },
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => {}
        () = over => tracing::debug!("a connection has waited too long for a request"),
    }
    // Whatever comes of it, the connection is dropped.
    let _ = timeout(FAREWELL, stream.shutdown()).await;
    false
}

/// Runs a connection to its end, while watching the time and the server. `finish` tells it to take no more requests.
/// `None` if it was put away instead, because nothing happens on it.
async fn drive<C>(
    connection: C,
    finish: fn(Pin<&mut C>),
    activity: &Activity,
    protocol: &Protocol,
    stage: &mut watch::Receiver<Stage>,
) -> Option<Ending>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut warden = Warden::new(activity, protocol, stage);
    loop {
        let duty = tokio::select! {
            // In this order, so that what has arrived counts.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection failed");
                }
                return Some(Ending::Closed);
            }
            duty = Aside::new(warden.duty()) => duty,
        };
        match duty {
            Duty::Finish => finish(connection.as_mut()),
            Duty::End(ending) => return Some(ending),
            Duty::PutAway => return None,
        }
    }
}
