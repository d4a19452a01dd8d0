//! The environ of a request.

use serde_json::json;

use crate::target::{everywhere, text};

/// ENV-03, ENV-05, ENV-10, ENV-22, ENV-34, ENV-35, ENV-27 to ENV-33.
#[test]
fn the_request_line_and_the_constants_are_there() {
    everywhere(|target| {
        let environ = target.environ("/env/a?x=1?y=%20&z", "");
        let prefix = target.prefix;
        let uri = format!("{prefix}/env/a?x=1?y=%20&z");
        let rows = [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", prefix),
            ("PATH_INFO", "/env/a"),
            ("QUERY_STRING", "x=1?y=%20&z"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_URI", &uri),
            ("RAW_URI", &uri),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("wsgi.url_scheme", "http"),
            ("SERVER_NAME", "127.0.0.1"),
            ("SERVER_PORT", &target.port().to_string()),
            ("HTTP_HOST", "wire.test:81"),
            ("REMOTE_ADDR", "127.0.0.1"),
        ];
        for (key, value) in rows {
            assert_eq!(text(&environ, key), value, "{key}");
        }
        assert!(text(&environ, "REMOTE_PORT").parse::<u16>().is_ok());
        assert!(!text(&environ, "SERVER_SOFTWARE").is_empty());
        let constants = [
            ("wsgi.version", json!([1, 0])),
            ("wsgi.multithread", json!(true)),
            ("wsgi.multiprocess", json!(false)),
            ("wsgi.run_once", json!(false)),
            ("wsgi.input_terminated", json!(true)),
        ];
        for (key, value) in constants {
            assert_eq!(environ[key], value, "{key}");
        }
        assert_eq!(text(&target.environ("/env", ""), "QUERY_STRING"), "");
    });
}

/// ENV-06 to ENV-09, ENV-02, SEC-10, SEC-11: the path is decoded once, is never normalised, and is never parsed as an
/// authority.
#[test]
fn the_path_arrives_byte_for_byte() {
    everywhere(|target| {
        let rows = [
            ("/env/%2F%2e", "/env//."),
            ("/env//x/", "/env//x/"),
            ("/env/./a/../b", "/env/./a/../b"),
            ("/env%00%ff%C3%A9", "/env\u{0}\u{ff}\u{c3}\u{a9}"),
            ("/env%zz%4", "/env%zz%4"),
            ("/env+%2B%252F", "/env++%2F"),
            ("/env%0d%0aX-Evil:%201", "/env\r\nX-Evil: 1"),
        ];
        for (path, info) in rows {
            let environ = target.environ(path, "");
            assert_eq!((text(&environ, "PATH_INFO"), text(&environ, "SCRIPT_NAME")), (info, target.prefix), "{path}");
            assert_eq!(text(&environ, "REQUEST_URI"), format!("{}{path}", target.prefix));
        }
        if target.prefix.is_empty() {
            let environ = target.environ("//evil.example/env", "");
            assert_eq!(
                (text(&environ, "PATH_INFO"), text(&environ, "HTTP_HOST")),
                ("//evil.example/env", "wire.test:81")
            );
        }
    });
}

/// ENV-11 to ENV-18, ENV-42, SEC-01, SEC-02, SEC-03, ENV-26, ENV-38: each header field has one key; a field whose name
/// could be mistaken for another one has no key.
#[test]
fn headers_become_variables_or_nothing() {
    everywhere(|target| {
        let environ = target.environ(
            "/env",
            "Content-Type: text/x\r\nX-Twice: a\r\nx-twice: b\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty:\r\n\
             X-Space: \t inner  space \t\r\nX_Under: forged\r\nContent_Length: 9\r\nProxy: http://evil\r\n\
             Remote-User: forged\r\nScript-Name: forged\r\n",
        );
        let rows = [
            ("CONTENT_TYPE", "text/x"),
            ("CONTENT_LENGTH", "-"),
            ("HTTP_CONTENT_TYPE", "-"),
            ("HTTP_CONTENT_LENGTH", "-"),
            ("HTTP_X_TWICE", "a,b"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_X_EMPTY", ""),
            ("HTTP_X_SPACE", "inner  space"),
            ("HTTP_X_UNDER", "-"),
            ("HTTP_PROXY", "-"),
            ("HTTP_REMOTE_USER", "forged"),
            ("REMOTE_USER", "-"),
            ("SCRIPT_NAME", target.prefix),
            ("AUTH_TYPE", "-"),
            ("PATH", "-"),
            ("HOME", "-"),
        ];
        for (key, value) in rows {
            assert_eq!(text(&environ, key), value, "{key}");
        }
    });
}

/// SEC-05, ENV-23, ENV-28: forwarding header fields are ignored, because no proxy is trusted by default.
#[test]
fn forwarding_headers_change_nothing() {
    everywhere(|target| {
        let environ = target.environ(
            "/env",
            "Forwarded: for=6.6.6.6;proto=https;host=evil\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nX-Real-IP: 6.6.6.6\r\n",
        );
        let keys =
            ["REMOTE_ADDR", "wsgi.url_scheme", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "SCRIPT_NAME", "HTTPS"];
        let port = target.port().to_string();
        let expected = ["127.0.0.1", "http", "127.0.0.1", &port, "wire.test:81", target.prefix, "-"];
        assert_eq!(keys.map(|key| text(&environ, key)), expected);
    });
}

/// ENV-17, ENV-02: non-ASCII bytes in header values reach the application unchanged.
#[test]
fn header_bytes_are_kept() {
    everywhere(|target| {
        let mut connection = target.connect();
        connection.send(&target.head("GET", "/env"));
        connection.send_bytes(b"X-Bytes: \xa0\x85caf\xe9\xff\r\n\r\n");
        let environ = serde_json::from_str(&connection.reply().text()).unwrap();
        assert_eq!(text(&environ, "HTTP_X_BYTES"), "\u{a0}\u{85}caf\u{e9}\u{ff}");
    });
}

/// ENV-19, ENV-41, ENV-20, ENV-40: an absolute target sets the host, but not the server name, and yields the same path.
#[test]
fn an_absolute_target_wins_over_the_host_header() {
    everywhere(|target| {
        let uri = format!("http://other.test:8080{}/env/x?q", target.prefix);
        let reply = target.connect().request(&format!("GET {uri} HTTP/1.1\r\nHost: wire.test\r\n\r\n"));
        let environ = serde_json::from_str(&reply.text()).unwrap();
        let keys = ["HTTP_HOST", "SERVER_NAME", "PATH_INFO", "SCRIPT_NAME", "REQUEST_URI"];
        assert_eq!(
            keys.map(|key| text(&environ, key)),
            ["other.test:8080", "127.0.0.1", "/env/x", target.prefix, &uri]
        );
    });
}

/// ENV-03, ENV-22, MNT-03: any method reaches the application in its original case; the protocol of an HTTP/1.0 request
/// is HTTP/1.0, and its host is optional.
#[test]
fn any_method_and_both_versions_of_http_1_are_served() {
    everywhere(|target| {
        for method in ["DELETE", "PATCH", "get", "X-ODD!"] {
            let reply = target.connect().request(&(target.head(method, "/env") + "\r\n"));
            let environ = serde_json::from_str(&reply.text()).unwrap();
            assert_eq!(text(&environ, "REQUEST_METHOD"), method);
        }
        let reply = target.connect().request(&format!("GET {}/env HTTP/1.0\r\n\r\n", target.prefix));
        let environ = serde_json::from_str(&reply.text()).unwrap();
        let keys = ["SERVER_PROTOCOL", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT"];
        assert_eq!(keys.map(|key| text(&environ, key)), ["HTTP/1.0", "-", "127.0.0.1", &target.port().to_string()]);
    });
}

/// SEC-04, SEC-07, SEC-13, HTTP-18: ambiguous requests are refused.
#[test]
fn ambiguous_requests_are_refused() {
    everywhere(|target| {
        let before = target.count("ok");
        let get = |rest: &str| format!("GET {}/ok HTTP/1.1\r\n{rest}", target.prefix);
        let rows = [
            (get(""), 400),
            (get("Host: a\r\nHost: b\r\n"), 400),
            (get("Host: a b\r\n"), 400),
            (get("Host: a/b\r\n"), 400),
            (get("Host: a@b\r\n"), 400),
            (get("Host: a?b\r\n"), 400),
            (get("Host: <a>\r\n"), 400),
            (get("Host: a\r\nContent-Type: a\r\nContent-Type: b\r\n"), 400),
            (get("Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n"), 400),
            (get("Host: a\r\nContent-Length: +1\r\n"), 400),
            (get("Host: a\r\nX-Folded: a\r\n b\r\n"), 400),
            (get("Host: a\r\nX-Space : a\r\n"), 400),
            (get("Host: a\r\nTransfer-Encoding: gzip\r\n"), 400),
            (get("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"), 501),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n".to_owned(), 501),
        ];
        for (head, status) in rows {
            let mut connection = target.connect();
            connection.send(&format!("{head}\r\n"));
            assert_eq!(connection.reply().status(), status, "{head}");
        }
        let mut connection = target.connect();
        connection.send_bytes(format!("GET {}/ok\u{0}x HTTP/1.1\r\nHost: a\r\n\r\n", target.prefix).as_bytes());
        assert_eq!(connection.reply().status(), 400);
        let mut connection = target.connect();
        connection.send_bytes(&[b"GET /ok\xff HTTP/1.1\r\n".as_slice(), b"Host: a\r\n\r\n"].concat());
        assert_eq!(connection.reply().status(), 400);
        assert_eq!(target.count("ok"), before);
    });
}

/// SEC-08, ENV-43: a request with too many header fields is refused; dropped fields count, too.
#[test]
fn the_number_of_header_fields_is_limited() {
    everywhere(|target| {
        for name in ["X-Many", "X_Many"] {
            let fields: String = (0..200).map(|number| format!("{name}{number}: x\r\n")).collect();
            let mut connection = target.connect();
            connection.send(&format!("{}{fields}\r\n", target.head("GET", "/ok")));
            assert_eq!(connection.reply().status(), 431, "{name}");
        }
        // The total size of the fields is limited, too, however small each field is.
        for (size, expected) in [(300_000, 200), (450_000, 431)] {
            let mut connection = target.connect();
            let head = format!("{}X-Large: {}\r\n\r\n", target.head("GET", "/ok"), "x".repeat(size));
            // The server may close the connection before it has read the whole head.
            let _ = connection.try_send_bytes(head.as_bytes());
            assert_eq!(connection.reply().status(), expected, "{size}");
        }
    });
}

/// ENV-01: no data of a request reaches the next request on the same connection.
#[test]
fn requests_on_one_connection_have_nothing_in_common() {
    everywhere(|target| {
        let mut connection = target.connect();
        let mut ask = |headers: &str| -> serde_json::Value {
            let reply = connection.request(&format!("{}{headers}\r\n", target.head("GET", "/env")));
            serde_json::from_str(&reply.text()).unwrap()
        };
        let first = ask("X-Once: 1\r\n");
        let second = ask("");
        assert_eq!((text(&first, "HTTP_X_ONCE"), text(&second, "HTTP_X_ONCE")), ("1", "-"));
        assert_ne!(text(&first, "gateway.request_id"), text(&second, "gateway.request_id"));
    });
}
