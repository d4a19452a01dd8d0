//! The work of all contenders, defined once, so that every contender does the same work.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use rusqlite::{Connection, OpenFlags};

/// The options of every contender.
#[derive(Parser)]
pub(crate) struct Options {
    /// The port to listen on.
    #[arg(long)]
    port: u16,
    /// The database file that `/query` reads.
    #[arg(long)]
    database: PathBuf,
}

impl Options {
    /// Stores the path of the database, and returns the address to listen on.
    pub(crate) fn apply(self) -> SocketAddr {
        DATABASE.get_or_init(|| self.database);
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

pub(crate) const HELLO: &str = "Hello, world!";

/// The time that `/sleep` sleeps.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// The number of pieces of `/stream`.
pub(crate) const PIECES: usize = 16;

static BYTES: [u8; 4 << 20] = [b'x'; 4 << 20];

/// The body of `/body`: 10 KiB, or the length in the query. The program does not copy it; only the kernel does.
pub(crate) fn body(query: Option<&str>) -> Bytes {
    Bytes::from_static(&BYTES[..number(query).unwrap_or(10 << 10)])
}

/// One piece of `/stream`.
pub(crate) fn piece() -> Bytes {
    Bytes::from_static(&BYTES[..64 << 10])
}

/// The number of header fields that `/headers` reads: 20, or the number in the query.
pub(crate) fn count(query: Option<&str>) -> usize {
    number(query).unwrap_or(20)
}

/// The names of header fields, as many as the largest request has.
pub(crate) fn numbered(name: &str) -> Vec<String> {
    (1..=80).map(|number| format!("{name}{number:02}")).collect()
}

static DATABASE: OnceLock<PathBuf> = OnceLock::new();

thread_local! {
    static CONNECTION: Connection = {
        let path = DATABASE.get().expect("the options have been read");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .expect("the harness has made the database")
    };
}

/// The response of `/query`: the row with the number in the query, read on the calling thread.
pub(crate) fn row(query: Option<&str>) -> String {
    CONNECTION
        .with(|connection| {
            let mut select = connection.prepare_cached("SELECT name FROM rows WHERE id = ?1")?;
            select.query_row([number(query).unwrap_or(1_i64)], |row| row.get(0))
        })
        .expect("every number that is asked for has its row")
}

/// Parses a query that consists of one number.
fn number<N: FromStr>(query: Option<&str>) -> Option<N> {
    query?.split_once('=')?.1.parse().ok()
}
