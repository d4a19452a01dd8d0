//! One application in every kind of mount, and its `SCRIPT_NAME` and `PATH_INFO`.
//!
//! ```sh
//! cargo run --release --example mounting
//! curl http://127.0.0.1:8000/wiki/a/b       # SCRIPT_NAME "/wiki", PATH_INFO "/a/b"
//! curl http://127.0.0.1:8000/exact          # SCRIPT_NAME "", PATH_INFO "/exact"
//! curl http://127.0.0.1:8000/v1/users/7     # SCRIPT_NAME "/v1", PATH_INFO "/users/7"
//! curl http://127.0.0.1:8000/site/blog/x    # SCRIPT_NAME "/site/blog", PATH_INFO "/x"
//! curl http://127.0.0.1:8000/proxied/x      # SCRIPT_NAME "/public/proxied", PATH_INFO "/x"
//! curl http://127.0.0.1:8000/other          # SCRIPT_NAME "", PATH_INFO "/other"
//! ```
//!
//! `SCRIPT_NAME` is the part of the path up to the mount, `PATH_INFO` is the rest, which the application interprets.
//! Links that begin with `SCRIPT_NAME` are right in every mount.

use axum::Router;
use axum::routing::get;
use gateway::{Dispatcher, Environ, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    let gateway = pool.mount(whereami);
    // Several applications as one, without an axum router; the longest prefix wins.
    let site = Dispatcher::new().mount("/", whereami).mount("/blog", whereami);
    Router::new()
        // Everything below a prefix: the usual mount of an application with its own routes.
        .nest_service("/wiki", gateway.clone())
        // One path, or one pattern. Axum consumes no part of the path.
        .route("/exact", get(gateway.clone()))
        .nest("/v1", Router::new().route("/users/{id}", get(gateway.clone())))
        .nest_service("/site", pool.mount(site))
        // Behind a proxy that strips `/public` from the path.
        .nest_service("/proxied", gateway.clone().script_name("/public"))
        // All other paths.
        .fallback_service(gateway)
}

/// Shows its location.
#[wsgi_app]
fn whereami(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok([format!("SCRIPT_NAME {:?}, PATH_INFO {:?}\n", environ.script_name(), environ.path_info())])
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn the_path_is_split_where_the_mount_is() {
        let app = app(&Pool::builder().threads(1).build().unwrap());
        for (path, script_name, path_info) in [
            ("/wiki/a/b", "/wiki", "/a/b"),
            // The application decides whether its page is `/wiki` or `/wiki/`.
            ("/wiki", "/wiki", ""),
            ("/wiki/", "/wiki", "/"),
            // Prefixes match whole segments.
            ("/wikipedia", "", "/wikipedia"),
            ("/exact", "", "/exact"),
            ("/exact/not", "", "/exact/not"),
            ("/v1/users/7", "/v1", "/users/7"),
            ("/site/blog/x", "/site/blog", "/x"),
            ("/site/x", "/site", "/x"),
            ("/proxied/x", "/public/proxied", "/x"),
            ("/other", "", "/other"),
            // The path is split before it is decoded: an encoded slash is no boundary.
            ("/wiki%2Fa", "", "/wiki/a"),
        ] {
            let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let text = to_bytes(response.into_body(), 1000).await.unwrap();
            assert_eq!(text, format!("SCRIPT_NAME {script_name:?}, PATH_INFO {path_info:?}\n"), "{path}");
        }
    }
}
