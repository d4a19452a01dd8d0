//! A guestbook in SQLite: pages, forms and files, from handlers that block on the database and on the templates.
//!
//! ```sh
//! cargo run --release --example guestbook                 # then open http://127.0.0.1:8000/guestbook
//! cargo run --release --example guestbook -- --seed 1000000 --db big.db
//! curl http://127.0.0.1:8000/guestbook/export.csv > entries.csv                # streams every row straight from the cursor
//! curl -i -F file=@entries.csv http://127.0.0.1:8000/guestbook/import          # 303, "/guestbook?imported=…"
//! curl -i -X DELETE http://127.0.0.1:8000/guestbook/entries/1                  # 204, and then 404
//! curl -i -d 'name=a&message=b' http://127.0.0.1:8000/guestbook                # 303
//! curl -i -d 'name=a&message=b' http://127.0.0.1:8000/guestbook -H 'Origin: http://other.example'    # 403
//! ```
//!
//! The pages work without JavaScript. A page of another site cannot sign or delete in the name of its visitors, because
//! browsers name the origin of such requests.

mod log;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};

use anyhow::Context as _;
use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{delete, get, post};
use clap::Parser;
use gateway::{Error, Multipart, Pool, Streamed};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_http::csrf::CsrfLayer;

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
    threads: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _log = log::Log::start("info", std::io::stdout());
    let options = Options::parse();

    let database = open(&options.db, options.threads)?;
    if options.seed > 0 {
        seed(&database, options.seed)?;
        tracing::info!(entries = options.seed, "seeded");
    }
    // Before it listens: a signal without a handler would end the process together with the connections in its backlog.
    let (first, second) = gateway::serve::stop_signals()?;
    let pool = Pool::builder().name("guestbook").threads(options.threads as usize).build()?;
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

fn app(database: Database, pool: &Pool) -> Router {
    let forms = pool.gateway().body_limit(64 * 1024);
    let files = pool.gateway().body_limit(1 << 30);
    let guestbook = Router::new()
        .route("/", get(pool.handler(list)).post(forms.handler(sign)))
        .route("/export.csv", get(pool.handler(export)))
        .route("/import", post(files.handler(import)))
        .route("/entries/{id}", delete(pool.handler(remove)))
        .route("/entries/{id}/delete", get(pool.handler(confirm)).post(pool.handler(confirmed)));
    Router::new()
        .route("/", get(|| async { Redirect::to("/guestbook") }))
        .route("/health", get(|| async { "ok\n" }))
        .route("/guestbook/", get(|| async { Redirect::permanent("/guestbook") }))
        .nest("/guestbook", guestbook)
        .fallback(|| async { Missing })
        .layer(CsrfLayer::new().with_rejection_response(|_| OtherOrigin.into_response()))
        .with_state(database)
}

// ── handlers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Deserialize)]
struct Shown {
    page: Option<i64>,
    /// The result of an import.
    imported: Option<u64>,
}

/// A page of entries, newest first: `?page=2` is the second.
fn list(State(database): State<Database>, Query(shown): Query<Shown>) -> gateway::Result<Html<String>> {
    let page = Page::load(&*database.get()?, shown.page.unwrap_or(1))?;
    Ok(Html(Page { imported: shown.imported, ..page }.render()?))
}

/// Signs the book.
fn sign(State(database): State<Database>, Form(draft): Form<Draft>) -> gateway::Result<Response> {
    let connection = database.get()?;
    match draft.check() {
        Err(problem) => refuse(Page { draft, ..Page::load(&connection, 1)? }, problem),
        Ok(entry) => {
            connection
                .execute("INSERT INTO entries (name, message) VALUES (?1, ?2)", params![entry.name, entry.message])?;
            tracing::info!(name = entry.name, "signed");
            Ok(Redirect::to("/guestbook").into_response())
        }
    }
}

