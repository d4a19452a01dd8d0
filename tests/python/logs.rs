//! The logs of the server.

use gateway_tests::{Connection, until};

use crate::process::{Process, command};

/// `/raise` fails; `/log` logs as Flask does; `/print` prints.
const APP: &str = "
import logging
LOGGER = logging.Logger('app')
def app(environ, start_response):
    path, errors = environ['PATH_INFO'], environ['wsgi.errors']
    if path == '/raise':
        raise ValueError('wrong\\n2026-11-30T00:00:00Z ERROR forged \\x1b[31m\\u202e\\u2028.')
    if path == '/log':
        handler = logging.StreamHandler(errors)
        handler.setFormatter(logging.Formatter('[%(asctime)s] %(levelname)s in %(module)s: %(message)s'))
        LOGGER.handlers = [handler]
        LOGGER.debug('of debug')
        LOGGER.info('of info')
        LOGGER.warning('of warning')
        try:
            None.missing
        except AttributeError:
            LOGGER.exception('of error')
    if path == '/print':
        print('printed', file=errors)
        print(file=errors)
        print('WARNING:root:of basicConfig', file=errors)
    start_response('200 OK', [('Content-Length', '5')])
    return [b'hello']
";

/// The records of a log: lines that do not begin with a space, each with its further lines.
fn records(log: &str) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    for line in log.lines() {
        match records.last_mut().filter(|_| line.starts_with(' ')) {
            Some(record) => *record += &format!("\n{line}"),
            None => records.push(line.to_owned()),
        }
    }
    records
}

/// The level, and the text after the target.
fn parts<'r>(record: &'r str, target: &str) -> Option<(&'r str, &'r str)> {
    let (head, text) = record.split_once(&format!("{target}: "))?;
    Some((head.split_whitespace().nth(1)?, text))
}

#[test]
fn what_logging_writes_has_its_level_and_its_lines() {
    let server = Process::start(APP, &[]);
    assert_eq!(server.get("/log"), "hello");
    assert_eq!(server.get("/print"), "hello");
    let (.., log) = server.stop();
    assert!(!log.contains("\n\n") && !log.contains('\u{1b}'), "{log}");
    let records = records(&log);
    let written: Vec<_> = records.iter().filter_map(|record| parts(record, "gateway::wsgi_errors")).collect();
    let expected = [
        ("DEBUG", "of debug"),
        ("INFO", "of info"),
        ("WARN", "of warning"),
        ("ERROR", "of error"),
        ("ERROR", "printed"),
        ("WARN", "of basicConfig"),
    ];
    assert_eq!(written.len(), expected.len(), "{log}");
    for ((level, text), expected) in written.iter().zip(expected) {
        assert!(*level == expected.0 && text.contains(expected.1), "{level} {text}");
    }
    let traceback: Vec<&str> = written[3].1.lines().collect();
    assert_eq!(traceback[1], "    Traceback (most recent call last):");
    assert!(traceback[2].starts_with("      File \"") && traceback[2].ends_with("in app"), "{traceback:?}");
    assert!(traceback.last().unwrap().starts_with("    AttributeError: "), "{traceback:?}");
}

/// However many lines the text of an exception has, none of them passes for a record.
#[test]
fn a_traceback_has_line_breaks_and_no_text_passes_for_a_record() {
    let server = Process::start(APP, &[]);
    let mut connection = Connection::open(server.address);
    assert_eq!(connection.request("GET /raise HTTP/1.1\r\nHost: a\r\n\r\n").status(), 500);
    let (.., log) = server.stop();
    let records = records(&log);
    let failure = records.iter().find(|record| record.contains("the application failed")).expect(&log);
    let lines: Vec<&str> = failure.lines().collect();
    assert_eq!(lines[1], "    Traceback (most recent call last):");
    assert_eq!(
        lines[lines.len() - 2..],
        ["    ValueError: wrong", r"    2026-11-30T00:00:00Z ERROR forged \u{1b}[31m\u{202e}\u{2028}."]
    );
    assert!(!records.iter().any(|record| record.starts_with("2026-11-30T00:00:00Z")), "{log}");
}

