//! A guestbook in SQLite: blocking database code behind async routes.
//!
//! ```sh
//! cargo run --release --example guestbook                 # then open http://127.0.0.1:8000/guestbook
//! cargo run --release --example guestbook -- --seed 1000000 --db big.db
//! curl http://127.0.0.1:8000/guestbook/export.csv         # streams every row straight from the cursor
//! curl --data-binary @entries.csv -H 'Content-Type: text/csv' http://127.0.0.1:8000/guestbook/import.csv
//! curl -X DELETE http://127.0.0.1:8000/guestbook/entries/1
//! ```
//!
//! Each handler is a plain fn that blocks on SQLite, on the client and on the template. Axum routes to handlers as to
//! any other service, and `/` and `/health` stay async.

use std::io::Read as _;
mod log;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use askama::Template;
use axum::Router;
use axum::extract::Extension;
use axum::response::Redirect;
use axum::routing::{delete_service, get, get_service, post_service};
use clap::Parser;
use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::net::TcpListener;

/// A guestbook in SQLite, behind axum.
#[derive(Parser)]
struct Options {
    /// The database file; created if it does not exist.
    #[arg(long, default_value = "guestbook.db")]
    db: PathBuf,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// How many entries to generate before serving.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// How many threads serve requests that block.
    #[arg(long, default_value_t = 16)]
    threads: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _log = log::Log::start("info", std::io::stdout());
    let options = Options::parse();

    let database = Database::open(&options.db)?;
    if options.seed > 0 {
        database.seed(options.seed)?;
        tracing::info!(entries = options.seed, "seeded");
    }
    // Before it listens: a signal without a handler would end the process together with the connections in its backlog.
    let (first, second) = gateway::serve::stop_signals()?;
    let pool = Pool::builder().name("guestbook").threads(options.threads).build()?;
    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    tracing::info!(db = %options.db.display(), "listening on http://{}/guestbook", listener.local_addr()?);

    let stop = async {
        first.await;
        tracing::info!("draining; a second signal ends it at once");
    };
    gateway::serve(listener, app(database, &pool))
        .pool(&pool)
        .with_graceful_shutdown(stop)
        .with_immediate_shutdown(second)
        .await?;
    tracing::info!("drained");
    Ok(())
}

/// The routes. The handlers find the database in the extensions of their requests.
fn app(database: Database, pool: &Pool) -> Router {
    let guestbook = Router::new()
        .route("/", get_service(Gateway::new(list).pool(pool)).post_service(Gateway::new(sign).pool(pool)))
        .route("/export.csv", get_service(Gateway::new(export).pool(pool)))
        .route("/import.csv", post_service(Gateway::new(import).pool(pool).body_limit(1 << 30)))
        .route("/entries/{id}", delete_service(Gateway::new(remove).pool(pool)))
        .layer(Extension(database));
    Router::new()
        .route("/", get(|| async { Redirect::to("/guestbook") }))
        .route("/health", get(|| async { "ok\n" }))
        .route("/guestbook/", get(|| async { Redirect::permanent("/guestbook") }))
        .nest("/guestbook", guestbook)
}

// ── handlers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A page of entries, newest first: `?page=2` is the second.
#[wsgi_app]
fn list(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let page = form_urlencoded::parse(environ.query().as_bytes())
        .find(|(key, _)| key == "page")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(1);
    let html = Page::render(&database(environ)?, environ.script_name(), page, None)?;
    start_response("200 OK", &[("Content-Type", "text/html; charset=utf-8")])?;
    Ok([html])
}

/// Signs the book, from a form.
#[wsgi_app]
fn sign(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    const LARGEST_FORM: u64 = 64 * 1024;
    if !environ.content_type().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return plain(
            &start_response,
            "415 Unsupported Media Type",
            "send a form: application/x-www-form-urlencoded\n",
        );
    }
    let mut form = Vec::new();
    environ.input().take(LARGEST_FORM + 1).read_to_end(&mut form)?;
    if form.len() as u64 > LARGEST_FORM {
        return plain(&start_response, "413 Content Too Large", "a form may have 64 KiB\n");
    }
    let mut draft = Draft::default();
    for (key, value) in form_urlencoded::parse(&form) {
        match &*key {
            "name" => draft.name = value.into_owned(),
            "message" => draft.message = value.into_owned(),
            _ => {}
        }
    }
    let database = database(environ)?;
    match draft.check() {
        Err(problem) => {
            let html = Page::render(&database, environ.script_name(), 1, Some((draft, problem)))?;
            start_response("422 Unprocessable Content", &[("Content-Type", "text/html; charset=utf-8")])?;
            Ok([html])
        }
        Ok(entry) => {
            database
                .lease()?
                .execute("INSERT INTO entries (name, message) VALUES (?1, ?2)", params![entry.name, entry.message])?;
            tracing::info!(name = entry.name, from = environ.get("REMOTE_ADDR"), "signed");
            start_response("303 See Other", &[("Location", environ.script_name())])?;
            Ok([String::new()])
        }
    }
}

