//! Sends one stream on one connection, and receives the responses.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{sleep, timeout};

use crate::answer::{Answer, parse};
use crate::reference::{Reading, read};
use crate::stream::Stream;

/// The read timeout if all requests are answered: a server that sends nothing for this time is assumed to be done.
const QUIET: Duration = Duration::from_millis(250);

/// The read timeout if a response is missing: some servers check their connections only once a second.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The results of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) answers: Vec<Answer>,
    /// The parsed bytes that were sent, including the probe if it was sent.
    pub(crate) reading: Reading,
    /// The number of responses before the probe was sent; `None` if the connection had closed before.
    pub(crate) probed_after: Option<usize>,
}

/// Receives and stores the bytes of the server.
struct Receiver {
    half: OwnedReadHalf,
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Receiver {
    /// Reads until the wanted number of responses has arrived, the connection closes, or the read times out. The
    /// timeout is longer while requests are unanswered.
    async fn receive_up_to(&mut self, wanted: usize, reading: &Reading) -> Vec<Answer> {
        self.receive(wanted, reading, |is_owed| if is_owed { PATIENCE } else { QUIET }).await
    }

    /// Reads until the connection closes or no byte arrives for the given time.
    async fn receive_within(&mut self, quiet: Duration, reading: &Reading) -> Vec<Answer> {
        self.receive(usize::MAX, reading, |_| quiet).await
    }

    async fn receive(&mut self, wanted: usize, reading: &Reading, quiet: impl Fn(bool) -> Duration) -> Vec<Answer> {
        let is_head = |at: usize| reading.requests.get(at).is_some_and(|request| request.method == b"HEAD");
        loop {
            let answers = parse(&self.bytes, is_head);
            if self.has_ended || (answers.is_whole && answers.all.len() >= wanted) {
                return answers.all;
            }
            let mut piece = [0; 8192];
            let is_owed = !answers.is_whole || answers.all.len() < reading.whole();
            match timeout(quiet(is_owed), self.half.read(&mut piece)).await {
                Ok(Ok(0) | Err(_)) => self.has_ended = true,
                Ok(Ok(length)) => self.bytes.extend(&piece[..length]),
                Err(_) => return answers.all,
            }
        }
    }
}

/// Sends a stream, then a well-formed request if the connection is still open, and then closes the sending side.
pub(crate) async fn run(address: SocketAddr, stream: &Stream) -> std::io::Result<Session> {
    let reading = read(&stream.bytes);
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let (half, mut sender) = connection.into_split();
    let mut receiver = Receiver { half, bytes: Vec::new(), has_ended: false };
    for (piece, pause) in stream.pieces() {
        // A server that refused a request may have closed the connection; its response can still be read.
        if sender.write_all(piece).await.is_err() {
            break;
        }
        if pause > Duration::ZERO {
            sleep(pause).await;
        }
    }
    let mut answers = receiver.receive_up_to(reading.most_answers(), &reading).await;
    // If the connection closed with the last response, the client has to notice it before it sends the probe.
    if !receiver.has_ended {
        answers = receiver.receive_within(Duration::from_millis(5), &reading).await;
    }
    if receiver.has_ended {
        return Ok(Session { answers, reading, probed_after: None });
    }
    sleep(stream.rest).await;
    let before = answers.len();
    let probe = stream.probe();
    let whole = read(&[stream.bytes.as_slice(), &probe].concat());
    let _ = sender.write_all(&probe).await;
    receiver.receive_up_to(before + 1, &whole).await;
    let _ = sender.shutdown().await;
    let answers = receiver.receive_within(QUIET / 2, &whole).await;
    Ok(Session { answers, reading: whole, probed_after: Some(before) })
}
