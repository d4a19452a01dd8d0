//! The content of `environ`.

use bytes::Bytes;
use gateway::testing::{Client, Inline};
use gateway::{Application, Chunks, Environ, Gateway, LocalAddr, Result, StartResponse, Tls};
use gateway_tests::Server;

use crate::support::{answering, get, python, seen};

/// PY-01, ENV-27 to ENV-33.
#[test]
fn the_environ_is_an_exact_dict_of_exact_types() {
    let lines = seen(
        "
seen.append(str(type(environ) is dict))
seen.append(str(all(type(key) is str for key in environ)))
seen.append(str([key for key, value in environ.items() if '.' not in key and type(value) is not str]))
seen.append(str((environ['wsgi.version'], type(environ['wsgi.version']) is tuple)))
for key in 'multithread', 'multiprocess', 'run_once', 'input_terminated':
    seen.append(str(environ['wsgi.' + key]))
seen.append(environ['wsgi.url_scheme'])
",
    );
    assert_eq!(lines, ["True", "True", "[]", "((1, 0), True)", "False", "False", "False", "True", "http"]);
}

/// ENV-30: also for two mounts on one thread.
#[test]
fn each_mount_says_whether_there_are_other_processes() {
    let client = |says| {
        let app = answering("[repr(environ['wsgi.multiprocess']).encode()]");
        Client::of(Gateway::new(app).executor(Inline::new()).multiprocess(says))
    };
    let (one, several) = (client(false), client(true));
    for _ in 0..2 {
        assert_eq!((one.get("/").text(), several.get("/").text()), ("False".to_owned(), "True".to_owned()));
    }
}

/// ENV-01.
#[test]
fn what_an_application_does_to_its_environ_is_gone_with_it() {
    let client = Client::new(python(
        "
def app(environ, start_response):
    start_response('200 OK', [])
    old = environ.get('wsgi.x', 'nothing'), environ['wsgi.version']
    environ['wsgi.x'] = 'x'
    environ['wsgi.version'] = None
    del environ['PATH_INFO']
    return [repr(old).encode()]
",
    ));
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "('nothing', (1, 0))");
    }
}

/// ENV-01, PY-01: the dict of a request has nothing of the requests that its thread has had before.
#[test]
fn a_variable_of_one_request_is_not_in_the_next() {
    let keys = "'CONTENT_TYPE', 'CONTENT_LENGTH', 'QUERY_STRING', 'PATH_INFO', 'REQUEST_METHOD', 'HTTP_X', 'HTTP_HOST'";
    let client = Client::new(answering(&format!("[repr([environ.get(key) for key in ({keys})]).encode()]")));
    for _ in 0..2 {
        let request = client.request("PUT", "/first?q=1").header("content-type", "text/plain").header("x", "1");
        let first = request.header("host", "first").body("abc").send();
        assert_eq!(first.text(), "['text/plain', '3', 'q=1', '/first', 'PUT', '1', 'first']");
        assert_eq!(client.get("/").text(), "[None, None, '', '/', 'GET', None, 'test.local']");
    }
}

/// PY-01, ENV-01: copied dicts and kept values do not restore variables that middleware has removed, and contain no
/// variables of another request.
#[test]
fn a_variable_that_middleware_has_hidden_or_changed_is_so_in_the_dict() {
    let keys = "'PATH_INFO', 'SERVER_NAME', 'REQUEST_METHOD', 'HTTP_HOST'";
    let inner = answering(&format!("[repr([environ.get(key, 'absent') for key in ({keys})]).encode()]"));
    struct Hides<A>(A);
    impl<A: Application> Application for Hides<A> {
        fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
            if environ.path_info() == "/hidden" {
                environ.remove("PATH_INFO");
                environ.remove("HTTP_HOST");
                environ.insert("SERVER_NAME", "elsewhere");
            }
            self.0.call(environ, start_response)
        }
    }
    let client = Client::new(Hides(inner));
    for _ in 0..2 {
        assert_eq!(client.request("POST", "/hidden").send().text(), "['absent', 'elsewhere', 'POST', 'absent']");
        let plain = client.request("GET", "/a").header("host", "a.example").send();
        assert_eq!(plain.text(), "['/a', 'a.example', 'GET', 'a.example']");
    }
}

