//! One wsgibin server with one mount, runtime and segmentation.

use gateway_tests::{Connection, Flavour, Reply, Segments, Server, until};
use serde_json::Value;

use crate::served;

/// The server that a check sends its requests to.
pub(crate) struct Target<'s> {
    server: &'s Server,
    /// The mount of wsgibin: `""` or `/app`.
    pub(crate) prefix: &'static str,
    pub(crate) segments: Segments,
}

/// Runs a check against wsgibin with every mount, runtime and segmentation.
pub(crate) fn everywhere(check: impl Fn(&Target<'_>)) {
    everywhere_with(&[], check);
}

/// [`everywhere`], with flags for wsgibin.
pub(crate) fn everywhere_with(flags: &[&str], check: impl Fn(&Target<'_>)) {
    for segments in Segments::ALL {
        for flavour in Flavour::ALL {
            let server = Server::in_segments(segments, flavour, served(flags));
            for prefix in ["", "/app"] {
                check(&Target { server: &server, prefix, segments });
            }
        }
    }
}

impl Target<'_> {
    pub(crate) fn connect(&self) -> Connection {
        self.server.connect()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// A request head without its final empty line: `METHOD prefix/path`, and the host.
    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        format!("{method} {}{path} HTTP/1.1\r\nHost: wire.test:81\r\n", self.prefix)
    }

    /// Sends a request head that ends with `rest`, on a new connection.
    pub(crate) fn begin(&self, method: &str, path: &str, rest: &str) -> Connection {
        let mut connection = self.connect();
        connection.send(&(self.head(method, path) + rest));
        connection
    }

    /// Sends GET on a new connection.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.connect().request(&(self.head("GET", path) + "\r\n"))
    }

    /// Sends POST with a body of declared length, on a new connection.
    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        let mut connection = self.connect();
        connection.send(&format!("{}Content-Length: {}\r\n\r\n", self.head("POST", path), body.len()));
        connection.send(body);
        connection.reply()
    }

    /// Sends HEAD, and then GET of `/ok`, to check that the connection stays usable.
    pub(crate) fn head_then_ok(&self, path: &str) -> Reply {
        let mut connection = self.connect();
        connection.send(&(self.head("HEAD", path) + "\r\n"));
        let reply = connection.reply_to_head();
        assert_eq!(connection.request(&(self.head("GET", "/ok") + "\r\n")).text(), "ok", "after HEAD {path}");
        reply
    }

    /// The environ of a request with these additional header fields.
    pub(crate) fn environ(&self, path: &str, headers: &str) -> Value {
        let reply = self.connect().request(&format!("{}{headers}\r\n", self.head("GET", path)));
        serde_json::from_str(&reply.text()).unwrap_or_else(|error| panic!("{path}: {error}: {reply:?}"))
    }

    /// A counter of wsgibin.
    pub(crate) fn count(&self, name: &str) -> i64 {
        let reply = self.server.get(&format!("/count?k={name}"));
        reply.text().parse().expect("a number")
    }

    /// Occupies a thread until the connection is dropped, or until the rest of the body is sent. It needs `--read-ahead
    /// 0`, so that the application runs before the body arrives.
    pub(crate) fn occupy(&self) -> Connection {
        let before = self.count("echo");
        let ask = || {
            let mut connection = self.connect();
            connection.send(&format!("{}Transfer-Encoding: chunked\r\n\r\n", self.head("POST", "/echo")));
            connection
        };
        let mut connection = ask();
        let is_running = || self.count("echo") > before;
        until("a request occupies a thread", || {
            if is_running() {
                return true;
            }
            // Refused: the thread is not free yet of an earlier request, and the queue is short.
            if connection.has_answer() && !is_running() {
                connection = ask();
            }
            false
        });
        connection
    }

    /// Waits until a counter has reached `least`, for events that only a counter shows.
    pub(crate) fn await_count(&self, name: &str, least: i64) {
        until(&format!("{name} is {least}"), || self.count(name) >= least);
    }
}

/// The text of a key, or `-` if the key is absent.
pub(crate) fn text<'v>(environ: &'v Value, key: &str) -> &'v str {
    environ.get(key).map_or("-", |value| value.as_str().unwrap_or_else(|| panic!("{key} is {value}")))
}
