//! The environ: each field has one key, bytes are preserved, and no value is invented.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use gateway::testing::{Client, Inline, Request, with_request};
use gateway::{Chunks, Environ, Gateway, Tls, application_fn};
use gateway_tests::{Server, answer_fn, panic_message};
use proptest::prelude::*;

fn request(method: &str, target: &str) -> Request {
    Client::new(application_fn(|_, _| Ok(Chunks::empty()))).request(method, target)
}

/// The output of `look`, which is called with the environ of a request.
fn seen<R>(request: Request, look: impl FnOnce(&mut Environ) -> R) -> R {
    with_request(request, |environ, _| look(environ)).returned
}

fn get(request: Request, key: &str) -> Option<String> {
    seen(request, |environ| environ.get(key).map(str::to_owned))
}

/// ENV-03, ENV-10, ENV-22, ENV-35.
#[test]
fn the_request_line_is_taken_apart() {
    seen(request("pAtCh", "/a/b?x=%20&y=?z"), |environ| {
        for (key, value) in [
            ("REQUEST_METHOD", "pAtCh"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/a/b"),
            ("QUERY_STRING", "x=%20&y=?z"),
            ("REQUEST_URI", "/a/b?x=%20&y=?z"),
            ("RAW_URI", "/a/b?x=%20&y=?z"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("wsgi.url_scheme", "http"),
        ] {
            assert_eq!(environ.get(key), Some(value), "{key}");
        }
        assert!(environ.get("SERVER_SOFTWARE").is_some_and(|text| text.starts_with("gateway/")));
    });
    assert_eq!(get(request("GET", "/"), "QUERY_STRING").as_deref(), Some(""));
}

/// ENV-08, ENV-09.
#[test]
fn the_path_is_decoded_once_and_never_normalised() {
    for (target, path) in [
        ("/a%20b", "/a b"),
        ("/a%2Fb", "/a/b"),
        ("/%00", "/\0"),
        ("/%ff", "/\u{ff}"),
        ("/%C3%A9", "/\u{c3}\u{a9}"),
        ("/%2525", "/%25"),
        ("/%zz%4", "/%zz%4"),
        ("/a+b", "/a+b"),
        ("//a/./../b//", "//a/./../b//"),
    ] {
        assert_eq!(get(request("GET", target), "PATH_INFO").as_deref(), Some(path), "{target}");
    }
}

/// ENV-11, ENV-12, ENV-13.
#[test]
fn content_headers_have_variables_of_their_own() {
    let with = request("POST", "/").header("content-type", "text/plain").body("hello");
    seen(with, |environ| {
        assert_eq!(environ.get("CONTENT_TYPE"), Some("text/plain"));
        assert_eq!((environ.get("CONTENT_LENGTH"), environ.content_length()), (Some("5"), Some(5)));
        assert_eq!((environ.get("HTTP_CONTENT_TYPE"), environ.get("HTTP_CONTENT_LENGTH")), (None, None));
    });
    seen(request("GET", "/"), |environ| {
        assert_eq!((environ.get("CONTENT_TYPE"), environ.get("CONTENT_LENGTH")), (None, None));
    });
}

/// EXT-05: the accessor returns the same value as `get`, even if middleware has changed it.
#[test]
fn the_content_length_is_that_of_the_variable() {
    seen(request("POST", "/").body("hello"), |environ| {
        for (value, length) in [("3", Some(3)), ("+3", None), ("", None)] {
            environ.insert("CONTENT_LENGTH", value);
            assert_eq!(environ.content_length(), length, "{value:?}");
        }
        environ.remove("CONTENT_LENGTH");
        assert_eq!(environ.content_length(), None);
    });
}

/// ENV-14 to ENV-18, ENV-02.
#[test]
fn headers_become_variables_byte_for_byte() {
    let with = request("GET", "/")
        .header("accept-language", "en")
        .header("x-many", "a")
        .header("x-many", "b")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-empty", "")
        .header("x-name", "caf\u{e9}");
    seen(with, |environ| {
        for (key, value) in [
            ("HTTP_ACCEPT_LANGUAGE", Some("en")),
            ("HTTP_X_MANY", Some("a,b")),
            ("HTTP_COOKIE", Some("a=1; b=2")),
            ("HTTP_X_EMPTY", Some("")),
            // The value has two bytes of UTF-8, so the variable has two characters.
            ("HTTP_X_NAME", Some("caf\u{c3}\u{a9}")),
            ("HTTP_X_ABSENT", None),
            ("HTTP_", None),
            ("http_accept_language", None),
        ] {
            assert_eq!(environ.get(key), value, "{key}");
            assert_eq!(environ.get(key), value, "{key}, asked again");
        }
    });
}

/// ENV-42, SEC-01, SEC-02, SEC-03.
#[test]
fn headers_that_could_pass_for_something_else_never_get_in() {
    let with = request("GET", "/")
        .header("x_forwarded_for", "evil")
        .header("content_length", "99")
        .header("proxy", "http://evil")
        .header("script-name", "/evil")
        .header("transfer-encoding", "chunked");
    seen(with, |environ| {
        for key in
            ["HTTP_X_FORWARDED_FOR", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH", "HTTP_PROXY", "HTTP_TRANSFER_ENCODING"]
        {
            assert_eq!(environ.get(key), None, "{key}");
        }
        assert_eq!(environ.get("SCRIPT_NAME"), Some(""));
        assert_eq!(environ.get("HTTP_SCRIPT_NAME"), Some("/evil"));
        assert!(environ.iter().all(|(_, value)| !value.contains("http://evil") && value != "99"));
    });
}

/// ENV-20, ENV-21, ENV-28.
#[test]
fn the_server_has_a_name_and_a_port() {
    for (host, name, port) in [
        ("example.org", "example.org", "80"),
        ("example.org:8080", "example.org", "8080"),
        ("[::1]:81", "[::1]", "81"),
        ("[::1]", "[::1]", "80"),
        ("", "localhost", "80"),
        ("a:b:c", "a", "80"),
        ("[::1", "[", "80"),
        ("a:+80", "a", "80"),
        (":", "localhost", "80"),
    ] {
        seen(request("GET", "/").header("host", host), |environ| {
            assert_eq!((environ.get("SERVER_NAME"), environ.get("SERVER_PORT")), (Some(name), Some(port)), "{host:?}");
        });
    }
    let app = answer_fn(|environ| {
        let keys = ["SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme"];
        Ok([keys.map(|key| environ.get(key).unwrap_or("-")).join(" ")])
    });
    let gateway = Gateway::new(app).executor(Inline::new());
    let https = Client::of(gateway.clone().https(true));
    assert_eq!(https.get("/").text(), "test.local 443 https");
    let configured = Client::of(gateway.clone().server_name("configured").server_port(8443).https(true));
    assert_eq!(configured.get("/").text(), "configured 8443 https");
    // Native text, as in all variables: two bytes of UTF-8 are two characters.
    let beyond_ascii = Client::of(gateway.server_name("caf\u{e9}"));
    assert_eq!(beyond_ascii.get("/").text(), "caf\u{c3}\u{a9} 80 http");
}

/// ENV-23, ENV-24, ENV-25, ENV-26.
#[test]
fn the_peer_is_known_or_absent_but_never_made_up() {
    seen(request("GET", "/"), |environ| {
        for key in ["REMOTE_ADDR", "REMOTE_PORT", "REMOTE_HOST", "REMOTE_USER", "AUTH_TYPE"] {
            assert_eq!(environ.get(key), None, "{key}");
        }
    });
    let peer: SocketAddr = "[::1]:1234".parse().unwrap();
    seen(request("GET", "/").extension(ConnectInfo(peer)), |environ| {
        assert_eq!((environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")), (Some("::1"), Some("1234")));
        assert_eq!(environ.remote_addr(), Some(peer));
    });
}

/// HTTP-18: `Upgrade` is ignored (RFC 9110 §7.8): no variable invites an application to take over the connection.
#[test]
fn no_application_is_asked_to_upgrade() {
    let upgrade = request("GET", "/").header("connection", "upgrade").header("upgrade", "websocket");
    seen(upgrade, |environ| {
        assert_eq!((environ.get("HTTP_UPGRADE"), environ.get("HTTP_CONNECTION")), (None, Some("upgrade")));
        assert!(environ.iter().all(|(key, _)| key != "HTTP_UPGRADE"));
        assert!(environ.headers().contains_key("upgrade"));
    });
}

/// ENV-38.
#[test]
fn the_process_environment_stays_outside() {
    assert!(std::env::var("PATH").is_ok());
    seen(request("GET", "/"), |environ| {
        assert_eq!(environ.get("PATH"), None);
        assert!(environ.iter().all(|(key, _)| key != "PATH"));
    });
}

/// ENV-01, EXT-05.
#[test]
fn an_environ_belongs_to_its_request() {
    let app = application_fn(|environ, start_response| {
        let before = environ.get("own.key").map(str::to_owned);
        environ.insert("own.key", "1");
        environ.insert("own.key", "2");
        environ.insert("PATH_INFO", "/changed");
        environ.remove("HTTP_HOST");
        start_response("200 OK", &[])?;
        assert_eq!(environ.path_info(), "/changed");
        let after = ["own.key", "PATH_INFO", "HTTP_HOST"].map(|key| environ.get(key).unwrap_or("-").to_owned());
        let listed = environ.iter().filter(|(key, _)| key == "own.key" || key == "HTTP_HOST").count();
        Ok(Chunks::new([format!("{before:?} {after:?} {listed}")]))
    });
    let client = Client::new(app);
    for _ in 0..2 {
        assert_eq!(client.get("/x").text(), r#"None ["2", "/changed", "-"] 1"#);
    }
}

/// MNT-12.
#[test]
fn extensions_reach_the_application() {
    seen(request("GET", "/").extension(42_u8), |environ| {
        assert_eq!(environ.extensions().get::<u8>(), Some(&42));
        environ.extensions_mut().insert("text");
        assert_eq!(environ.extensions().get::<&str>(), Some(&"text"));
    });
}

/// ENV-19, ENV-41.
#[test]
fn an_absolute_target_names_the_host() {
    let app = answer_fn(|environ| {
        let keys = ["HTTP_HOST", "PATH_INFO", "SERVER_NAME", "REQUEST_URI"];
        Ok([keys.map(|key| environ.get(key).unwrap_or("-")).join(" ")])
    });
    // axum's server does not provide its address.
    let server = Server::with_axum(app);
    let mut connection = server.connect();
    let reply = connection.request("GET http://target.example:81/p?q HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(reply.text(), "target.example:81 /p target.example http://target.example:81/p?q");
}

/// ENV-02: the variables contain the bytes of the request, whatever text they form.
#[test]
fn a_variable_can_be_had_as_bytes() {
    let with = request("GET", "/%00%ff%C3%A9?caf%e9").extension(Tls::new().with("SSL_CLIENT_S_DN", "CN=\u{e9}"));
    seen(with, |environ| {
        assert_eq!(environ.get_bytes("PATH_INFO").as_deref(), Some(&b"/\0\xff\xc3\xa9"[..]));
        assert_eq!(environ.get_bytes("QUERY_STRING").as_deref(), Some(&b"caf%e9"[..]));
        assert_eq!(environ.get_bytes("SSL_CLIENT_S_DN").as_deref(), Some("CN=\u{e9}".as_bytes()));
        assert_eq!(environ.get_bytes("HTTP_ABSENT"), None);
        environ.insert("app.name", "\u{2603}");
        assert_eq!(environ.get_bytes("app.name").as_deref(), Some("\u{2603}".as_bytes()));
    });
}

/// ENV-36, ENV-28, SEC-03: the variables of TLS come from the server, and no client can set them.
#[test]
fn tls_variables_come_from_the_server_alone() {
    let forged = request("GET", "/").header("ssl-protocol", "forged").header("https", "on");
    seen(forged, |environ| {
        let keys = ["HTTPS", "SSL_PROTOCOL"];
        assert_eq!(keys.map(|key| environ.get(key)), [None, None]);
        assert_eq!((environ.get("HTTP_HTTPS"), environ.url_scheme()), (Some("on"), "http"));
    });
    let over_tls = request("GET", "/").extension(Tls::new().with("SSL_PROTOCOL", "TLSv1.3")).header("host", "h");
    seen(over_tls, |environ| {
        assert_eq!(environ.get("HTTPS"), Some("on"));
        assert_eq!(environ.get("SSL_PROTOCOL"), Some("TLSv1.3"));
        assert_eq!(environ.get("SSL_CIPHER"), None);
        assert_eq!((environ.get("wsgi.url_scheme"), environ.get("SERVER_PORT")), (Some("https"), Some("443")));
        assert!(environ.iter().any(|(key, value)| key == "SSL_PROTOCOL" && value == "TLSv1.3"));
    });
}

/// ENV-37, ENV-26: the deployer's variables are in every environ, override the request's variables, and cannot replace
/// the gateway's own.
#[test]
fn a_deployer_can_add_variables_but_not_replace_those_of_the_gateway() {
    let app = || application_fn(|_, _| Ok(Chunks::empty()));
    let gateway =
        Gateway::new(app()).variable("REMOTE_USER", "admin").variable("HTTP_ACCEPT", "x").variable("app.mode", "test");
    let with = Client::of(gateway).request("GET", "/").header("accept", "y").header("remote-user", "forged");
    seen(with, |environ| {
        let keys = ["REMOTE_USER", "HTTP_ACCEPT", "app.mode", "HTTP_REMOTE_USER"];
        assert_eq!(keys.map(|key| environ.get(key).unwrap_or("-")), ["admin", "x", "test", "forged"]);
        for key in keys {
            assert_eq!(environ.iter().filter(|(listed, _)| listed == key).count(), 1, "{key}");
        }
        environ.insert("app.mode", "own");
        assert_eq!(environ.get("app.mode"), Some("own"));
    });
    for (name, value) in
        [("wsgi.url_scheme", "https"), ("gateway.request_id", "1"), ("", "x"), ("A", "\u{100}"), ("PATH_INFO", "/")]
    {
        let message = panic_message(|| Gateway::new(app()).variable(name, value));
        assert!(message.contains(&format!("{name:?}")), "{message}");
    }
}

/// ENV-27, ENV-29, ENV-30, ENV-31, ENV-33, ENV-39.
#[test]
fn the_wsgi_constants_are_what_they_should_be() {
    seen(request("GET", "/"), |environ| {
        assert_eq!(environ.wsgi_version(), (1, 0));
        assert!(!environ.multithread());
        assert!(!environ.multiprocess() && !environ.run_once() && environ.input_terminated());
        let own = environ.iter().filter(|(key, _)| key.starts_with("gateway")).map(|(key, _)| key.into_owned());
        assert_eq!(own.collect::<Vec<_>>(), ["gateway.request_id"]);
    });
}

/// ENV-30: the deployer says whether there are other processes.
#[test]
fn the_deployer_says_whether_other_processes_serve_the_application() {
    for says in [true, false] {
        let app = answer_fn(|environ| Ok([environ.multiprocess().to_string()]));
        assert_eq!(Client::of(Gateway::new(app).multiprocess(says)).get("/").text(), says.to_string());
    }
}

/// ENV-40: `OPTIONS *` refers to the server, not to a path.
#[test]
fn options_of_the_server_have_no_path() {
    seen(request("OPTIONS", "*"), |environ| {
        assert_eq!((environ.path_info(), environ.script_name(), environ.get("REQUEST_URI")), ("", "", Some("*")));
    });
}

proptest! {
    /// ENV-02, ENV-06, ENV-08: the bytes of any path reach the application, decoded once.
    #[test]
    fn any_path_arrives_byte_for_byte(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let encoded: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        let path = get(request("GET", &format!("/{encoded}")), "PATH_INFO").unwrap();
        let arrived: Vec<u8> = path.chars().skip(1).map(|character| u8::try_from(character).unwrap()).collect();
        prop_assert_eq!(arrived, bytes);
    }

    /// SEC-01: no value comes from a header with an underscore in its name.
    #[test]
    fn no_underscored_header_gets_in(names in proptest::collection::vec("[a-z][a-z_-]{0,12}", 1..8)) {
        let mut with = request("GET", "/");
        for name in &names {
            with = with.header(name, if name.contains('_') { "forged" } else { "good" });
        }
        seen(with, |environ| {
            let listed = |text| environ.iter().filter(|(_, value)| value.contains(text)).count();
            let good: BTreeSet<_> = names.iter().filter(|name| !name.contains('_')).collect();
            assert_eq!((listed("forged"), listed("good")), (0, good.len()), "{names:?}");
        });
    }
}