/// Every entry as CSV, oldest first: rows stream from the cursor to the client, in constant memory.
fn export(State(database): State<Database>) -> impl IntoResponse {
    let body = Streamed::write(move |write| {
        let connection = database.get()?;
        let mut statement = connection.prepare(
            "SELECT id, name, message, strftime('%Y-%m-%dT%H:%M:%SZ', signed_at, 'unixepoch') FROM entries ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
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
        Ok(())
    });
    let disposition = "attachment; filename=\"guestbook.csv\"";
    ([(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, disposition)], body)
}

/// Imports all entries from CSV with the columns `name` and `message`, or none.
///
/// The rows go to a temporary table while they arrive, so that a slow upload does not lock the book.
fn import(State(database): State<Database>, mut form: Multipart) -> gateway::Result<Response> {
    let mut connection = database.get()?;
    // Dropping the transaction rolls it back, on every path but the last.
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TEMP TABLE staged (name TEXT NOT NULL, message TEXT NOT NULL)")?;
    let Some(file) = form.next()? else {
        return refuse(Page::load(&transaction, 1)?, "the form has no file".to_owned());
    };
    let staged = match stage(file, &transaction) {
        Ok(staged) => staged,
        Err(ImportError::Line { line, problem }) => {
            let problem = format!("line {line}: {problem}; nothing was imported");
            return refuse(Page::load(&transaction, 1)?, problem);
        }
        Err(ImportError::Other(error)) => return Err(error),
    };
    transaction.execute_batch(
        "INSERT INTO entries (name, message) SELECT name, message FROM staged ORDER BY rowid; DROP TABLE staged",
    )?;
    transaction.commit()?;
    tracing::info!(entries = staged, "imported");
    Ok(Redirect::to(&format!("/guestbook?imported={staged}")).into_response())
}

/// The page again, with the input and the reason why it is invalid.
fn refuse(page: Page, problem: String) -> gateway::Result<Response> {
    let page = Page { problem: Some(problem), ..page };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(page.render()?)).into_response())
}

/// Asks before the entry is deleted.
fn confirm(State(database): State<Database>, Path(id): Path<i64>) -> gateway::Result<Html<String>> {
    let sql = format!("{} WHERE id = ?1", Entry::SELECT);
    let entry = database.get()?.query_row(&sql, [id], Entry::of_row).optional()?;
    let entry = entry.ok_or_else(|| Error::response(Missing))?;
    Ok(Html(Confirmation { entry }.render()?))
}

/// Deletes an entry, from the page that asks.
fn confirmed(database: State<Database>, id: Path<i64>) -> gateway::Result<Redirect> {
    remove(database, id)?;
    Ok(Redirect::to("/guestbook"))
}

/// Deletes an entry.
fn remove(State(database): State<Database>, Path(id): Path<i64>) -> gateway::Result<StatusCode> {
    match database.get()?.execute("DELETE FROM entries WHERE id = ?1", [id])? {
        0 => Err(Error::response(Missing)),
        _ => {
            tracing::info!(id, "deleted");
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

// ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The input of a new entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
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
    Other(Error),
}

impl<E: Into<Error>> From<E> for ImportError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Reads the upload row by row into the staging table and counts the rows.
fn stage(upload: impl Read, transaction: &rusqlite::Transaction<'_>) -> Result<usize, ImportError> {
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
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(64 * 1024).from_reader(upload);
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

// ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An entry of a page.
struct Entry {
    id: i64,
    name: String,
    message: String,
    signed_at: String,
}

impl Entry {
    const SELECT: &str =
        "SELECT id, name, message, strftime('%Y-%m-%d %H:%M', signed_at, 'unixepoch') AS signed_at FROM entries";

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            message: row.get("message")?,
            signed_at: row.get("signed_at")?,
        })
    }
}

/// The page of entries. The templates escape their values.
#[derive(Template)]
#[template(path = "guestbook.html")]
struct Page {
    total: i64,
    page: i64,
    pages: i64,
    entries: Vec<Entry>,
    draft: Draft,
    problem: Option<String>,
    imported: Option<u64>,
}

impl Page {
    const LENGTH: i64 = 20;

    fn load(connection: &Connection, page: i64) -> gateway::Result<Self> {
        let total: i64 = connection.query_row("SELECT count(*) FROM entries", [], |row| row.get(0))?;
        let pages = ((total + Self::LENGTH - 1) / Self::LENGTH).max(1);
        let page = page.clamp(1, pages);
        let mut statement =
            connection.prepare_cached(&format!("{} ORDER BY id DESC LIMIT ?1 OFFSET ?2", Entry::SELECT))?;
        let entries = statement.query_map([Self::LENGTH, (page - 1) * Self::LENGTH], Entry::of_row)?;
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Self { total, page, pages, entries, draft: Draft::default(), problem: None, imported: None })
    }
}

#[derive(Template)]
#[template(path = "delete.html")]
struct Confirmation {
    entry: Entry,
}

/// 404, for a page or an entry.
#[derive(Template)]
#[template(path = "missing.html")]
struct Missing;

impl IntoResponse for Missing {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, self.render().map(Html).map_err(Error::from)).into_response()
    }
}

/// The response to a form or a deletion that comes from a page of another origin.
struct OtherOrigin;

impl IntoResponse for OtherOrigin {
    fn into_response(self) -> Response {
        (StatusCode::FORBIDDEN, "the request comes from another site\n").into_response()
    }
}

