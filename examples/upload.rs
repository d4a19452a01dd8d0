//! Request bodies: streamed or spooled, and in both cases within a limit.
//!
//! ```sh
//! cargo run --release --example upload
//! head -c 50M /dev/zero > zeros
//! curl -T zeros http://127.0.0.1:8000/streamed                                 # 52428800 bytes (52428800 declared), 8565a714…
//! curl -T - http://127.0.0.1:8000/streamed < zeros                             # 52428800 bytes (length not declared), 8565a714…
//! curl -T - http://127.0.0.1:8000/spooled < zeros                              # 52428800 bytes (52428800 declared), 8565a714…
//! curl -d $'a\nlonger\nb' http://127.0.0.1:8000/lines                          # 3 lines, the longest has 6 bytes
//! curl -d "$(seq 20000)" http://127.0.0.1:8000/lines                           # 413, "Payload Too Large"
//! curl -T zeros --limit-rate 5M http://127.0.0.1:8000/streamed & sleep 1; curl http://127.0.0.1:8000/pool    # 1 busy
//! curl -T zeros --limit-rate 5M http://127.0.0.1:8000/spooled & sleep 1; curl http://127.0.0.1:8000/pool     # 0 busy
//! ```
//!
//! The last two show the use of a spool: a slow client occupies a thread while its body streams, and only a file while
//! its body is spooled. In both cases memory stays constant, whatever the size of the body.

use std::io::{self, BufRead as _};

use axum::Router;
use axum::routing::get;
use gateway::{Environ, Gateway, Pool, Spool, StartResponse, wsgi_app};
use sha2::{Digest as _, Sha256};

#[tokio::main]
async fn main() -> io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)?).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> io::Result<Router> {
    // For all bodies of the mount together; if the spool is full, a body gets 503.
    let spool = Spool::builder().total(4 << 30).build()?;
    let gateway = Gateway::new(digest).body_limit(1 << 30).pool(pool);
    let figures = pool.clone();
    Ok(Router::new()
        .route_service("/streamed", gateway.clone())
        .route_service("/spooled", gateway.spool(&spool))
        .route_service("/lines", Gateway::new(lines).body_limit(64 << 10).pool(pool))
        .route("/pool", get(|| async move { format!("{} busy\n", figures.stats().busy) })))
}

/// Hashes the body. Every failure to read is an error, so a digest always covers the whole body.
#[wsgi_app]
fn digest(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let declared = match environ.content_length() {
        Some(length) => format!("{length} declared"),
        None => "length not declared".to_owned(),
    };
    let mut hash = Sha256::new();
    let mut bytes = 0;
    // `Input` is a `Read`, which `io::copy` takes without copying the input's chunks.
    for chunk in environ.input().chunks(64 << 10) {
        let chunk = chunk?;
        bytes += chunk.len();
        hash.update(&chunk);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([format!("{bytes} bytes ({declared}), {hash}\n")])
}

/// Counts lines. A body that is over the limit, truncated or too slow is a read error, which `?` turns into 413, 400 or
/// 408.
#[wsgi_app]
fn lines(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let (mut count, mut longest) = (0, 0);
    for line in environ.input().lines() {
        count += 1;
        longest = longest.max(line?.len());
    }
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([format!("{count} lines, the longest has {longest} bytes\n")])
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use gateway::testing::Client;
    use tower::ServiceExt as _;

    use super::*;

    const HASH_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[tokio::test]
    async fn a_spooled_body_has_a_length_though_none_was_declared() {
        let app = app(&Pool::builder().threads(1).build().unwrap()).unwrap();
        for (path, declared) in [("/streamed", "length not declared"), ("/spooled", "3 declared")] {
            let response = app.clone().oneshot(Request::put(path).body(Body::from("abc")).unwrap()).await.unwrap();
            let text = to_bytes(response.into_body(), 1000).await.unwrap();
            assert_eq!(text, format!("3 bytes ({declared}), {HASH_OF_ABC}\n"));
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_the_frames() {
        let response = Client::new(digest).request("PUT", "/").body("abc").body_frames(1).send();
        assert_eq!(response.text(), format!("3 bytes (3 declared), {HASH_OF_ABC}\n"));
    }

    #[test]
    fn a_body_that_is_cut_short_has_no_digest() {
        let response = Client::new(digest).request("PUT", "/").body("abc").cut_body_after(2).send();
        assert_eq!(response.status(), 400);
    }

    #[test]
    fn lines_are_counted_up_to_the_limit() {
        let client = Client::of(Gateway::new(lines).body_limit(10));
        assert_eq!(client.post("/", "a\nlonger\nb").text(), "3 lines, the longest has 6 bytes\n");
        assert_eq!(client.post("/", "a\nlonger\nb\n").status(), 413);
    }
}
