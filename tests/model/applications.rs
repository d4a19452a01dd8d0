//! The applications behind the server: they read and answer in different ways, and each defines its expected answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::routing::any;
use futures_util::StreamExt as _;
use gateway::testing::Inline;
use gateway::{Accepted, Chunks, Environ, Executor, Gateway, Job, Refused, application_fn};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::Service as _;
use tower::util::BoxCloneSyncService;

use crate::link::Clock;
use crate::sequence::Settings;
use crate::threads::Threads;

/// A request that reached the router.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) connection: usize,
    pub(crate) target: String,
    pub(crate) at: u64,
}

/// What the applications of one run record.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) calls: Mutex<Vec<Call>>,
    /// The bodies that were read completely: the client, the target and the length of each.
    pub(crate) bodies: Mutex<Vec<(usize, String, usize)>>,
    /// Bodies that are kept until the run ends.
    pub(crate) kept: Mutex<Vec<Body>>,
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
}

impl Ledger {
    fn read(&self, peer: Option<SocketAddr>, target: &str, body: &[u8]) {
        let client = peer.map_or(usize::MAX, |peer| usize::from(peer.port()));
        self.bodies.lock().expect("no panic").push((client, target.to_owned(), body.len()));
    }
}

/// A body that counts its close.
struct Counted(Arc<Ledger>);

impl Counted {
    fn open(ledger: &Arc<Ledger>) -> Self {
        ledger.opened.fetch_add(1, SeqCst);
        Self(Arc::clone(ledger))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, SeqCst);
    }
}

/// How an application treats its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Answers without reading the body.
    Ignore,
    /// Reads the whole body and answers with its length.
    Read,
    /// Reads the first ten bytes of the body.
    Some,
    Echo,
    /// Echoes the body while it reads it.
    EchoStream,
    /// Sends a large body in small chunks.
    Stream,
    /// Fails before the first byte of the answer; `FailLate` fails within the body.
    Fail,
    FailLate,
    Panic,
    /// The same, as async routes of axum.
    AsyncIgnore,
    AsyncRead,
    AsyncEcho,
    AsyncStream,
    /// Takes three seconds, and does not read the body.
    AsyncSlow,
    AsyncFailLate,
    /// Answers, and keeps the body unread.
    AsyncKeep,
}

impl Route {
    pub(crate) const ALL: [Self; 16] = [
        Self::Ignore,
        Self::Read,
        Self::Some,
        Self::Echo,
        Self::EchoStream,
        Self::Stream,
        Self::Fail,
        Self::FailLate,
        Self::Panic,
        Self::AsyncIgnore,
        Self::AsyncRead,
        Self::AsyncEcho,
        Self::AsyncStream,
        Self::AsyncSlow,
        Self::AsyncFailLate,
        Self::AsyncKeep,
    ];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Ignore => "/ignore",
            Self::Read => "/read",
            Self::Some => "/some",
            Self::Echo => "/echo",
            Self::EchoStream => "/echo-stream",
            Self::Stream => "/stream",
            Self::Fail => "/fail",
            Self::FailLate => "/fail-late",
            Self::Panic => "/panic",
            Self::AsyncIgnore => "/a-ignore",
            Self::AsyncRead => "/a-read",
            Self::AsyncEcho => "/a-echo",
            Self::AsyncStream => "/a-stream",
            Self::AsyncSlow => "/a-slow",
            Self::AsyncFailLate => "/a-fail-late",
            Self::AsyncKeep => "/a-keep",
        }
    }

    pub(crate) fn of(target: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| target.strip_prefix(route.path()).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The route is served by the gateway, not by an async axum handler.
    pub(crate) fn is_blocking(self) -> bool {
        !self.path().starts_with("/a-")
    }

    /// The route reads at least a part of the body.
    pub(crate) fn reads_at_all(self) -> bool {
        self.reads() || matches!(self, Self::AsyncRead | Self::AsyncEcho)
    }

    fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Some | Self::Echo | Self::EchoStream)
    }

    /// The whole body of the route's 200 answer to this target and body, or `None` if the route never completes an
    /// answer.
    pub(crate) fn answer(self, target: &str, body: &[u8]) -> Option<Vec<u8>> {
        let mut answer = format!("{target} ").into_bytes();
        match self {
            Self::Ignore | Self::AsyncIgnore | Self::AsyncSlow | Self::AsyncKeep => answer.extend(b"ignored"),
            Self::Read | Self::AsyncRead => answer.extend(format!("{}", body.len()).bytes()),
            Self::Some => answer.extend(format!("{}", body.len().min(10)).bytes()),
            Self::Echo | Self::EchoStream | Self::AsyncEcho => answer.extend(body),
            Self::Stream => answer.extend([b'x'; 1024].repeat(STREAMED)),
            Self::AsyncStream => answer.extend([b'x'; 1024].repeat(STREAMED_SLOWLY)),
            Self::Fail | Self::Panic | Self::FailLate | Self::AsyncFailLate => return None,
        }
        Some(answer)
    }

    /// The duration of the route in milliseconds.
    pub(crate) fn duration(self) -> u64 {
        match self {
            Self::AsyncSlow => 3000,
            Self::AsyncStream => 500 * STREAMED_SLOWLY as u64,
            _ => 0,
        }
    }
}

