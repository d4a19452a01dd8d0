//! The application under test: it reports in the header field `X-Saw` how it received each request.
//!
//! `application.py` is the same application for the other servers. The field contains the method, the path and the
//! query in hexadecimal digits, and a report on the body: `-` if the application does not read it, and otherwise the
//! number of bytes and their digest.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::any;
use gateway::{Chunks, Environ, Gateway, Pool, StartResponse, wsgi_app};
use http::{Request, Response};
use sha2::{Digest as _, Sha256};

/// The number of bytes that `/part` reads.
pub(crate) const PART: usize = 5;

/// The maximum length of a request body.
pub(crate) const BODY_LIMIT: u64 = 1 << 20;

/// More threads than concurrent connections, so that no request waits in the queue.
const THREADS: usize = 64;

/// Serves the application with the default settings of the server until a signal stops the process.
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

/// Reads the part of the body that the route selects.
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

/// An async route beside the application that does not read the body.
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

/// The part of the body that the application reads; the path selects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Whole,
    Part,
    Unread,
    Fails,
}

impl Route {
    /// The route of a decoded path; all other paths read the whole body.
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

/// The number of bytes and the first digits of their SHA-256 digest.
pub(crate) fn digest(body: &[u8]) -> String {
    format!("{}:{}", body.len(), hex(&Sha256::digest(body)[..8]))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
