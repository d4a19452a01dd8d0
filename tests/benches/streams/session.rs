//! One stream on one connection: what is sent, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{sleep, timeout};

use crate::answer::{Answer, parse};
use crate::reference::{Reading, read};
use crate::stream::Stream;

/// A server that owes no answer and says nothing for so long has nothing to say.
const QUIET: Duration = Duration::from_millis(250);

/// The same for a server that owes an answer: some look after their connections once a second.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What happened on the connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) answers: Vec<Answer>,
    /// What the bytes are that were sent, with the probe if it was.
    pub(crate) reading: Reading,
    /// How many answers there were when the probe was sent; `None` if the connection had ended before.
    pub(crate) probed_after: Option<usize>,
}

/// Reads and keeps what comes.
struct Receiver {
    half: OwnedReadHalf,
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Receiver {
    /// Reads until there are so many answers, the connection ends, or nothing comes: for a short time, or for a longer
    /// one as long as there are requests without an answer.
    async fn receive_up_to(&mut self, wanted: usize, reading: &Reading) -> Vec<Answer> {
        self.receive(wanted, reading, |is_owed| if is_owed { PATIENCE } else { QUIET }).await
    }

    /// Reads until the connection ends or nothing comes for that time.
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

/// Sends a stream, then a well-formed request if the connection is still open, and then ends the client's side.
pub(crate) async fn run(address: SocketAddr, stream: &Stream) -> std::io::Result<Session> {
    let reading = read(&stream.bytes);
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let (half, mut sender) = connection.into_split();
    let mut receiver = Receiver { half, bytes: Vec::new(), has_ended: false };
    for (piece, pause) in stream.pieces() {
        // A server that has refused may have closed; what it said is still there to be read.
        if sender.write_all(piece).await.is_err() {
            break;
        }
        if pause > Duration::ZERO {
            sleep(pause).await;
        }
    }
    let mut answers = receiver.receive_up_to(reading.most_answers(), &reading).await;
    // An end that comes with the last answer is seen before anything else is sent.
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
