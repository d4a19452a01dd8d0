//! One HTTP/1.1 connection, byte by byte, that tells a whole answer from a part of one.

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
    /// A response that visibly lacks its end.
    Cut,
    /// Not one byte.
    Unanswered,
}

#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The first bytes of the body.
    pub(crate) body: Vec<u8>,
    /// How many it has in all.
    pub(crate) length: u64,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

/// How much of a body is kept.
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

    /// A connection for which the systems on both sides hold next to nothing of what the server sends before it is
    /// read: what they would hold grows with the size of a segment.
    pub(crate) async fn open_narrow(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        socket2::SockRef::from(&socket).set_tcp_mss(536)?;
        Ok(Self { stream: BufReader::with_capacity(256, socket.connect(address).await?) })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request and reads what comes back.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome {
        // A server that refuses a request unread may close its side first; what it said is still there to be read.
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

    /// Reads the head of a response, and leaves its body where it is.
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

    /// Reads up to that many bytes of whatever comes.
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

    /// Waits until the server closes.
    pub(crate) async fn closed(&mut self) {
        let mut bytes = [0; 512];
        while !matches!(self.stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
    }

    /// Gives the connection up with RST.
    pub(crate) fn reset(self) {
        let _ = self.stream.get_ref().set_zero_linger();
    }
}

/// The request for a target.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: load.test\r\n\r\n").into_bytes()
}

/// A POST with a body of that many bytes.
pub(crate) fn post(target: &str, length: usize) -> Vec<u8> {
    let mut request = post_head(target, length);
    request.resize(request.len() + length, b'x');
    request
}

/// The head of that POST.
pub(crate) fn post_head(target: &str, length: usize) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: load.test\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// Gets a target on a connection of its own.
pub(crate) async fn fetch(address: SocketAddr, target: &str) -> anyhow::Result<Reply> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        anyhow::Ok(connection.exchange(&get(target)).await)
    };
    match timeout(Duration::from_secs(10), exchange).await.with_context(|| format!("{target} takes too long"))?? {
        Outcome::Answered(reply) => Ok(reply),
        other => bail!("{target}: {other:?}"),
    }
}

/// Whether a target answers with 200.
pub(crate) async fn answers(address: SocketAddr, target: &str) -> bool {
    fetch(address, target).await.is_ok_and(|reply| reply.status == 200)
}

/// A counter of the application.
pub(crate) async fn count(address: SocketAddr, name: &str) -> anyhow::Result<i64> {
    let reply = fetch(address, &format!("/count?k={name}")).await?;
    Ok(std::str::from_utf8(&reply.body)?.parse()?)
}

/// How many of four threads that run applications are taken: four requests that sleep for a second are sent, and one
/// that has no answer long after that second had to wait for a thread.
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