/// Every entry as CSV, oldest first: rows stream from the cursor to the client, in constant memory.
#[wsgi_app]
fn export(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 0]> {
    let database = database(environ)?;
    let connection = database.lease()?;
    let mut statement = connection.prepare(
        "SELECT id, name, message, strftime('%Y-%m-%dT%H:%M:%SZ', signed_at, 'unixepoch') FROM entries ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let write = start_response(
        "200 OK",
        &[
            ("Content-Type", "text/csv; charset=utf-8"),
            ("Content-Disposition", "attachment; filename=\"guestbook.csv\""),
        ],
    )?;
    let mut csv = csv::WriterBuilder::new().buffer_capacity(64 * 1024).from_writer(write);
    csv.write_record(["id", "name", "message", "signed_at"])?;
    while let Some(row) = rows.next()? {
        csv.write_field(row.get::<_, i64>(0)?.to_string())?;
        for column in 1..4 {
            csv.write_field(row.get_ref(column)?.as_bytes()?)?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    // Send the rest of the buffer; an error breaks the response off.
    csv.flush()?;
    Ok([])
}

/// Imports all entries from CSV with the columns `name` and `message`, or none.
///
/// The rows go to a temporary table while they arrive, so that a slow upload does not lock the book.
#[wsgi_app]
fn import(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let database = database(environ)?;
    let mut connection = database.lease()?;
    // Dropping the transaction rolls it back, on every path but the last.
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TEMP TABLE staged (name TEXT NOT NULL, message TEXT NOT NULL)")?;
    let staged = match stage(environ, &transaction) {
        Ok(staged) => staged,
        Err(ImportError::Line { line, problem }) => {
            let text = format!("line {line}: {problem}; nothing was imported\n");
            return plain(&start_response, "422 Unprocessable Content", &text);
        }
        Err(ImportError::Other(error)) => return Err(error),
    };
    transaction.execute_batch(
        "INSERT INTO entries (name, message) SELECT name, message FROM staged ORDER BY rowid; DROP TABLE staged",
    )?;
    transaction.commit()?;
    tracing::info!(entries = staged, from = environ.get("REMOTE_ADDR"), "imported");
    let entries = if staged == 1 { "entry" } else { "entries" };
    plain(&start_response, "200 OK", &format!("{staged} {entries} imported\n"))
}

/// Deletes one entry.
#[wsgi_app]
fn remove(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let id = environ.path_info().trim_start_matches("/entries/");
    let Ok(id) = id.parse::<i64>() else {
        return plain(&start_response, "400 Bad Request", &format!("{id:?} is not the number of an entry\n"));
    };
    match database(environ)?.lease()?.execute("DELETE FROM entries WHERE id = ?1", [id])? {
        0 => plain(&start_response, "404 Not Found", &format!("there is no entry {id}\n")),
        _ => {
            tracing::info!(id, from = environ.get("REMOTE_ADDR"), "deleted");
            start_response("204 No Content", &[])?;
            Ok([String::new()])
        }
    }
}

/// A short response in plain text.
fn plain(start_response: &StartResponse<'_>, status: &str, text: &str) -> gateway::Result<[String; 1]> {
    start_response(status, &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok([text.to_owned()])
}

// ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The input of a new entry.
#[derive(Debug, Default)]
struct Draft {
    name: String,
    message: String,
}

impl Draft {
    const LONGEST_NAME: usize = 80;
    const LONGEST_MESSAGE: usize = 2000;

    /// The entry without surrounding whitespace, or the reason why it is invalid.
    fn check(&self) -> Result<Draft, String> {
        let trimmed = |what: &str, text: &str, longest: usize| {
            let text = text.trim();
            match text.chars().count() {
                0 => Err(format!("the {what} is empty")),
                length if length > longest => Err(format!("the {what} has {length} characters; {longest} are allowed")),
                _ => Ok(text.to_owned()),
            }
        };
        Ok(Draft {
            name: trimmed("name", &self.name, Self::LONGEST_NAME)?,
            message: trimmed("message", &self.message, Self::LONGEST_MESSAGE)?,
        })
    }
}

enum ImportError {
    /// An error of the client, and its line.
    Line { line: u64, problem: String },
    /// An error of the server, or an unreadable body; the gateway responds to both.
    Other(gateway::Error),
}

impl<E: Into<gateway::Error>> From<E> for ImportError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Reads the upload row by row into the staging table and counts the rows.
fn stage(environ: &mut Environ, transaction: &rusqlite::Transaction<'_>) -> Result<usize, ImportError> {
    let at_line = |line: u64, problem: String| ImportError::Line { line, problem };
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(error) => ImportError::Other(error.into()),
            csv::ErrorKind::Utf8 { .. } => at_line(line, "the text is not UTF-8".to_owned()),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                at_line(line, format!("there are {len} fields where the header has {expected_len}"))
            }
            other => at_line(line, format!("{other:?}")),
        }
    };
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(64 * 1024).from_reader(environ.input());
    let header = reader.headers().map_err(broken)?;
    let column = |name: &str| {
        header
            .iter()
            .position(|known| known.trim_start_matches('\u{feff}') == name)
            .ok_or_else(|| at_line(1, format!("the header has no column {name:?}")))
    };
    let (name, message) = (column("name")?, column("message")?);
    let mut insert = transaction.prepare("INSERT INTO staged VALUES (?1, ?2)")?;
    let mut record = csv::StringRecord::new();
    let mut staged = 0;
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        let draft = Draft { name: record[name].to_owned(), message: record[message].to_owned() };
        let entry = draft.check().map_err(|problem| at_line(line, problem))?;
        insert.execute(params![entry.name, entry.message])?;
        staged += 1;
    }
    Ok(staged)
}

