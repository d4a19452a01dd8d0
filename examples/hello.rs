//! The smallest server: a handler and an application that may block, and an async route beside them.
//!
//! ```sh
//! mkdir -p notes; echo 'buy tea' > notes/1.txt; cargo run --release --example hello
//! curl -i http://127.0.0.1:8000/notes/1            # "buy tea", from a thread of the pool
//! curl http://127.0.0.1:8000/squares | tail -1     # 999998000001
//! curl http://127.0.0.1:8000/                      # "async neighbours stay async", from the runtime
//! ```
//!
//! A handler takes axum's extractors and returns a response. An application takes the request, calls `start_response`
//! with a status and headers, and returns its body in chunks, which are sent while they are made.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use gateway::{Environ, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(64).queue(256).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    Router::new()
        .route("/", get(|| async { "async neighbours stay async\n" }))
        .route("/notes/{id}", get(pool.handler(note)))
        .route("/squares", get(pool.mount(squares)))
}

/// A handler. It blocks: on the disk here, or on a database.
fn note(Path(id): Path<u32>) -> gateway::Result<String> {
    Ok(std::fs::read_to_string(format!("notes/{id}.txt"))?)
}

/// An application. Its body is pulled chunk by chunk, as fast as the client reads.
#[wsgi_app]
fn squares(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = String>> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok((0..1_000_000_u64).map(|n| format!("{}\n", n * n)))
}

#[cfg(test)]
mod tests {
    use gateway::testing::Client;

    use super::*;

    /// The application alone, without router, runtime and network.
    #[test]
    fn the_last_square_is_sent() {
        let text = Client::new(squares).get("/squares").text();
        assert!(text.starts_with("0\n1\n4\n") && text.ends_with("\n999998000001\n"));
    }

    #[test]
    fn every_route_answers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("notes")).unwrap();
        std::fs::write(folder.path().join("notes/1.txt"), "buy tea\n").unwrap();
        std::env::set_current_dir(&folder).unwrap();
        let client = Client::router(app(&Pool::builder().threads(1).build().unwrap()));
        assert_eq!(client.get("/").text(), "async neighbours stay async\n");
        assert_eq!(client.get("/notes/1").text(), "buy tea\n");
        assert_eq!(client.get("/notes/one").status(), 400);
        assert_eq!(client.get("/squares").bytes().len(), 12_537_523);
    }
}
