//! Files as responses: conditional requests, and ranges.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::routing::get;
use gateway::testing::{Client, Outcome, Response};
use gateway::{
    Application, Chunks, Conditions, Environ, FileError, FileResponse, Gateway, Pool, StartResponse, application_fn,
};
use gateway_tests::{Ending, Server, capture_log, http2, recv};

/// Large enough to be sent without a pool thread.
const LARGE: usize = 1_000_000;

/// 2001-09-09 01:46:40, with a fraction of a second.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 500_000_000)
}

const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const SECOND_BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

/// A folder with one file.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new(bytes: &[u8]) -> Self {
        let folder = Self { folder: tempfile::tempdir().unwrap() };
        folder.write(bytes, long_ago());
        folder
    }

    fn write(&self, bytes: &[u8], modified: SystemTime) {
        let mut file = File::create(self.path()).unwrap();
        file.write_all(bytes).unwrap();
        file.set_modified(modified).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file.txt")
    }

    fn client(&self) -> Client {
        Client::new(sends(&self.path()))
    }

    /// The same in a handler.
    fn server(&self) -> Server {
        let path = self.path();
        let handler = move |conditions: Conditions| -> Result<FileResponse, FileError> {
            Ok(FileResponse::open(&path)?.conditions(conditions))
        };
        let pool = Pool::builder().threads(1).build().unwrap();
        Server::of(Router::new().route("/", get(pool.handler(handler))))
    }
}

fn sends(path: &Path) -> impl Application + use<> {
    struct Sends(PathBuf);
    impl Application for Sends {
        fn call<'r>(
            &'r self,
            environ: &'r mut Environ,
            start_response: StartResponse<'r>,
        ) -> gateway::Result<Chunks<'r>> {
            Ok(FileResponse::open(&self.0)?.send(environ, start_response)?)
        }
    }
    Sends(path.to_owned())
}

fn ask(client: &Client, method: &str, headers: &[(&str, &str)]) -> Response {
    headers.iter().fold(client.request(method, "/"), |request, (name, value)| request.header(name, value)).send()
}

fn status(client: &Client, headers: &[(&str, &str)]) -> u16 {
    ask(client, "GET", headers).status().as_u16()
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// FW-09.
#[test]
fn a_file_has_its_type_its_tag_its_date_and_its_length() {
    let response = Folder::new(b"0123456789").client().get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (200, "0123456789"));
    assert_eq!(header(&response, "content-type"), Some("text/plain"));
    assert_eq!(header(&response, "content-length"), Some("10"));
    assert_eq!(header(&response, "accept-ranges"), Some("bytes"));
    assert_eq!(header(&response, "last-modified"), Some(DATE));
    let nanos = long_ago().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    assert_eq!(header(&response, "etag"), Some(format!("\"{nanos:x}-a\"").as_str()));
}

