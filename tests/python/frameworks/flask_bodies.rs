//! Flask: large and streamed bodies, in both directions.

use gateway::{Gateway, python};
use gateway_tests::{Connection, Ending, Server, until};
use serde_json::{Value, json};

use crate::browser::{Browser, Framing, json as said};
use crate::environment::{process, serve, shop, start};
use crate::file::File;

/// A mount with a spool, and a mount that streams.
fn servers() -> [Server; 2] {
    let pool = python::pool().threads(2).build().unwrap();
    [serve(shop()), start(Gateway::new(shop()).pool(&pool))]
}

fn state(browser: &mut Browser) -> Value {
    said(&browser.get("/state"))
}

/// PY-15.
#[test]
fn a_form_is_read() {
    for server in servers() {
        let mut browser = Browser::new(&server);
        let form = json!({"form": {"a": ["1 2", "€&="], "b": [""]}, "type": "application/x-www-form-urlencoded"});
        let fields = [("a", "1 2"), ("a", "€&="), ("b", "")];
        assert_eq!(said(&browser.post("/form", &fields)), form);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(said(&browser.send_chunked("/form", &[kind], b"a=1+2&a=%E2%82%AC%26%3D&b=", 4)), form);
    }
}

/// PY-15, IN-26: a spooled chunked body has a length, and a streamed one is read to its end.
#[test]
fn a_chunked_body_is_read_whole() {
    let file = File { size: 200_001 };
    let body: Vec<u8> = file.pieces().flatten().collect();
    let [spools, streams] = servers();
    for (server, length) in [(spools, "200001"), (streams, "None")] {
        let mut browser = Browser::new(&server);
        let read = format!("{} {}", file.size, file.digest());
        assert_eq!(browser.send_chunked("/raw", &[], &body, 7_000).text(), format!("{length} {read}"));
        assert_eq!(browser.send("PUT", "/raw", &[], &body).text(), format!("200001 {read}"));
        let reply = browser.upload("/upload", "A title", file, Framing::Chunked).text();
        assert_eq!(reply, format!("A title numbers.bin application/x-numbers {read}"));
    }
}

/// PY-15: a large file arrives unchanged, whether its length was declared or not.
#[test]
fn an_upload_of_50_mib_arrives() {
    let file = File { size: 50 << 20 };
    let server = serve(shop());
    let mut browser = Browser::new(&server);
    for framing in [Framing::Length, Framing::Chunked] {
        let reply = browser.upload("/upload", "large", file, framing).text();
        assert_eq!(reply, format!("large numbers.bin application/x-numbers {} {}", file.size, file.digest()));
    }
}

/// PY-15: a large upload is buffered in files, and never in memory.
#[cfg(target_os = "linux")]
#[test]
fn a_large_upload_takes_little_memory() {
    let server = process("shop:create_app()", &["--threads", "4", "--max-body", "67108864"]);
    let mut browser = Browser::over(Connection::open(server.address));
    let mut send = |size| {
        let file = File { size };
        let reply = browser.upload("/upload", "T", file, Framing::Chunked).text();
        assert!(reply.ends_with(&format!("{size} {}", file.digest())), "{reply}");
    };
    // The memory for any upload that exceeds the in-memory limits.
    send(4 << 20);
    let before = server.peak_memory();
    send(50 << 20);
    let grown = server.peak_growth(before);
    assert!(grown < 25 << 10, "50 MiB took {grown} KiB of memory");
}

/// PY-15: the client receives each yielded chunk before the next one is made.
#[test]
fn a_streamed_response_arrives_as_it_is_made() {
    let server = serve(shop());
    let mut stream = Browser::new(&server).ask("/stream?title=T");
    let (line, headers) = stream.head();
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert!(headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())));
    assert_eq!(stream.chunk(), b"title: T\n");
    let mut browser = Browser::new(&server);
    assert_eq!(state(&mut browser)["closed"], 0);
    browser.get("/go-on");
    assert_eq!(stream.chunk(), b"done\n");
    assert_eq!(stream.rest_of_chunks(), Ending::Chunked);
    // The body was closed before its end was sent.
    assert_eq!(state(&mut browser)["closed"], 1);
}

/// PY-09, PY-15: a disconnect ends the generator.
#[test]
fn a_generator_ends_when_its_client_leaves() {
    let server = serve(shop());
    let mut stream = Browser::new(&server).ask("/endless");
    stream.head();
    stream.chunk();
    drop(stream);
    let mut browser = Browser::new(&server);
    until("the generator ends", || state(&mut browser)["left"] == true);
}