#[test]
fn a_request_that_cannot_be_parsed_leaves_a_record() {
    let server = Process::start(APP, &[]);
    let mut connection = Connection::open(server.address);
    let peer = connection.local_addr();
    assert_eq!(connection.request("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400);
    let text = format!("the head of a request is malformed: refused peer={peer} error=invalid HTTP method parsed");
    let is_record = |record: &String| parts(record, "gateway::serve") == Some(("INFO", &text));
    until("the record is written", || records(&server.log()).iter().any(is_record));
}

/// Also those that the server refuses itself, with the address of the client.
#[test]
fn the_access_log_has_a_line_for_each_request_that_cannot_be_parsed() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(101));
    let requests = [("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400), (&long, 414), (&many, 431)];
    let server = Process::start(APP, &["--access-log", "combined"]);
    for (request, status) in requests {
        assert_eq!(Connection::open(server.address).request(request).status(), status);
        let line = server.line();
        assert!(
            line.starts_with("127.0.0.1 - - [") && line.ends_with(&format!("] \"-\" {status} 0 \"-\" \"-\"")),
            "{line}"
        );
    }
    let server = Process::start(APP, &["--access-log", "json"]);
    assert_eq!(Connection::open(server.address).request(requests[0].0).status(), 400);
    let line: serde_json::Value = serde_json::from_str(&server.line()).unwrap();
    assert_eq!((&line["client"], &line["status"]), (&"127.0.0.1".into(), &400.into()), "{line}");
    assert!(line["target"].is_null() && line["complete"] == true, "{line}");
}

/// However many there are, the log has a bounded number of records, and the number of the others.
#[test]
fn requests_that_cannot_be_parsed_do_not_fill_the_log() {
    let server = Process::start(APP, &[]);
    for _ in 0..200 {
        assert_eq!(Connection::open(server.address).request("GE(T / HTTP/1.1\r\n\r\n").status(), 400);
    }
    let (.., log) = server.stop();
    let counts = log.lines().filter(|line| line.contains("malformed")).map(|line| {
        let left_out = line.split_once("left_out=").map_or(0, |(_, count)| count.trim().parse::<u32>().unwrap());
        u32::from(line.contains("the head of a request is malformed")) + left_out
    });
    assert_eq!(counts.sum::<u32>(), 200, "{log}");
}

/// HTTP/2 sends the host beside the target.
#[test]
fn the_access_log_has_the_target_of_a_request_on_http2() {
    let server = Process::start(APP, &["--access-log", "combined", "--mount", "/shop"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = http::Request::get("http://a/shop/x?y=1").body(http_body_util::Empty::<bytes::Bytes>::new());
        let response = gateway_tests::http2(server.address).await.send_request(request.unwrap()).await;
        assert_eq!(response.unwrap().status(), 200);
    });
    let line = server.line();
    assert!(line.contains("] \"GET /shop/x?y=1 HTTP/2.0\" 200 "), "{line}");
}

/// The address is that of the client, or of the client that a trusted proxy names.
#[test]
fn the_access_log_has_a_line_in_the_combined_format_for_each_request() {
    let server = Process::start(APP, &["--access-log", "combined", "--proxy", "127.0.0.1"]);
    let mut connection = Connection::open(server.address);
    let referer = "Referer: http://b/\"x\\\r\nUser-Agent: caf\u{e9}";
    connection.request(&format!("GET /a?b=%22 HTTP/1.1\r\nHost: a\r\n{referer}\r\n\r\n"));
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\nConnection: close";
    connection.request(&format!("POST /raise HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n{forwarded}\r\n\r\n"));
    let lines = [server.line(), server.line()];
    let (_, rest, _) = server.stop();
    assert_eq!(rest, "", "more lines than requests");
    for (line, (client, end)) in lines.iter().zip([
        ("127.0.0.1", r#""GET /a?b=%22 HTTP/1.1" 200 5 "http://b/\"x\\" "caf\xc3\xa9""#),
        ("192.0.2.7", r#""POST /raise HTTP/1.0" 500 "#),
    ]) {
        let (head, rest) = line.split_once("] ").expect(line);
        let time = head.strip_prefix(&format!("{client} - - [")).expect(line);
        assert!(rest.starts_with(end), "{line}");
        // 30/Nov/2026:12:00:00 +0000
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        let month = &time[3..6];
        assert_eq!(shape, format!("99/{month}/9999:99:99:99 +9999"), "{line}");
    }
    assert!(lines[1].ends_with(" \"-\" \"-\""), "{}", lines[1]);
}

/// As a byte, in both formats: a replacement character would stand for any byte.
#[test]
fn a_byte_that_is_no_text_is_escaped_in_the_access_log() {
    for (format, expected) in
        [("combined", r#""caf\xc3\xa9 \xff""#.to_owned()), ("json", "\"user_agent\":\"caf\u{e9} \\\\xff\"".to_owned())]
    {
        let server = Process::start(APP, &["--access-log", format]);
        let mut connection = Connection::open(server.address);
        connection.send_bytes(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: caf\xc3\xa9 \xff\r\n\r\n");
        assert_eq!(connection.reply().status(), 200);
        let line = server.line();
        assert!(line.contains(&expected), "{line}");
    }
}

/// Of all processes, appended.
#[test]
fn the_access_log_may_be_json_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("served.py"), APP).unwrap();
    let file = folder.path().join("access.log");
    std::fs::write(&file, "{}\n").unwrap();
    let flags = ["--processes", "2", "--access-log", "json", "--access-log-file", "access.log"];
    let server = Process::spawn(&mut command(folder.path(), &[&["served:app", "--port", "0"], &flags[..]].concat()));
    for number in 0..8 {
        server.get(&format!("/{number}"));
    }
    let (code, said, _) = server.stop();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 9, "{text}");
    let mut targets: Vec<&str> = lines[1..].iter().map(|line| line["target"].as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7"]);
    for line in &lines[1..] {
        let known = (&line["client"], &line["method"], &line["status"], &line["bytes"], &line["complete"]);
        assert_eq!(known, (&"127.0.0.1".into(), &"GET".into(), &200.into(), &5.into(), &true.into()));
        assert_eq!((&line["protocol"], line["user_agent"].is_null()), (&"HTTP/1.1".into(), true));
        assert!(line["duration_ms"].is_f64() && line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    }
}