/// FW-10: one range; several ranges, other units and invalid fields get the whole file.
#[test]
fn a_range_is_a_part_of_the_file() {
    let folder = Folder::new(b"0123456789");
    let client = folder.client();
    for (range, status, text, content_range) in [
        ("bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("bytes=9-9", 206, "9", Some("bytes 9-9/10")),
        ("bytes=9-", 206, "9", Some("bytes 9-9/10")),
        ("bytes=0-", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=5-1000", 206, "56789", Some("bytes 5-9/10")),
        ("bytes=-1", 206, "9", Some("bytes 9-9/10")),
        ("bytes=-1000", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=-0", 416, "", Some("bytes */10")),
        ("bytes=4-2", 200, "0123456789", None),
        ("bytes=0-1,4-5", 200, "0123456789", None),
        ("lines=1-2", 200, "0123456789", None),
    ] {
        let response = ask(&client, "GET", &[("range", range)]);
        assert_eq!((response.status().as_u16(), response.text().as_str()), (status, text), "{range}");
        assert_eq!(header(&response, "content-range"), content_range, "{range}");
        assert_eq!(header(&response, "content-length"), Some(text.len().to_string().as_str()), "{range}");
        assert_eq!(header(&response, "content-type").is_some(), status != 416, "{range}");
    }
    // A range is defined only for GET.
    let head = ask(&client, "HEAD", &[("range", "bytes=0-0")]);
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, Some("10")));
    assert_eq!(ask(&client, "POST", &[("range", "bytes=0-0")]).text(), "0123456789");
}

/// FW-11: each condition, and the precedence when there are several (RFC 9110 §13.2.2).
#[test]
fn conditions_are_evaluated_in_their_order() {
    let folder = Folder::new(b"0123456789");
    let client = folder.client();
    let tag = header(&client.get("/"), "etag").unwrap().to_owned();
    let weak = format!("W/{tag}");
    for (headers, expected) in [
        // A single condition.
        (vec![("if-match", &*tag)], 200),
        (vec![("if-match", "*")], 200),
        (vec![("if-match", "\"other\"")], 412),
        (vec![("if-match", &*weak)], 412),
        (vec![("if-unmodified-since", DATE)], 200),
        (vec![("if-unmodified-since", SECOND_BEFORE)], 412),
        (vec![("if-unmodified-since", "yesterday")], 200),
        (vec![("if-none-match", &*tag)], 304),
        (vec![("if-none-match", &*weak)], 304),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-none-match", "\"other\"")], 200),
        (vec![("if-none-match", "\"other\""), ("if-none-match", &*tag)], 304),
        (vec![("if-modified-since", DATE)], 304),
        (vec![("if-modified-since", SECOND_BEFORE)], 200),
        (vec![("if-modified-since", "yesterday")], 200),
        // A tag takes precedence over a date.
        (vec![("if-match", &*tag), ("if-unmodified-since", SECOND_BEFORE)], 200),
        (vec![("if-none-match", "\"other\""), ("if-modified-since", DATE)], 200),
        // 412 takes precedence over 304, and 304 over a range.
        (vec![("if-match", "\"other\""), ("if-none-match", &*tag)], 412),
        (vec![("if-match", &*tag), ("if-none-match", &*tag), ("range", "bytes=0-0")], 304),
        (vec![("if-match", "\"other\""), ("range", "bytes=99-")], 412),
        (vec![("if-none-match", "\"other\""), ("range", "bytes=99-")], 416),
        // A range of another version gets the whole file.
        (vec![("if-range", &*tag), ("range", "bytes=0-0")], 206),
        (vec![("if-range", "\"stale\""), ("range", "bytes=0-0")], 200),
        (vec![("if-range", "\"stale\""), ("range", "bytes=99-")], 200),
        (vec![("if-range", &*weak), ("range", "bytes=0-0")], 200),
        (vec![("if-range", DATE), ("range", "bytes=0-0")], 206),
        (vec![("if-range", SECOND_BEFORE), ("range", "bytes=0-0")], 200),
        (vec![("if-range", "nonsense"), ("range", "bytes=0-0")], 200),
        (vec![("if-range", &*format!("{tag}, {tag}")), ("range", "bytes=0-0")], 200),
        (vec![("if-range", &*format!("{tag}x")), ("range", "bytes=0-0")], 200),
        (vec![("if-range", &*format!("{tag},")), ("range", "bytes=0-0")], 200),
        (vec![("if-none-match", &*format!("\"other\" {tag}"))], 200),
        (vec![("if-range", &*tag)], 200),
    ] {
        assert_eq!(status(&client, &headers), expected, "{headers:?}");
    }
    // A file that may change again within its second has no date for the client.
    folder.write(b"0123456789", SystemTime::now() + Duration::from_secs(3600));
    assert_eq!(status(&client, &[("if-modified-since", "Fri, 31 Dec 9999 23:59:59 GMT")]), 200);
    folder.write(b"0123456789", long_ago());
    // A file as the result of another method has no conditions.
    assert_eq!(ask(&client, "POST", &[("if-none-match", "*"), ("if-match", "\"other\"")]).status(), 200);
    assert_eq!(ask(&client, "HEAD", &[("if-none-match", &tag)]).status(), 304);
}

