//! An HTTP/1 client without a library, so that tests see the bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::Segments;
use crate::bound::BOUND;

/// A client connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The bytes that were read and not used yet.
    buffer: Vec<u8>,
    /// The remaining number of bytes to send one by one.
    alone: usize,
    /// Whether a read timeout counts as the end of the connection, and not as a failure.
    gives_up: bool,
}

/// How the end of a reply's body was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The declared length was received.
    Length,
    /// The last chunk.
    Chunked,
    /// The end of the connection, the only marker of HTTP/1.0.
    Closed,
    /// The reply has no body.
    NoBody,
    /// The connection ended too early: the message is incomplete.
    Broken,
}

/// A reply as it was received.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status line.
    pub line: String,
    /// The header fields in order; names in lower case, values as Latin-1.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// How the body ended.
    pub ending: Ending,
}

impl Reply {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code")
    }

    /// The value of a header field that occurs once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "header {name} comes twice");
        value
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }
}

impl Connection {
    /// Connects. Reads have a timeout, so that a broken server fails a test and does not block it for ever.
    pub fn open(address: SocketAddr) -> Self {
        Self::open_in(Segments::Whole, address)
    }

    /// Connects, and sends in segments of this size.
    pub fn open_in(segments: Segments, address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(BOUND)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, buffer: Vec::new(), alone: segments.budget(), gives_up: false }
    }

    /// Another handle on the connection, to send while this handle reads.
    #[must_use]
    pub fn second_handle(&self) -> Self {
        Self {
            stream: self.stream.try_clone().expect("a second handle"),
            buffer: Vec::new(),
            alone: self.alone,
            gives_up: self.gives_up,
        }
    }

    /// Posts a body to `/` on a separate thread. The server may close the connection before it has received everything.
    pub fn post_meanwhile(&mut self, body: String) -> std::thread::JoinHandle<()> {
        self.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
        let mut sender = self.second_handle();
        std::thread::spawn(move || {
            let _ = sender.try_send_bytes(body.as_bytes());
        })
    }

    /// Sends text.
    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// Sends bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send_bytes(bytes).expect("the server reads");
    }

    /// Sends bytes until the server closes the connection.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let (alone, together) = bytes.split_at(self.alone.min(bytes.len()));
        self.alone -= alone.len();
        for byte in alone {
            self.stream.write_all(&[*byte])?;
        }
        self.stream.write_all(together)
    }

    /// Sends a chunk of a chunked body; an empty chunk ends the body.
    pub fn send_chunk(&mut self, bytes: &[u8]) {
        self.send(&format!("{:x}\r\n", bytes.len()));
        self.send_bytes(bytes);
        self.send("\r\n");
    }

    /// Sends HEAD, and reads the reply to it.
    pub fn request_head(&mut self, target: &str) -> Reply {
        self.send(&format!("HEAD {target} HTTP/1.1\r\nHost: test.local\r\n\r\n"));
        self.reply_to_head()
    }

    /// Sends a whole request and reads the reply to it.
    pub fn request(&mut self, text: &str) -> Reply {
        self.send(text);
        self.reply()
    }

    /// Shuts down the sending side.
    pub fn finish_sending(&mut self) {
        // The server may have closed the connection.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads a reply to a request that was not HEAD.
    pub fn reply(&mut self) -> Reply {
        let (line, headers) = self.head();
        self.body_of(line, headers)
    }

    /// Reads the body that follows a head.
    pub fn body_of(&mut self, line: String, headers: Vec<(String, String)>) -> Reply {
        let mut reply = Reply { line, headers, body: Vec::new(), ending: Ending::NoBody };
        self.body(&mut reply);
        reply
    }

    /// Reads a reply, or returns `None` if the connection ends first. A server that closes a connection with unread
    /// bytes resets it, and the reset may discard the reply.
    pub fn reply_or_reset(&mut self) -> Option<Reply> {
        self.has_head().then(|| self.reply())
    }

    /// [`reply_or_reset`](Self::reply_or_reset), for HEAD.
    pub fn head_reply_or_reset(&mut self) -> Option<Reply> {
        self.has_head().then(|| self.reply_to_head())
    }

    fn has_head(&mut self) -> bool {
        loop {
            if self.buffer.windows(4).any(|window| window == b"\r\n\r\n") {
                return true;
            }
            if !self.fill() {
                return false;
            }
        }
    }

    /// Treats a read timeout of this length as the end of the connection.
    pub fn give_up_after(&mut self, wait: Duration) {
        self.stream.set_read_timeout(Some(wait)).expect("a timeout");
        self.gives_up = true;
    }

    /// Reads a reply to HEAD.
    pub fn reply_to_head(&mut self) -> Reply {
        let (line, headers) = self.head();
        Reply { line, headers, body: Vec::new(), ending: Ending::NoBody }
    }

    /// Reads a status line and headers.
    pub fn head(&mut self) -> (String, Vec<(String, String)>) {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill(), "the connection ended within a head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: String = self.buffer.drain(..end + 4).map(char::from).collect();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().expect("a status line").to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header field");
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        (line, headers)
    }

    /// Reads exactly `count` bytes.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "the connection ended early");
        }
        self.buffer.drain(..count).collect()
    }

    /// Whether unread bytes have arrived.
    pub fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a socket");
        !self.buffer.is_empty() || peeked.is_ok_and(|count| count > 0)
    }

    /// The local address of the connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connection")
    }

    /// Reads and discards bytes until the server has closed the connection.
    pub fn discard_until_closed(&mut self) {
        while self.fill() {
            self.buffer.clear();
        }
    }

    /// Whether the server has closed the connection, without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    fn body(&mut self, reply: &mut Reply) {
        if matches!(reply.status(), 204 | 304) {
            return;
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.ending = self.chunks(&mut reply.body);
        } else if let Some(length) =
            reply.header("content-length").map(|length| length.parse::<usize>().expect("digits"))
        {
            while self.buffer.len() < length {
                if !self.fill() {
                    reply.ending = Ending::Broken;
                    reply.body = std::mem::take(&mut self.buffer);
                    return;
                }
            }
            reply.body = self.buffer.drain(..length).collect();
            reply.ending = Ending::Length;
        } else {
            while self.fill() {}
            reply.body = std::mem::take(&mut self.buffer);
            reply.ending = Ending::Closed;
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Ending {
        while let Some(line) = self.line() {
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
            while self.buffer.len() < size + 2 {
                if !self.fill() {
                    body.extend(self.buffer.drain(..).take(size));
                    return Ending::Broken;
                }
            }
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
            if size == 0 {
                return Ending::Chunked;
            }
        }
        Ending::Broken
    }

    /// Reads a chunked body to its end, or until it is aborted.
    pub fn rest_of_chunks(&mut self) -> Ending {
        self.chunks(&mut Vec::new())
    }

    /// Reads the next chunk of a chunked body.
    pub fn chunk(&mut self) -> Vec<u8> {
        let line = self.line().expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
        let chunk = self.exactly(size);
        self.exactly(2);
        chunk
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                return Some(self.buffer.drain(..end + 2).map(char::from).collect());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads more; false at the end of the connection, orderly or not.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
            // A read with a timeout is not restarted after a signal, or after a stop of the process.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => self.fill(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) if self.gives_up && error.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("the server sends nothing: {error}"),
        }
    }
}
