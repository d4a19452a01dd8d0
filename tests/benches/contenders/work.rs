//! The work that the contenders do, so that none of them does another's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use rusqlite::{Connection, OpenFlags};

/// What every contender is told.
#[derive(Parser)]
pub(crate) struct Options {
    /// The port.
    #[arg(long)]
    port: u16,
    /// The file that `/query` asks.
    #[arg(long)]
    database: PathBuf,
}

impl Options {
    /// Notes where the database is, and says where to listen.
    pub(crate) fn apply(self) -> SocketAddr {
        DATABASE.get_or_init(|| self.database);
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

pub(crate) const HELLO: &str = "Hello, world!";

/// How long `/sleep` sleeps.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// How many pieces `/stream` has.
pub(crate) const PIECES: usize = 16;

static BYTES: [u8; 4 << 20] = [b'x'; 4 << 20];

/// What `/body` sends: 10 KiB, unless the query says how much. Nobody copies it but the system.
pub(crate) fn body(query: Option<&str>) -> Bytes {
    Bytes::from_static(&BYTES[..number(query).unwrap_or(10 << 10)])
}

/// What `/stream` sends at a time.
pub(crate) fn piece() -> Bytes {
    Bytes::from_static(&BYTES[..64 << 10])
}

/// How many fields `/headers` reads: 20, unless the query says how many.
pub(crate) fn count(query: Option<&str>) -> usize {
    number(query).unwrap_or(20)
}

/// The names of fields, as many as any request has.
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

/// What `/query` answers: the row that the query names, read by the thread that asks.
pub(crate) fn row(query: Option<&str>) -> String {
    CONNECTION
        .with(|connection| {
            let mut select = connection.prepare_cached("SELECT name FROM rows WHERE id = ?1")?;
            select.query_row([number(query).unwrap_or(1_i64)], |row| row.get(0))
        })
        .expect("every number that is asked for has its row")
}

/// The number in a query that consists of one.
fn number<N: FromStr>(query: Option<&str>) -> Option<N> {
    query?.split_once('=')?.1.parse().ok()
}