const STREAMED: usize = 64;
const STREAMED_SLOWLY: usize = 6;

/// How long an async route waits for the next bytes of a body. The server's body timeout does not apply to async
/// routes.
pub(crate) const ASYNC_BODY_IDLE: Duration = Duration::from_secs(20);

/// Runs each job immediately on the runtime's thread, for applications that never block. The gateway does not know this
/// executor, so it does not read bodies ahead.
struct AtOnce;

#[async_trait]
impl Executor for AtOnce {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        job.run();
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        job.run();
        Ok(Accepted::at_once())
    }
}

fn target(environ: &Environ) -> String {
    environ.uri().path().to_owned()
}

/// The chunks of an application's body. The ledger counts their close.
fn chunks<'r>(counted: Counted, items: impl IntoIterator<Item = gateway::Result<Vec<u8>>, IntoIter: 'r>) -> Chunks<'r> {
    let mut items = items.into_iter();
    Chunks::new(std::iter::from_fn(move || {
        let _ = &counted;
        items.next()
    }))
}

fn broken() -> gateway::Error {
    std::io::Error::other("the application fails").into()
}

/// An application that treats requests as `route` says.
fn application(route: Route, ledger: Arc<Ledger>) -> impl gateway::Application {
    application_fn(move |environ, start_response| {
        let target = target(environ);
        let counted = Counted::open(&ledger);
        let body = match route {
            Route::Read | Route::Echo => {
                let body = environ.input().read_all()?;
                ledger.read(environ.remote_addr(), &target, &body);
                body
            }
            Route::Some => environ.input().read_up_to(10)?,
            Route::Fail => return Err(broken()),
            Route::Panic => panic!("the application panics"),
            _ => Vec::new(),
        };
        start_response("200 OK", &[("Content-Type", "text/plain")])?;
        Ok(match route {
            Route::EchoStream => {
                let input = environ.take_input().into_chunks(1000);
                let first = std::iter::once(Ok(format!("{target} ").into_bytes()));
                chunks(counted, first.chain(input.map(|chunk| Ok(chunk?.to_vec()))))
            }
            Route::Stream => {
                let first = std::iter::once(Ok(format!("{target} ").into_bytes()));
                chunks(counted, first.chain((0..STREAMED).map(|_| Ok(vec![b'x'; 1024]))))
            }
            Route::FailLate => chunks(counted, [Ok(vec![b'x'; 1024]), Ok(vec![b'x'; 1024]), Err(broken())]),
            route => chunks(counted, [Ok(route.answer(&target, &body).unwrap_or_default())]),
        })
    })
}

/// Reads the whole body, with a timeout for each frame.
async fn read_all(body: Body) -> Result<Vec<u8>, StatusCode> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    loop {
        match tokio::time::timeout(ASYNC_BODY_IDLE, stream.next()).await {
            Ok(Some(Ok(bytes))) => all.extend_from_slice(&bytes),
            Ok(Some(Err(_))) => return Err(StatusCode::BAD_REQUEST),
            Ok(None) => return Ok(all),
            Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
        }
    }
}

