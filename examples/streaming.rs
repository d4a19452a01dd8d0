//! Response bodies of any size, made while they are sent.
//!
//! ```sh
//! cargo run --release --example streaming
//! curl 'http://127.0.0.1:8000/squares?3'                                  # three rows
//! curl -s http://127.0.0.1:8000/squares | head -1                         # endless, until the client leaves
//! curl -s --limit-rate 10k -m 2 http://127.0.0.1:8000/squares | tail -1   # a slow client makes a slow server
//! seq 1000000 | sed 's/$/ sheep/' | curl -sT - http://127.0.0.1:8000/upper | tail -1    # 1000000 SHEEP
//! ```
//!
//! The body is an iterator. The gateway pulls a chunk, sends it, and pulls the next when the buffer has space, so that
//! a slow client slows the iterator, and memory stays constant. After a disconnect, no chunk is pulled. In every case
//! the iterator is dropped, and prints its progress: `Drop` is WSGI's `close`.
//!
//! Of the four, the first prints row 3; the second some 18,000 rows, which fit in the buffers on the way; and the third
//! some 270,000, as the system's own buffers grow. Without its limit it prints 14 million.

use std::io::{self, Write as _};

use axum::Router;
use axum::routing::{get, put};
use gateway::{Environ, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    Router::new()
        .route("/squares", get(pool.mount(squares)))
        // The iterator holds only its buffers, so the upload may have any size.
        .route("/upper", put(pool.mount(upper).body_limit(u64::MAX)))
}

/// A table of squares, with a number of rows from the query, or endless.
#[wsgi_app]
fn squares(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Squares> {
    let last = environ.query().parse().unwrap_or(u64::MAX);
    start_response("200 OK", &[("Content-Type", "text/csv")])?;
    Ok(Squares { next: 1, last })
}

/// Rows of a number and its square.
struct Squares {
    next: u64,
    last: u64,
}

impl Iterator for Squares {
    type Item = String;

    /// Many rows per chunk: each chunk crosses and is sent separately, which costs more than a row.
    fn next(&mut self) -> Option<String> {
        const ROWS: u64 = 1000;
        let rows = self.next..=self.last.min(self.next + ROWS - 1);
        if rows.is_empty() {
            return None;
        }
        self.next = rows.end() + 1;
        Some(rows.map(|number| format!("{number},{}\n", u128::from(number) * u128::from(number))).collect())
    }
}

impl Drop for Squares {
    fn drop(&mut self) {
        // `println!` panics if standard output is closed; a destructor should not.
        let _ = writeln!(io::stdout(), "closed after row {}", self.next - 1);
    }
}

/// The request body in upper case, while it arrives. The iterator borrows from the environ, so the compiler ensures
/// that it does not outlive the environ.
#[wsgi_app]
fn upper(
    environ: &mut Environ,
    start_response: StartResponse<'_>,
) -> gateway::Result<impl Iterator<Item = io::Result<Vec<u8>>>> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(environ.input().chunks(64 << 10).map(|chunk| Ok(chunk?.to_ascii_uppercase())))
}

#[cfg(test)]
mod tests {
    use gateway::testing::{Client, Outcome};

    use super::*;

    #[test]
    fn the_table_is_as_long_as_it_should_be() {
        let client = Client::new(squares);
        assert_eq!(client.get("/?3").text(), "1,1\n2,4\n3,9\n");
        assert_eq!(client.get("/?0").text(), "");
        let response = client.get("/?2500");
        assert_eq!((response.chunks().len(), response.text().lines().count()), (3, 2500));
    }

    /// `send` returns when the application has ended, here because of the disconnect.
    #[test]
    fn an_endless_table_ends_when_the_client_leaves() {
        let response = Client::new(squares).request("GET", "/").disconnect_after(100).send();
        assert_eq!(response.outcome(), Outcome::Disconnected);
        assert!(response.chunks()[0].starts_with(b"1,1\n2,4\n"));
    }

    #[test]
    fn what_goes_in_comes_out_in_upper_case_piece_by_piece() {
        let response = Client::new(upper).request("POST", "/").body("hello world").body_frames(6).send();
        assert_eq!(response.chunks(), ["HELLO ", "WORLD"]);
    }

    #[test]
    fn half_an_upload_gives_no_whole_answer() {
        let response =
            Client::new(upper).request("POST", "/").body("hello world").body_frames(6).cut_body_after(6).send();
        assert_eq!(response.outcome(), Outcome::Aborted);
    }
}
