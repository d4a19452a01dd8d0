//! The application under test: it tells the client what it has seen of each request, in the field `X-Saw`.
//!
//! `application.py` is the same for the other servers. The answer says the method, the path and the query in
//! hexadecimal digits, and what was read of the body: `-` where nothing is read, else the number of bytes and their
//! digest.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::any;
use gateway::{Chunks, Environ, Gateway, Pool, StartResponse, wsgi_app};
use http::{Request, Response};
use sha2::{Digest as _, Sha256};

/// How much `/part` reads.
pub(crate) const PART: usize = 5;

/// The largest body that the application takes.
pub(crate) const BODY_LIMIT: u64 = 1 << 20;

/// More threads than connections that are open at once, so that no request waits for a thread.
const THREADS: usize = 64;

/// Serves the application with the server's defaults until the process is told to stop.
pub(crate) async fn serve(port: u16) -> anyhow::Result<()> {
    let pool = Pool::builder().threads(THREADS).build()?;
    let app = Router::new()
        .route("/async/{*rest}", any(unread))
        .fallback_service(Gateway::new(see).pool(&pool).body_limit(BODY_LIMIT));
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    gateway::serve(listener, app)
        .pool(&pool)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    Ok(())
}

/// Reads what the route asks for.
#[wsgi_app]
fn see<'r>(environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
    let method = environ.method().to_string();
    let path = environ.get_bytes("PATH_INFO").unwrap_or_default().into_owned();
    let query = environ.query().to_owned();
    let body = match Route::of(&path) {
        Route::Whole => digest(&environ.input().read_all()?),
        Route::Part => {
            let mut part = Vec::new();
            while part.len() < PART {
                let piece = environ.input().read_up_to(PART - part.len())?;
                if piece.is_empty() {
                    break;
                }
                part.extend(piece);
            }
            digest(&part)
        }
        Route::Unread => "-".to_owned(),
        Route::Fails => return Err(gateway::Error::new("the application fails, as asked")),
    };
    let saw = format!("{method} {} {} {body}", hex(&path), hex(query.as_bytes()));
    start_response("200 OK", &[("Content-Type", "text/plain"), ("Content-Length", "5"), ("X-Saw", &saw)])?;
    Ok(Chunks::new(["seen\n"]))
}

/// An async neighbour of the application that does not touch the body.
async fn unread(request: Request<axum::body::Body>) -> Response<String> {
    let (method, uri) = (request.method(), request.uri());
    let path: Vec<u8> = percent_encoding::percent_decode_str(uri.path()).collect();
    let saw = format!("{method} {} {} -", hex(&path), hex(uri.query().unwrap_or("").as_bytes()));
    let mut response = Response::new("seen\n".to_owned());
    if let Ok(saw) = saw.parse() {
        response.headers_mut().insert("x-saw", saw);
    }
    response
}

/// What the application does with the body; the path says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Whole,
    Part,
    Unread,
    Fails,
}

impl Route {
    /// The route of a decoded path; everything else reads the whole body.
    pub(crate) fn of(path: &[u8]) -> Self {
        let names = |name: &[u8]| path.windows(name.len()).any(|window| window == name);
        if names(b"/skip/") || names(b"/async/") {
            Self::Unread
        } else if names(b"/part/") {
            Self::Part
        } else if names(b"/fail/") {
            Self::Fails
        } else {
            Self::Whole
        }
    }
}

/// The number of bytes and the first digits of their SHA-256.
pub(crate) fn digest(body: &[u8]) -> String {
    format!("{}:{}", body.len(), hex(&Sha256::digest(body)[..8]))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