async fn handle(route: Route, ledger: Arc<Ledger>, request: Request<Body>) -> Response<Body> {
    let target = request.uri().path().to_owned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let counted = Counted::open(&ledger);
    let chunk = || Ok(Bytes::from(vec![b'x'; 1024]));
    let first = Ok::<_, std::io::Error>(Bytes::from(format!("{target} ")));
    match route {
        Route::AsyncEcho => {
            let body = Box::pin(request.into_body().into_data_stream());
            let rest = futures_util::stream::unfold((body, counted), |(mut body, counted)| async move {
                let piece = match tokio::time::timeout(ASYNC_BODY_IDLE, body.next()).await {
                    Ok(piece) => piece?.map_err(std::io::Error::other),
                    Err(late) => Err(late.into()),
                };
                Some((piece, (body, counted)))
            });
            Response::new(Body::from_stream(futures_util::stream::iter([first]).chain(rest)))
        }
        Route::AsyncStream => {
            let rest = futures_util::stream::unfold((0, counted), move |(count, counted)| async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                (count < STREAMED_SLOWLY).then(|| (chunk(), (count + 1, counted)))
            });
            Response::new(Body::from_stream(futures_util::stream::iter([first]).chain(rest)))
        }
        Route::AsyncFailLate => {
            let failure = Err(std::io::Error::other("the route fails"));
            Response::new(Body::from_stream(futures_util::stream::iter([first, chunk(), failure])))
        }
        route => {
            let body = match route {
                Route::AsyncRead => match read_all(request.into_body()).await {
                    Ok(body) => {
                        ledger.read(peer, &target, &body);
                        body
                    }
                    Err(status) => {
                        let mut response = Response::new(Body::empty());
                        *response.status_mut() = status;
                        return response;
                    }
                },
                _ => {
                    match route {
                        Route::AsyncSlow => tokio::time::sleep(Duration::from_secs(3)).await,
                        Route::AsyncKeep => ledger.kept.lock().expect("no panic").push(request.into_body()),
                        _ => {}
                    }
                    Vec::new()
                }
            };
            Response::new(Body::from(route.answer(&target, &body).unwrap_or_default()))
        }
    }
}

pub(crate) type App = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The router. It records every request in the ledger, and each answer contains the target of its request.
pub(crate) fn app(settings: &Settings, ledger: &Arc<Ledger>, clock: &Clock, threads: &Threads) -> App {
    let mut router = Router::new();
    for route in Route::ALL {
        let path = format!("{}/{{id}}", route.path());
        if !route.is_blocking() {
            let ledger = Arc::clone(ledger);
            router = router.route(&path, any(move |request| handle(route, ledger, request)));
            continue;
        }
        let gateway = Gateway::new(application(route, Arc::clone(ledger)))
            .body_limit(settings.body_limit)
            .read_ahead(settings.read_ahead)
            .body_idle(Duration::from_millis(settings.body_idle))
            .write_stall(Duration::from_millis(settings.write_stall))
            .response_buffer(settings.response_buffer);
        // Without threads, an application that reads or sends more than the buffers hold would block its own thread.
        let gateway = match (settings.threads, route.reads()) {
            (true, _) => gateway.executor(threads.clone()),
            (false, true) => gateway.executor(Inline::new()),
            (false, false) => gateway.response_buffer(usize::MAX).executor(AtOnce),
        };
        router = router.route_service(&path, gateway);
    }
    let router = router.with_state(());
    let (ledger, clock) = (Arc::clone(ledger), clock.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let target = request.uri().path().to_owned();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(0, |peer| peer.0.port());
        let call = Call { connection: usize::from(peer), target: target.clone(), at: clock.now() };
        ledger.calls.lock().expect("no panic").push(call);
        let mut router = router.clone();
        async move {
            let mut response = router.call(request).await?;
            if let Ok(id) = HeaderValue::from_str(&target) {
                response.headers_mut().insert("x-id", id);
            }
            Ok(response)
        }
    });
    BoxCloneSyncService::new(service)
}