// ── database ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type Database = r2d2::Pool<SqliteConnectionManager>;

/// Opens the database file. As many connections as there are threads: none waits for one.
fn open(path: &FilePath, threads: u32) -> anyhow::Result<Database> {
    let manager = SqliteConnectionManager::file(path)
        .with_init(|connection| connection.pragma_update(None, "synchronous", "NORMAL"));
    let database = Database::builder().max_size(threads).min_idle(Some(1)).build(manager)?;
    // In WAL mode, readers and the writer do not block each other.
    database.get()?.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE IF NOT EXISTS entries (
             id INTEGER PRIMARY KEY,
             name TEXT NOT NULL,
             message TEXT NOT NULL,
             signed_at INTEGER NOT NULL DEFAULT (unixepoch())
         )",
    )?;
    Ok(database)
}

fn seed(database: &Database, entries: u32) -> anyhow::Result<usize> {
    Ok(database.get()?.execute(
        "INSERT INTO entries (name, message)
         WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
         SELECT 'Guest ' || n, 'Greeting number ' || n || ', with \"quotes\", commas and a snowman: ☃' FROM number",
        [entries],
    )?)
}

#[cfg(test)]
mod tests {
    use gateway::testing::{Client, MultipartForm, Response};

    use super::*;

    struct Book {
        client: Client,
        database: Database,
        _folder: tempfile::TempDir,
    }

    impl Book {
        fn new(entries: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = open(&folder.path().join("test.db"), 2).unwrap();
            if entries > 0 {
                seed(&database, entries).unwrap();
            }
            let pool = Pool::builder().threads(2).build().unwrap();
            Self { client: Client::router(app(database.clone(), &pool)), database, _folder: folder }
        }

        fn send(&self, method: &str, target: &str) -> Response {
            self.client.request(method, &format!("/guestbook{target}")).send()
        }

        fn sign(&self, form: &str) -> Response {
            let request = self.client.request("POST", "/guestbook").body(form.to_owned());
            request.header("content-type", "application/x-www-form-urlencoded").send()
        }

        fn import(&self, csv: &str) -> Response {
            let form = MultipartForm::new().file("file", "entries.csv", "text/csv", csv.to_owned());
            self.client.request("POST", "/guestbook/import").multipart(form).send()
        }

        fn page(&self, target: &str) -> String {
            self.send("GET", target).text()
        }

