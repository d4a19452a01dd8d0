//! A client that keeps its connection and its cookies.

use gateway_tests::{Connection, Reply, Server};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::file::File;

/// One user.
pub(crate) struct Browser {
    connection: Connection,
    cookies: Vec<(String, String)>,
}

/// How a client marks the end of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Length,
    Chunked,
}

/// Parses the JSON body of a reply.
pub(crate) fn json(reply: &Reply) -> Value {
    assert_eq!(reply.status(), 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error} in {:?}", reply.text()))
}

const BOUNDARY: &str = "----between";

impl Browser {
    pub(crate) fn new(server: &Server) -> Self {
        Self::over(server.connect())
    }

    pub(crate) fn over(connection: Connection) -> Self {
        Self { connection, cookies: Vec::new() }
    }

    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.send("GET", target, &[], b"")
    }

    pub(crate) fn head(&mut self, target: &str) -> Reply {
        self.send("HEAD", target, &[], b"")
    }

    /// Sends a form.
    pub(crate) fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Reply {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", target, &[form], pairs.join("&").as_bytes())
    }

    /// Sends a request. A body that is not empty has a Content-Length.
    pub(crate) fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if !body.is_empty() {
            headers.push(("Content-Length", &length));
        }
        self.begin(method, target, &headers);
        self.connection.send_bytes(body);
        self.finish(method)
    }

    /// Sends a body in chunks of these sizes, which repeat.
    pub(crate) fn send_chunked(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8], size: usize) -> Reply {
        self.begin("POST", target, &[headers, &[("Transfer-Encoding", "chunked")]].concat());
        body.chunks(size).chain([&[][..]]).for_each(|chunk| self.connection.send_chunk(chunk));
        self.finish("POST")
    }

    /// Sends a form with a field `title` and a file `file`.
    pub(crate) fn upload(&mut self, target: &str, title: &str, file: File, framing: Framing) -> Reply {
        let before = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{title}\r\n--{BOUNDARY}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"numbers.bin\"\r\n\
             Content-Type: application/x-numbers\r\n\r\n"
        );
        let after = format!("\r\n--{BOUNDARY}--\r\n");
        let length = (before.len() + file.size + after.len()).to_string();
        let framed = match framing {
            Framing::Length => ("Content-Length", length.as_str()),
            Framing::Chunked => ("Transfer-Encoding", "chunked"),
        };
        let form = format!("multipart/form-data; boundary={BOUNDARY}");
        self.begin("POST", target, &[("Content-Type", form.as_str()), framed]);
        for piece in std::iter::once(before.into_bytes()).chain(file.pieces()).chain([after.into_bytes()]) {
            match framing {
                Framing::Length => self.connection.send_bytes(&piece),
                Framing::Chunked => self.connection.send_chunk(&piece),
            }
        }
        if let Framing::Chunked = framing {
            self.connection.send_chunk(b"");
        }
        self.finish("POST")
    }

    /// Sends a GET, and returns the connection, on which the reply can be read.
    pub(crate) fn ask(mut self, target: &str) -> Connection {
        self.begin("GET", target, &[]);
        self.connection
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a cookie that did not come from a server.
    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(known, _)| known != name);
        self.cookies.push((name.to_owned(), value.to_owned()));
    }

    fn begin(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: test.local\r\n");
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head.push_str(&format!("Cookie: {}\r\n", pairs.join("; ")));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        self.connection.send(&format!("{head}\r\n"));
    }

    fn finish(&mut self, method: &str) -> Reply {
        let reply = if method == "HEAD" { self.connection.reply_to_head() } else { self.connection.reply() };
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie");
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        reply
    }
}