/// FW-11: 304 has the tag and the caching fields, and no fields of a body.
#[test]
fn a_file_that_has_not_changed_is_not_described() {
    let folder = Folder::new(b"0123456789");
    let path = folder.path();
    let app = application_fn(move |environ: &mut Environ, start_response: StartResponse<'_>| {
        let file = FileResponse::open(&path)?.header(CACHE_CONTROL, "max-age=60").header(ETAG, "\"own\"");
        Ok(file.send(environ, start_response)?)
    });
    let response = ask(&Client::new(app), "GET", &[("if-none-match", "\"own\"")]);
    assert_eq!((response.status().as_u16(), response.text().as_str()), (304, ""));
    assert_eq!((header(&response, "etag"), header(&response, "cache-control")), (Some("\"own\""), Some("max-age=60")));
    for name in ["content-type", "content-length", "last-modified"] {
        assert_eq!(header(&response, name), None, "{name}");
    }
}

/// FW-12: while a change could go undetected, neither a strong tag nor a date promises that the bytes are the same.
#[test]
fn a_file_that_has_just_changed_has_a_weak_tag() {
    let folder = Folder::new(b"");
    folder.write(b"first", SystemTime::now() + Duration::from_secs(3600));
    let client = folder.client();
    let response = client.get("/");
    let weak = header(&response, "etag").unwrap();
    assert!(weak.starts_with("W/\"") && header(&response, "last-modified").is_none(), "{weak}");
    assert_eq!(status(&client, &[("if-none-match", weak)]), 304);
    assert_eq!(status(&client, &[("if-range", weak), ("range", "bytes=0-0")]), 200);
    // When the file has not changed for 2 seconds, the same time and length have a different tag.
    folder.write(b"first", long_ago());
    let strong = header(&client.get("/"), "etag").unwrap().to_owned();
    folder.write(b"other", long_ago() + Duration::from_nanos(100));
    assert_eq!(status(&client, &[("if-none-match", &strong)]), 200);
}

/// FW-13: a path without a regular file is a 404, and not a failure.
#[test]
fn what_is_no_file_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let name = |name: &str| folder.path().join(name);
    for path in [name("none"), name(""), name("file/below"), name(&"x".repeat(1000)), name("a\0b")] {
        let (response, log) = capture_log(|| Client::new(sends(&path)).get("/"));
        assert_eq!(response.status(), 404, "{}", path.display());
        assert!(log.is_empty(), "{log:?}");
        let opens = path.clone();
        let handler = move || FileResponse::open(&opens);
        let pool = Pool::builder().threads(1).build().unwrap();
        assert_eq!(Server::of(Router::new().route("/", get(pool.handler(handler)))).get("/").status(), 404);
    }
}

/// FW-14: an empty file has no ranges.
#[test]
fn an_empty_file_is_sent_whole() {
    let folder = Folder::new(b"");
    let client = folder.client();
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0"] {
        let response = ask(&client, "GET", &[("range", range)]);
        assert_eq!((response.status().as_u16(), response.text().as_str()), (200, ""), "{range}");
        assert_eq!(header(&response, "content-length"), Some("0"));
    }
    assert_eq!(status(&client, &[("if-none-match", "*")]), 304);
    // The file claims to be empty, and is not.
    let kernel = Client::new(sends(Path::new("/proc/self/status"))).get("/");
    assert!(kernel.text().starts_with("Name:"));
}

/// An invalid header value is an error of the application.
#[test]
fn a_header_that_cannot_be_sent_is_an_error() {
    let folder = Folder::new(b"x");
    let path = folder.path();
    let app = application_fn(move |environ: &mut Environ, start_response: StartResponse<'_>| {
        Ok(FileResponse::open(&path)?.content_type("text/plain\r\nx: y").send(environ, start_response)?)
    });
    let response = Client::new(app).get("/");
    assert_eq!(response.status(), 500);
    assert!(response.failure().unwrap().contains("content-type"));
}

