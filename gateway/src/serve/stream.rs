//! The bytes of a connection, on their way to hyper.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Sleep, sleep};

use crate::serve::Transport;
use crate::serve::activity::Activity;

/// A connection that closes with care.
///
/// A system that closes a socket with unread bytes resets the connection, and what the client has not got yet is lost. So the
/// end is said first, and what still comes is read for a while, and thrown away. Where a response ends with its connection and is not
/// complete, the close is a reset, because an orderly end would look like success.
#[derive(Debug)]
pub(super) struct Stream<Io: Transport> {
    io: Io,
    activity: Arc<Activity>,
    /// What was read to see which protocol it is, and how much of it was given on.
    ahead: Vec<u8>,
    taken: usize,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    Not,
    Lingers { until: Pin<Box<Sleep>>, most: usize },
    Done,
}

/// With what an HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait for a client to hear that the connection ends, and how much of what it still sends is thrown away.
const LINGER: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 1024 * 1024;

impl<Io: Transport> Stream<Io> {
    pub(super) fn new(io: Io, activity: Arc<Activity>) -> Self {
        Self { io, activity, ahead: Vec::new(), taken: 0, closing: Closing::Not }
    }

    /// Reads as far as it takes to see whether the connection is an HTTP/2 one.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        let mut bytes = [0; PREFACE.len()];
        let mut filled = 0;
        while filled < bytes.len() && bytes[..filled] == PREFACE[..filled] {
            match self.io.read(&mut bytes[filled..]).await? {
                0 => break,
                count => filled += count,
            }
            self.activity.heard();
        }
        self.ahead = bytes[..filled].to_vec();
        Ok(self.ahead == PREFACE)
    }
}

impl<Io: Transport> AsyncRead for Stream<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.taken < self.ahead.len() {
            let count = buffer.remaining().min(self.ahead.len() - self.taken);
            buffer.put_slice(&self.ahead[self.taken..self.taken + count]);
            self.taken += count;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: Transport> AsyncWrite for Stream<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes));
        self.activity.sent();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
        self.activity.sent();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// hyper comes here once all is flushed; a body that fails never lets it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Not => {
                    ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                    this.activity.finish();
                    this.closing = match this.activity.may_be_sent_to() {
                        true => Closing::Lingers { until: Box::pin(sleep(LINGER)), most: MOST_BYTES },
                        false => Closing::Done,
                    };
                }
                Closing::Lingers { until, most } => {
                    if until.as_mut().poll(cx).is_pending() && ready!(discard(&mut this.io, most, cx)) {
                        continue;
                    }
                    this.closing = Closing::Done;
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Reads for nothing. Says whether there may be more.
fn discard(io: &mut impl Transport, most: &mut usize, cx: &mut Context<'_>) -> Poll<bool> {
    let mut bytes = [0; 4096];
    let mut buffer = ReadBuf::new(&mut bytes);
    let read = ready!(Pin::new(io).poll_read(cx, &mut buffer));
    let count = buffer.filled().len();
    *most = most.saturating_sub(count);
    Poll::Ready(read.is_ok() && count > 0 && *most > 0)
}

impl<Io: Transport> Drop for Stream<Io> {
    fn drop(&mut self) {
        if self.activity.would_pass_for_complete() {
            self.io.reset();
        }
    }
}