        fn count(&self) -> i64 {
            self.database.get().unwrap().query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).unwrap()
        }
    }

    fn status_and_location(response: &Response) -> (u16, &str) {
        (response.status().as_u16(), response.headers()["location"].to_str().unwrap())
    }

    #[test]
    fn a_signature_is_shown_escaped() {
        let book = Book::new(0);
        let response = book.sign("name=J%C3%BCrgen+%3Cb%3E&message=%E2%98%83+%26+co");
        assert_eq!(status_and_location(&response), (303, "/guestbook"));
        let page = book.page("");
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
        assert_eq!(book.client.post("/guestbook", "hi").status(), 415);
        assert_eq!(book.sign(&"x".repeat(70_000)).status(), 413);
        assert_eq!(book.count(), 0);
    }

    #[test]
    fn pages_hold_twenty_entries_newest_first() {
        let book = Book::new(45);
        assert!(book.page("").contains("Guest 45<") && !book.page("").contains("Guest 25<"));
        assert!(book.page("?page=2").contains("Guest 25<"));
        assert!(book.page("?page=99").contains("Page 3 of 3"));
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let (full, empty) = (Book::new(100), Book::new(0));
        let csv = full.page("/export.csv");
        assert_eq!(csv.lines().count(), 101);
        let response = empty.import(&csv);
        assert_eq!(status_and_location(&response), (303, "/guestbook?imported=100"));
        let page = empty.page("?imported=100");
        assert!(page.contains("100 entries imported"), "{page}");
        assert!(page.contains("Greeting number 100, with &#34;quotes&#34;"), "{page}");
    }

    #[test]
    fn a_bad_line_is_named_and_nothing_is_imported() {
        let book = Book::new(0);
        for (csv, problem) in [
            ("name,message\na,b\n,c\n", "line 3: the name is empty"),
            ("name,message\na,b\nc\n", "line 3: there are 1 fields where the header has 2"),
            ("who,what\n", "line 1: the header has no column &#34;name&#34;"),
            ("", "line 1: the header has no column &#34;name&#34;"),
        ] {
            // Twice: the staging table of a failed import must not block the next import.
            for _ in 0..2 {
                let response = book.import(csv);
                assert_eq!(response.status(), 422);
                let page = response.text();
                assert!(page.contains(&format!("{problem}; nothing was imported")), "{problem}: {page}");
            }
        }
        assert_eq!(
            book.client.request("POST", "/guestbook/import").multipart(MultipartForm::new()).send().status(),
            422
        );
        assert_eq!(book.count(), 0);
    }

    #[test]
    fn an_entry_is_deleted_once() {
        let book = Book::new(2);
        let delete = |id: &str| book.send("DELETE", &format!("/entries/{id}")).status().as_u16();
        assert_eq!(["1", "1", "x"].map(delete), [204, 404, 400]);
        assert_eq!(book.count(), 1);
    }

    #[test]
    fn a_page_asks_before_an_entry_is_deleted() {
        let book = Book::new(2);
        assert!(book.page("").contains(r#"href="/guestbook/entries/2/delete""#));
        let question = book.page("/entries/2/delete");
        assert!(question.contains("Guest 2<") && question.contains(r#"<form method="post">"#), "{question}");
        assert_eq!(book.count(), 2);
        assert_eq!(status_and_location(&book.send("POST", "/entries/2/delete")), (303, "/guestbook"));
        assert_eq!(book.count(), 1);
        for method in ["GET", "POST"] {
            assert_eq!(book.send(method, "/entries/2/delete").status(), 404);
        }
    }

    #[test]
    fn a_form_or_a_deletion_of_another_origin_is_refused() {
        let book = Book::new(0);
        for (method, target) in [
            ("POST", "/guestbook"),
            ("POST", "/guestbook/import"),
            ("POST", "/guestbook/entries/1/delete"),
            ("DELETE", "/guestbook/entries/1"),
        ] {
            let is_refused = |headers: &[(&str, &str)]| {
                let request = book.client.request(method, target);
                headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().status()
                    == 403
            };
            // Neither a browser nor a page: there is nothing that could be misused.
            assert!(!is_refused(&[]));
            for same in [
                &[("origin", "http://test.local")][..],
                &[("sec-fetch-site", "same-origin")],
                &[("sec-fetch-site", "none")],
                &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            ] {
                assert!(!is_refused(same), "{method} {target} {same:?}");
            }
            for other in [
                &[("origin", "http://other.example")][..],
                &[("origin", "http://test.local:81")],
                &[("origin", "null")],
                &[("sec-fetch-site", "cross-site")],
                &[("sec-fetch-site", "same-site"), ("origin", "http://sub.test.local")],
            ] {
                assert!(is_refused(other), "{method} {target} {other:?}");
            }
        }
        let read = book.client.request("GET", "/guestbook").header("origin", "http://other.example").send();
        assert_eq!(read.status(), 200);
    }

    #[test]
    fn pages_need_no_script_and_what_is_missing_has_a_page() {
        let book = Book::new(25);
        for target in ["/guestbook", "/guestbook/entries/1/delete", "/guestbook/entries/99/delete", "/nothing"] {
            let response = book.client.get(target);
            let text = response.text();
            assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
            assert!(!text.contains("<script") && text.contains(r#"<link rel="icon""#), "{text}");
            let is_missing = target.contains("99") || target == "/nothing";
            assert_eq!((response.status() == 404, text.contains("<h1>Not found</h1>")), (is_missing, is_missing));
        }
    }

    /// WCAG 2.2, 1.4.3: 4.5 for text; 1.4.11: 3 for the borders of inputs.
    #[test]
    fn text_can_be_read_in_light_and_in_dark() {
        let page = Book::new(0).page("");
        let (light, dark) = page.split_once("prefers-color-scheme: dark").unwrap();
        for (scheme, css) in [("light", light), ("dark", dark)] {
            let luminance = |name: &str| {
                let (_, value) = css.split_once(&format!("--{name}: #")).unwrap();
                let linear = |at: usize| {
                    let part = f64::from(u8::from_str_radix(&value[at..at + 2], 16).unwrap()) / 255.0;
                    if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
                };
                0.2126 * linear(0) + 0.7152 * linear(2) + 0.0722 * linear(4)
            };
            for (text, ground, least) in [
                ("text", "page", 4.5),
                ("muted", "page", 4.5),
                ("link", "page", 4.5),
                ("on-button", "button", 4.5),
                ("problem", "problem-page", 4.5),
                ("notice", "notice-page", 4.5),
                ("line", "page", 3.0),
            ] {
                let (one, two) = (luminance(text), luminance(ground));
                let ratio = (one.max(two) + 0.05) / (one.min(two) + 0.05);
                println!("{scheme}: {text} on {ground} {ratio:.1}");
                assert!(ratio >= least, "{scheme}: {text} on {ground} has {ratio:.1}");
            }
        }
    }
}