/// An entry of the page.
struct Entry {
    id: i64,
    name: String,
    message: String,
    signed_at: String,
}

/// The only page. The template escapes its values.
#[derive(Template)]
#[template(path = "guestbook.html")]
struct Page<'p> {
    /// The path of the guestbook's mount.
    base: &'p str,
    total: i64,
    page: i64,
    pages: i64,
    entries: Vec<Entry>,
    draft: Draft,
    problem: Option<String>,
}

impl Page<'_> {
    const LENGTH: i64 = 20;

    fn render(
        database: &Database,
        base: &str,
        page: i64,
        rejected: Option<(Draft, String)>,
    ) -> gateway::Result<String> {
        let connection = database.lease()?;
        let total: i64 = connection.query_row("SELECT count(*) FROM entries", [], |row| row.get(0))?;
        let pages = ((total + Self::LENGTH - 1) / Self::LENGTH).max(1);
        let page = page.clamp(1, pages);
        let mut statement = connection.prepare_cached(
            "SELECT id, name, message, strftime('%Y-%m-%d %H:%M', signed_at, 'unixepoch') FROM entries
             ORDER BY id DESC LIMIT ?1 OFFSET ?2",
        )?;
        let entries = statement
            .query_map([Self::LENGTH, (page - 1) * Self::LENGTH], |row| {
                Ok(Entry { id: row.get(0)?, name: row.get(1)?, message: row.get(2)?, signed_at: row.get(3)? })
            })?
            .collect::<Result<_, _>>()?;
        let (draft, problem) = match rejected {
            Some((draft, problem)) => (draft, Some(problem)),
            None => (Draft::default(), None),
        };
        Ok(Page { base, total, page, pages, entries, draft, problem }.render()?)
    }
}

// ── database ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A pool of connections to the database file. It opens as many connections as were needed at once, at most one for
/// each pool thread.
#[derive(Clone)]
struct Database {
    path: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Database {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let database = Self { path: path.into(), idle: Arc::default() };
        database.lease()?.execute_batch(
            "CREATE TABLE IF NOT EXISTS entries (
                 id INTEGER PRIMARY KEY,
                 name TEXT NOT NULL,
                 message TEXT NOT NULL,
                 signed_at INTEGER NOT NULL DEFAULT (unixepoch())
             )",
        )?;
        Ok(database)
    }

    /// A connection, returned to the pool when it is dropped.
    fn lease(&self) -> rusqlite::Result<Lease> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(&self.path)?;
                connection.busy_timeout(Duration::from_secs(10))?;
                // In WAL mode, readers and the writer do not block each other.
                let _mode: Option<String> =
                    connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).optional()?;
                connection.pragma_update(None, "synchronous", "NORMAL")?;
                connection
            }
        };
        Ok(Lease { connection: Some(connection), database: self.clone() })
    }

    fn seed(&self, entries: u32) -> rusqlite::Result<usize> {
        self.lease()?.execute(
            "INSERT INTO entries (name, message)
             WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
             SELECT 'Guest ' || n, 'Greeting number ' || n || ', with \"quotes\", commas and a snowman: ☃' FROM number",
            [entries],
        )
    }
}

