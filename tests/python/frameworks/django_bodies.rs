//! Django: large and streamed bodies, in both directions.

use gateway_tests::{Ending, until};
use serde_json::Value;

use crate::browser::{Browser, Framing, json as said};
use crate::environment::{board, serve};
use crate::file::File;

fn state(browser: &mut Browser) -> Value {
    said(&browser.get("/state/"))
}

/// PY-15, IN-26: Django reads `CONTENT_LENGTH` bytes, so that a chunked upload needs a `CONTENT_LENGTH`.
#[test]
fn an_upload_arrives_with_and_without_a_length() {
    let server = serve(board());
    let mut browser = Browser::new(&server);
    // A size that Django keeps in memory, and a size that it writes to a file.
    for size in [100_000, 7 << 20] {
        let file = File { size };
        for framing in [Framing::Length, Framing::Chunked] {
            let reply = browser.upload("/upload/", "A title", file, framing);
            let text = format!("A title numbers.bin application/x-numbers {size} {}", file.digest());
            assert_eq!((reply.status(), reply.text()), (200, text), "{framing:?}");
        }
    }
}

/// PY-15: the client receives each yielded chunk before the next one is made. The session is read meanwhile.
#[test]
fn a_streamed_response_arrives_as_it_is_made() {
    let server = serve(board());
    let mut stream = Browser::new(&server).ask("/stream/");
    let (line, headers) = stream.head();
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert!(headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())));
    assert_eq!(stream.chunk(), b"user: AnonymousUser\n");
    let mut browser = Browser::new(&server);
    assert_eq!(state(&mut browser)["closed"], 0);
    browser.get("/go-on/");
    assert_eq!(stream.chunk(), b"done\n");
    assert_eq!(stream.rest_of_chunks(), Ending::Chunked);
    // The body was closed before its end was sent.
    assert_eq!(state(&mut browser)["closed"], 1);
}

/// PY-09, PY-15.
#[test]
fn a_generator_ends_when_its_client_leaves() {
    let server = serve(board());
    let mut stream = Browser::new(&server).ask("/endless/");
    stream.head();
    stream.chunk();
    drop(stream);
    let mut browser = Browser::new(&server);
    until("the generator ends", || state(&mut browser)["left"] == true);
}

/// PY-15, FW-01, END-01: Django passes its file to `wsgi.file_wrapper`, and the close of the response closes the file.
#[test]
fn a_file_is_sent_and_closed() {
    let server = serve(board());
    let mut browser = Browser::new(&server);
    let text = include_bytes!("../apps/board/views.py");
    let (get, head) = (browser.get("/source/"), browser.head("/source/"));
    assert_eq!((get.status(), get.body.as_slice(), get.ending), (200, text.as_slice(), Ending::Length));
    assert_eq!(get.header("content-disposition"), Some("attachment; filename=\"views.py\""));
    assert_eq!(head.header("content-length"), Some(text.len().to_string().as_str()));
    // The client receives the last byte before the file is closed.
    until("both files are closed", || state(&mut browser)["files"] == 2);
}