/// PY-01, ENV-44: the dict has the keys and values of `Environ::iter`, in the same order.
#[test]
fn the_dict_has_the_keys_and_values_of_the_environ() {
    struct Lists<A>(A);
    impl<A: Application> Application for Lists<A> {
        fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
            environ.insert("SERVER_NAME", "own");
            environ.insert("own.text", "\u{2603}");
            environ.insert("wsgi.multithread", "own");
            environ.insert("wsgi.input_terminated", "own");
            environ.remove("HTTP_X_HIDDEN");
            environ.remove("wsgi.errors");
            let listed: Vec<String> = environ.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            let first = Ok(Bytes::from(listed.concat() + "--\n"));
            Ok(self.0.call(environ, start_response)?.wrap(|dict| std::iter::once(first).chain(dict)))
        }
    }
    let texts = r"f'{key}={value}\n' for key, value in environ.items() if type(value) is str";
    let inner = answering(&format!("[''.join({texts}).encode()]"));
    let gateway = Gateway::new(Lists(inner))
        .executor(Inline::new())
        .server_name("ignored")
        .variable("HTTP_X_MOUNT", "mount")
        .variable("REMOTE_USER", "mount");
    let facts = Tls::new().with("SSL_PROTOCOL", "TLSv1.3").with("SSL_CLIENT_S_DN", "CN=\u{e9}");
    let request = Client::of(gateway).request("POST", "/%ff?q").extension(facts);
    let response = request
        .header("x-mount", "header")
        .header("x-hidden", "header")
        .header("x-word", "caf\u{e9}")
        .header("x-word", "b")
        .body("abc")
        .send();
    let text = response.text();
    let (environ, dict) = text.split_once("--\n").unwrap();
    // The dict begins with the variables that every request has.
    let headers_and_others = |list: &str| {
        let is_plain = |line: &&str| line.starts_with("HTTP_X") || line.starts_with("SSL_") || line.contains("mount");
        list.lines().filter(is_plain).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(headers_and_others(environ), headers_and_others(dict));
    let sorted = |list: &str| list.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(environ), sorted(dict));
    assert!(dict.contains("wsgi.multithread=own\n") && !dict.contains("wsgi.errors"), "{dict}");
}

/// ENV-02, ENV-08, ENV-15, ENV-16, PY-16: each byte is one character.
#[test]
fn text_is_one_character_for_each_byte() {
    let keys = "'PATH_INFO', 'QUERY_STRING', 'HTTP_X_WORD', 'HTTP_COOKIE', 'HTTP_HOST'";
    let app = answering(&format!("[repr([environ[key].encode('latin-1') for key in ({keys})]).encode()]"));
    let server = Server::of(app);
    let reply = server.connect().request(
        "GET /caf%C3%A9?caf%C3%A9 HTTP/1.1\r\nHost: a\r\nX-Word: caf\u{e9}\r\nX-Word: b\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
    );
    assert_eq!(reply.text(), r"[b'/caf\xc3\xa9', b'caf%C3%A9', b'caf\xc3\xa9,b', b'a=1; b=2', b'a']");
}

/// SEC-01, SEC-02, ENV-13, ENV-42.
#[test]
fn headers_that_must_not_be_seen_are_not() {
    let app = answering("[' '.join(sorted(key for key in environ if key.startswith('HTTP_'))).encode()]");
    let response = Client::new(app)
        .request("POST", "/")
        .header("x_forwarded_for", "1")
        .header("proxy", "evil")
        .header("content-type", "text/plain")
        .header("x-seen", "1")
        .body("abc")
        .send();
    let keys = response.text();
    assert!(keys.contains("HTTP_X_SEEN"), "{keys}");
    for hidden in ["FORWARDED", "PROXY", "CONTENT", "TRANSFER"] {
        assert!(!keys.contains(hidden), "{keys}");
    }
}

/// ENV-25: an application finds the key of the address where the peer has none, and not where nobody tells.
#[test]
fn the_address_of_a_peer_on_a_unix_socket_is_empty() {
    let app = || answering("[repr((environ.get('REMOTE_ADDR'), environ.get('REMOTE_PORT'))).encode()]");
    assert_eq!(Client::new(app()).get("/").text(), "(None, None)");
    let request = Client::new(app()).request("GET", "/").extension(LocalAddr::Unix);
    assert_eq!(request.send().text(), "('', None)");
}

/// PY-02.
#[test]
fn the_application_is_called_with_two_positional_arguments() {
    let response = get("
def app(*args, **kwargs):
    args[1]('200 OK', [])
    return [repr((len(args), kwargs)).encode()]
");
    assert_eq!(response.text(), "(2, {})");
}