/// HTTP-02, FW-10: in a handler, on both versions of HTTP/1, with HEAD, and with several requests on one connection.
#[test]
fn a_handler_returns_a_file() {
    let bytes: Vec<u8> = (0..LARGE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let folder = Folder::new(&bytes);
    let server = folder.server();
    let mut connection = server.connect();
    let part = connection.request("GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=7-500006\r\n\r\n");
    assert_eq!((part.status(), part.ending), (206, Ending::Length));
    assert!(part.body == bytes[7..500_007]);
    let tag = part.header("etag").unwrap().to_owned();
    for range in ["", "Range: bytes=0-0\r\n"] {
        connection.send(&format!("HEAD / HTTP/1.1\r\nHost: h\r\n{range}\r\n"));
        let head = connection.reply_to_head();
        assert_eq!((head.status(), head.header("content-length")), (200, Some("1000000")));
    }
    let same = connection.request(&format!("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\n\r\n"));
    assert_eq!((same.status(), same.header("etag")), (304, Some(&*tag)));
    let beyond = connection.request("GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=1000000-\r\n\r\n");
    assert_eq!((beyond.status(), beyond.header("content-range")), (416, Some("bytes */1000000")));
    let whole = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(whole.status() == 200 && whole.body == bytes);
    let old = server.connect().request("GET / HTTP/1.0\r\nRange: bytes=-3\r\n\r\n");
    assert_eq!((old.status(), old.body.as_slice()), (206, &bytes[LARGE - 3..]));
}

/// FW-10, FW-11: the same as on HTTP/1.
#[tokio::test(crate = "crate::bounded")]
async fn a_file_on_http2_is_a_part_or_not_modified() {
    use http_body_util::{BodyExt as _, Empty};

    let folder = Folder::new(&[b'x'; LARGE]);
    let server = folder.server();
    let mut client = http2::<Empty<bytes::Bytes>>(server.address()).await;
    for (method, name, value, status, length) in [
        ("GET", "range", "bytes=1-700000", 206, 700_000),
        ("GET", "range", "bytes=0-0", 206, 1),
        ("GET", "if-none-match", "*", 304, 0),
        ("HEAD", "range", "bytes=0-0", 200, 0),
        ("GET", "x-none", "", 200, LARGE),
    ] {
        let request = axum::http::Request::builder().method(method).uri("http://h/").header(name, value);
        let response = client.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{method} {name}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), length, "{method} {name}");
    }
}

/// ERR-05: a file that shrinks while it is sent never looks complete; of a file that grows, only the original length is
/// sent.
#[test]
fn a_file_that_changes_while_it_is_sent_has_the_length_it_had() {
    const HUGE: usize = 32 * 1024 * 1024;
    for change in [1000, 2 * HUGE as u64] {
        let (keep, kept) = mpsc::channel();
        let app = application_fn(move |environ: &mut Environ, start_response: StartResponse<'_>| {
            let mut file = tempfile::tempfile()?;
            file.write_all(&vec![b'x'; HUGE])?;
            keep.send(file.try_clone()?)?;
            Ok(FileResponse::new(file)?.send(environ, start_response)?)
        });
        let pool = Pool::builder().threads(1).build().unwrap();
        let server = Server::of(Gateway::new(app).pool(&pool));
        let mut download = server.connect();
        download.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let (line, headers) = download.head();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        recv(&kept).set_len(change).unwrap();
        let reply = download.body_of(line, headers);
        let grows = change > HUGE as u64;
        assert_eq!(reply.ending, if grows { Ending::Length } else { Ending::Broken });
        assert_eq!(reply.body.len() == HUGE, grows);
    }
}

/// A file that shrinks before the head is sent is a 500.
#[test]
fn a_file_that_shrinks_before_it_is_sent_is_a_failure() {
    let app = application_fn(|environ: &mut Environ, start_response: StartResponse<'_>| {
        let mut file = tempfile::tempfile()?;
        file.write_all(b"0123456789")?;
        let response = FileResponse::new(file.try_clone()?)?;
        file.set_len(5)?;
        Ok(response.send(environ, start_response)?)
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.outcome()), (500, Outcome::Complete));
}
