//! The client's view when an application fails: early, late, by a panic, or by an error with its own response.
//!
//! ```sh
//! cargo run --release --example errors
//! curl -i http://127.0.0.1:8000/items/2           # 200
//! curl -i http://127.0.0.1:8000/items/9           # 404, "there is no item 9"
//! curl -i http://127.0.0.1:8000/items/x           # 400, "\"x\" is not the number of an item"
//! curl -i http://127.0.0.1:8000/early             # 500, {"status":500}: the reason is in the log alone
//! curl -i http://127.0.0.1:8000/late              # 200, half a table, and curl says that the transfer was cut short
//! curl -i http://127.0.0.1:8000/panic             # 500; the thread goes on to the next request
//! ```
//!
//! An application may use `?` on everything. A failure before the first byte replaces the stored head. A failure after
//! it breaks the response off, so that the client can tell that it is incomplete.

mod log;

use std::fmt;
use std::num::ParseIntError;

use axum::Router;
use axum::routing::get;
use gateway::{Application, Chunks, Environ, Gateway, Pool, StartResponse, wsgi_app};
use http::header::{CONTENT_TYPE, HeaderValue};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let _log = log::Log::start("info", std::io::stdout());
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    Router::new()
        .nest_service("/items", mount(Explained(item)).pool(pool))
        .route("/early", get(mount(early).pool(pool)))
        .route("/late", get(mount(late).pool(pool)))
        .route("/panic", get(mount(panics).pool(pool)))
}

/// The gateway's own responses as JSON: for failures, and for refused requests.
fn mount(application: impl Application) -> Gateway {
    Gateway::new(application).error_page(|status, headers| {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        format!("{{\"status\":{}}}\n", status.as_u16()).into()
    })
}

/// The errors of a request for an item.
#[derive(Debug)]
enum ItemError {
    NoNumber(String, ParseIntError),
    Missing(usize),
}

impl ItemError {
    fn status(&self) -> &'static str {
        match self {
            Self::NoNumber(..) => "400 Bad Request",
            Self::Missing(_) => "404 Not Found",
        }
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber(text, _) => write!(f, "{text:?} is not the number of an item"),
            Self::Missing(number) => write!(f, "there is no item {number}"),
        }
    }
}

impl std::error::Error for ItemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoNumber(_, source) => Some(source),
            Self::Missing(_) => None,
        }
    }
}

/// Middleware that responds to each [`ItemError`] in one place, so that applications need not.
struct Explained<A>(A);

impl<A: Application> Application for Explained<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        self.0.call(environ, start_response.clone()).or_else(|error| {
            let Some(known) = error.find::<ItemError>() else { return Err(error) };
            let (status, text) = (known.status(), format!("{known}\n"));
            // Replaces a stored head. Once the head is sent, `replace` returns the error.
            start_response.replace(error, status, &[("Content-Type", "text/plain; charset=utf-8")])?;
            Ok(Chunks::new([text]))
        })
    }
}

/// One of three items.
#[wsgi_app]
fn item(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    let text = environ.path_info().trim_start_matches('/');
    let number = text.parse().map_err(|error| ItemError::NoNumber(text.to_owned(), error))?;
    let found = ["ink\n", "paper\n", "pens\n"].get(number).ok_or(ItemError::Missing(number))?;
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([found])
}

/// Fails before the first byte, after it has called `start_response`.
#[wsgi_app]
fn early(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([std::fs::read_to_string("/no/such/file")?])
}

/// Fails while its body is being sent.
#[wsgi_app]
fn late(
    _: &mut Environ,
    start_response: StartResponse<'_>,
) -> gateway::Result<[Result<&'static str, &'static str>; 3]> {
    start_response("200 OK", &[("Content-Type", "text/csv")])?;
    Ok([Ok("1,ink\n"), Ok("2,paper\n"), Err("the disk is gone")])
}

#[wsgi_app]
fn panics(_: &mut Environ, _: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    panic!("there is a bug");
}

#[cfg(test)]
mod tests {
    use gateway::testing::{Client, Outcome};

    use super::*;

    #[test]
    fn errors_of_the_client_are_explained() {
        let client = Client::new(Explained(item));
        for (path, status, text) in [
            ("/2", 200, "pens\n"),
            ("/9", 404, "there is no item 9\n"),
            ("/x", 400, "\"x\" is not the number of an item\n"),
        ] {
            let response = client.get(path);
            assert_eq!((response.status().as_u16(), response.text().as_str()), (status, text));
        }
    }

    #[test]
    fn errors_of_the_server_are_not() {
        for client in [Client::of(mount(early)), Client::of(mount(panics))] {
            let response = client.get("/");
            assert_eq!((response.status().as_u16(), response.text().as_str()), (500, "{\"status\":500}\n"));
            assert_eq!(response.headers()["content-type"], "application/json");
        }
    }

    #[test]
    fn half_a_table_never_looks_complete() {
        let response = Client::new(late).get("/");
        assert_eq!(
            (response.outcome(), response.chunks().concat().as_slice()),
            (Outcome::Aborted, &b"1,ink\n2,paper\n"[..])
        );
    }
}