/// A borrowed connection.
struct Lease {
    connection: Option<Connection>,
    database: Database,
}

impl std::ops::Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease holds its connection until it is dropped")
    }
}

impl std::ops::DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lease holds its connection until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.database.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

/// The database of the request.
fn database(environ: &Environ) -> gateway::Result<Database> {
    environ
        .extensions()
        .get::<Database>()
        .cloned()
        .ok_or_else(|| gateway::Error::new("the router has no `Extension(database)` layer"))
}

#[cfg(test)]
mod tests {
    use gateway::testing::{Client, Response};

    use super::*;

    struct Book {
        database: Database,
        _folder: tempfile::TempDir,
    }

    impl Book {
        fn new(entries: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = Database::open(&folder.path().join("test.db")).unwrap();
            if entries > 0 {
                database.seed(entries).unwrap();
            }
            Self { database, _folder: folder }
        }

        fn send(&self, app: impl gateway::Application, method: &str, target: &str, kind: &str, body: &str) -> Response {
            let request = Client::new(app).request(method, target).extension(self.database.clone());
            request.header("content-type", kind).body(body.to_owned()).send()
        }

        fn sign(&self, form: &str) -> Response {
            self.send(sign, "POST", "/", "application/x-www-form-urlencoded", form)
        }

        fn page(&self, target: &str) -> String {
            self.send(list, "GET", target, "", "").text()
        }

        fn count(&self) -> i64 {
            self.database.lease().unwrap().query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).unwrap()
        }
    }

    #[test]
    fn a_signature_is_shown_escaped() {
        let book = Book::new(0);
        let response = book.sign("name=J%C3%BCrgen+%3Cb%3E&message=%E2%98%83+%26+co");
        assert_eq!(response.status(), 303);
        let page = book.page("/");
        assert!(page.contains("Jürgen &#60;b&#62;") && page.contains("☃ &#38; co"), "{page}");
    }

    #[test]
    fn an_empty_or_long_entry_is_refused_with_the_reason() {
        let book = Book::new(0);
        let long = "x".repeat(2001);
        for (form, reason) in [
            ("name=+&message=x", "the name is empty".to_owned()),
            ("name=x", "the message is empty".to_owned()),
            (&format!("name=x&message={long}"), "the message has 2001 characters; 2000 are allowed".to_owned()),
        ] {
            let response = book.sign(form);
            assert_eq!(response.status(), 422);
            assert!(response.text().contains(&reason), "{form}");
        }
        assert_eq!(book.send(sign, "POST", "/", "text/plain", "hi").status(), 415);
        assert_eq!(book.sign(&"x".repeat(70_000)).status(), 413);
        assert_eq!(book.count(), 0);
    }

    #[test]
    fn pages_hold_twenty_entries_newest_first() {
        let book = Book::new(45);
        assert!(book.page("/").contains("Guest 45<") && !book.page("/").contains("Guest 25<"));
        assert!(book.page("/?page=2").contains("Guest 25<"));
        assert!(book.page("/?page=99").contains("Page 3 of 3"));
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let (full, empty) = (Book::new(100), Book::new(0));
        let csv = full.send(export, "GET", "/export.csv", "", "").text();
        assert_eq!(csv.lines().count(), 101);
        let response = empty.send(import, "POST", "/import.csv", "text/csv", &csv);
        assert_eq!((response.status().as_u16(), response.text().as_str()), (200, "100 entries imported\n"));
        assert!(empty.page("/").contains("Greeting number 100, with &#34;quotes&#34;"));
    }

    #[test]
    fn a_bad_line_is_named_and_nothing_is_imported() {
        let book = Book::new(0);
        for (csv, problem) in [
            ("name,message\na,b\n,c\n", "line 3: the name is empty"),
            ("name,message\na,b\nc\n", "line 3: there are 1 fields where the header has 2"),
            ("who,what\n", "line 1: the header has no column \"name\""),
            ("", "line 1: the header has no column \"name\""),
        ] {
            // Twice: the staging table of a failed import must not block the next import.
            for _ in 0..2 {
                let response = book.send(import, "POST", "/import.csv", "text/csv", csv);
                assert_eq!(response.status(), 422);
                assert_eq!(response.text(), format!("{problem}; nothing was imported\n"));
            }
        }
        assert_eq!(book.count(), 0);
    }

    #[test]
    fn an_entry_is_deleted_once() {
        let book = Book::new(2);
        let delete = |id: &str| book.send(remove, "DELETE", &format!("/entries/{id}"), "", "").status().as_u16();
        assert_eq!(["1", "1", "x"].map(delete), [204, 404, 400]);
        assert_eq!(book.count(), 1);
    }
}
