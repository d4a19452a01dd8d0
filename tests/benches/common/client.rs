//! An HTTP/1.1 connection that checks whether a response is complete.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A whole response.
    Answered(Reply),
    /// A response that is detectably incomplete.
    Cut,
    /// No response: not one byte was received.
    Unanswered,
}

#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The first bytes of the body, at most `KEPT`.
    pub(crate) body: Vec<u8>,
    /// The length of the whole body.
    pub(crate) length: u64,
    /// Whether the connection closes after this response.
    pub(crate) closes: bool,
}

/// The maximum number of bytes of a body that are kept.
const KEPT: usize = 1024;

/// How a body is delimited.
enum Frame {
    Length(u64),
    Chunked,
    Close,
}

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(4096, stream) })
    }

    /// Opens a connection with a small receive buffer and a small segment size, so that the kernels on both sides hold
    /// almost no unread data of the server: their buffers grow with the segment size.
    pub(crate) async fn open_narrow(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        socket2::SockRef::from(&socket).set_tcp_mss(536)?;
        Ok(Self { stream: BufReader::with_capacity(256, socket.connect(address).await?) })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request and reads the response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome {
        // A server that refuses a request before it has read it may close its side first; its response can still be
        // read.
        let _ = self.send(request).await;
        self.reply().await
    }

    pub(crate) async fn reply(&mut self) -> Outcome {
        match self.stream.fill_buf().await {
            Ok([]) | Err(_) => return Outcome::Unanswered,
            Ok(_) => {}
        }
        match self.read_reply(true).await {
            Ok(reply) => Outcome::Answered(reply),
            Err(_) => Outcome::Cut,
        }
    }

    /// Reads the head of a response, and does not read its body.
    pub(crate) async fn reply_head(&mut self) -> anyhow::Result<u16> {
        Ok(self.read_reply(false).await?.status)
    }

    async fn read_reply(&mut self, whole: bool) -> anyhow::Result<Reply> {
        let mut reply = Reply::default();
        let mut frame = Frame::Close;
        let line = self.line().await?;
        reply.status = line.split(' ').nth(1).context("no status")?.parse()?;
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => frame = Frame::Length(value.parse()?),
                Some(("transfer-encoding", "chunked")) => frame = Frame::Chunked,
                Some(("connection", "close")) => reply.closes = true,
                None => break,
                _ => {}
            }
        }
        if !whole {
            return Ok(reply);
        }
        match frame {
            Frame::Length(length) => {
                reply.length = length;
                self.body(length, &mut reply.body).await?;
            }
            Frame::Chunked => loop {
                let line = self.line().await?;
                let size = u64::from_str_radix(line.split(';').next().unwrap_or(""), 16)?;
                self.body(size, &mut reply.body).await?;
                reply.length += size;
                if !self.line().await?.is_empty() {
                    bail!("a chunk is not followed by the end of a line");
                }
                if size == 0 {
                    break;
                }
            },
            Frame::Close => {
                reply.closes = true;
                while !self.stream.fill_buf().await?.is_empty() {
                    let here = self.stream.buffer().len();
                    reply.length += here as u64;
                    self.stream.consume(here);
                }
            }
        }
        Ok(reply)
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(64 * 1024).read_until(b'\n', &mut line).await?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => bail!("the connection ends within a line"),
        }
    }

    async fn body(&mut self, mut left: u64, kept: &mut Vec<u8>) -> anyhow::Result<()> {
        while left > 0 {
            let bytes = self.stream.fill_buf().await?;
            if bytes.is_empty() {
                bail!("the connection ends within the body");
            }
            let here = bytes.len().min(usize::try_from(left)?);
            kept.extend_from_slice(&bytes[..here.min(KEPT - kept.len())]);
            self.stream.consume(here);
            left -= here as u64;
        }
        Ok(())
    }

    /// Reads up to `most` bytes without parsing them.
    pub(crate) async fn skim(&mut self, most: usize) -> io::Result<usize> {
        let mut bytes = vec![0; most];
        let mut got = 0;
        while got < most {
            match self.stream.read(&mut bytes[got..]).await? {
                0 => break,
                more => got += more,
            }
        }
        Ok(got)
    }

    /// Waits until the server closes the connection.
    pub(crate) async fn closed(&mut self) {
        let mut bytes = [0; 512];
        while !matches!(self.stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
    }

    /// Closes the connection with RST.
    pub(crate) fn reset(self) {
        let _ = self.stream.get_ref().set_zero_linger();
    }
}

/// A GET request for a target.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: load.test\r\n\r\n").into_bytes()
}

/// A POST request with a body of `length` bytes.
pub(crate) fn post(target: &str, length: usize) -> Vec<u8> {
    let mut request = post_head(target, length);
    request.resize(request.len() + length, b'x');
    request
}

/// The head of the request that `post` makes.
pub(crate) fn post_head(target: &str, length: usize) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: load.test\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// Sends a GET request on a new connection.
pub(crate) async fn fetch(address: SocketAddr, target: &str) -> anyhow::Result<Reply> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        anyhow::Ok(connection.exchange(&get(target)).await)
    };
    match timeout(Duration::from_secs(10), exchange).await.with_context(|| format!("{target}: timeout"))?? {
        Outcome::Answered(reply) => Ok(reply),
        other => bail!("{target}: {other:?}"),
    }
}

/// Whether the response for a target has status 200.
pub(crate) async fn answers(address: SocketAddr, target: &str) -> bool {
    fetch(address, target).await.is_ok_and(|reply| reply.status == 200)
}

/// Reads a counter of the application.
pub(crate) async fn count(address: SocketAddr, name: &str) -> anyhow::Result<i64> {
    let reply = fetch(address, &format!("/count?k={name}")).await?;
    Ok(std::str::from_utf8(&reply.body)?.parse()?)
}

/// The number of occupied threads, of four that run applications: the function sends four requests that sleep for a
/// second; a request without a response long after that second had to wait for a thread.
pub(crate) async fn threads_taken(address: SocketAddr) -> usize {
    let mut sleepers = JoinSet::new();
    for _ in 0..4 {
        sleepers.spawn(async move {
            let exchange = async {
                let mut connection = Connection::open(address).await.ok()?;
                Some(connection.exchange(&get("/sleep?ms=1000")).await)
            };
            let outcome = timeout(Duration::from_millis(1700), exchange).await;
            matches!(outcome, Ok(Some(Outcome::Answered(reply))) if reply.status == 200)
        });
    }
    let answers = sleepers.join_all().await;
    answers.into_iter().filter(|answered| !answered).count()
}
