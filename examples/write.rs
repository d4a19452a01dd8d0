//! The imperative style: a `std::io::Write` that sends to the client.
//!
//! ```sh
//! cargo run --release --example write
//! curl -N http://127.0.0.1:8000/progress                    # "9592 primes from 0 to 100000", and nine more, each when it is counted
//! curl 'http://127.0.0.1:8000/table?3'                      # three rows
//! curl 'http://127.0.0.1:8000/table.gz?1000000' | gunzip | tail -1    # 1000000,1000000000000
//! ```
//!
//! `start_response` returns a `Write`. Each call sends a chunk at once, and blocks while the client reads slowly. Many
//! small pieces need a buffer, and each buffer must be flushed by hand: a dropped buffer ignores the error of its last
//! write, and an incomplete response would look complete.

use std::io::{self, BufWriter, Write as _};

use axum::Router;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
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
        .route("/progress", get(pool.mount(progress)))
        .route("/table", get(pool.mount(table)))
        .route("/table.gz", get(pool.mount(compressed_table)))
}

/// Counts primes, and sends each part of the result when it is known. Returned chunks follow written bytes.
#[wsgi_app]
fn progress(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    let parts = environ.query().parse().unwrap_or(10);
    let mut write = start_response("200 OK", &[("Content-Type", "text/plain")])?;
    for part in 0..parts {
        let numbers = part * 100_000..(part + 1) * 100_000;
        let count = numbers.clone().filter(|&number| is_prime(number)).count();
        // Fails when the client has disconnected, and so ends the count.
        writeln!(write, "{count} primes from {} to {}", numbers.start, numbers.end)?;
    }
    Ok(["done\n"])
}

fn is_prime(number: u64) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

/// A table, in chunks of 64 KiB.
#[wsgi_app]
fn table(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 0]> {
    let rows = environ.query().parse().unwrap_or(1000);
    let write = start_response("200 OK", &[("Content-Type", "text/csv")])?;
    let mut buffered = BufWriter::with_capacity(64 << 10, write);
    write_table(rows, &mut buffered)?;
    buffered.flush()?;
    Ok([])
}

/// The same table, through an encoder that needs a writer.
#[wsgi_app]
fn compressed_table(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 0]> {
    let rows = environ.query().parse().unwrap_or(1000);
    let write = start_response("200 OK", &[("Content-Type", "application/gzip")])?;
    let mut encoder = GzEncoder::new(BufWriter::with_capacity(64 << 10, write), Compression::fast());
    write_table(rows, &mut encoder)?;
    encoder.finish()?.flush()?;
    Ok([])
}

/// Independent of HTTP: it could write to a file.
fn write_table(rows: u64, to: &mut impl io::Write) -> io::Result<()> {
    (1..=rows).try_for_each(|row| writeln!(to, "{row},{}", row * row))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use gateway::testing::{Client, Outcome};

    use super::*;

    #[test]
    fn each_part_is_a_chunk() {
        let response = Client::new(progress).get("/?2");
        assert_eq!(response.chunks().len(), 3);
        assert!(response.text().starts_with("9592 primes from 0 to 100000\n"), "{}", response.text());
    }

    #[test]
    fn counting_ends_when_the_client_leaves() {
        let response = Client::new(progress).request("GET", "/?18446744073709").disconnect_after(1).send();
        assert_eq!(response.outcome(), Outcome::Disconnected);
    }

    #[test]
    fn small_rows_make_large_chunks() {
        let response = Client::new(table).get("/?10000");
        assert_eq!(response.text().lines().count(), 10_000);
        assert!(response.chunks().len() < 5, "{} chunks", response.chunks().len());
    }

    #[test]
    fn both_tables_are_the_same() {
        let client = Client::new(compressed_table);
        let mut unzipped = String::new();
        GzDecoder::new(&*client.get("/?5000").bytes()).read_to_string(&mut unzipped).unwrap();
        assert_eq!(unzipped, Client::new(table).get("/?5000").text());
    }
}
