//! The smallest server: one application that may block, and an async route beside it.
//!
//! ```sh
//! cargo run --release --example hello
//! curl -i http://127.0.0.1:8000/hello     # "Hello, 127.0.0.1!", from a thread of the pool
//! curl http://127.0.0.1:8000/             # "async neighbours stay async", from the runtime
//! ```
//!
//! An application takes the request, calls `start_response` with a status and headers, and returns its body as a list
//! of chunks. This list has one chunk, so the length is known, and the gateway adds the `content-length` that `-i`
//! shows.

use axum::Router;
use axum::routing::get;
use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(64).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    Router::new()
        .route("/", get(|| async { "async neighbours stay async\n" }))
        .route_service("/hello", Gateway::new(hello).pool(pool))
}

/// Greets the caller. The fn could query a database first, because it may block its thread.
#[wsgi_app]
fn hello(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok([format!("Hello, {}!\n", environ.get("REMOTE_ADDR").unwrap_or("stranger"))])
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use gateway::testing::Client;
    use tower::ServiceExt as _;

    use super::*;

    /// The application alone, without router, runtime and network.
    #[test]
    fn a_stranger_is_greeted() {
        let response = Client::new(hello).get("/hello");
        assert_eq!((response.status().as_u16(), response.text().as_str()), (200, "Hello, stranger!\n"));
        assert_eq!(response.headers()["content-length"], "17");
    }

    #[tokio::test]
    async fn both_routes_answer() {
        let app = app(&Pool::builder().threads(1).build().unwrap());
        for (path, text) in [("/", "async neighbours stay async\n"), ("/hello", "Hello, stranger!\n")] {
            let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), text);
        }
    }
}
