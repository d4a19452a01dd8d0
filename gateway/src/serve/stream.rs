//! The bytes of a connection, on their way to hyper.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
    /// There until it is put on the shelf.
    io: Option<Io>,
    shelf: Shelf<Io>,
    activity: Arc<Activity>,
    /// What was read before hyper wanted it, and how much of it was given on.
    ahead: Vec<u8>,
    taken: usize,
    closing: Closing,
}

/// Where a stream leaves its bytes when the connection that has it is [put away](Activity::is_put_away).
#[derive(Debug)]
pub(super) struct Shelf<Io>(Arc<Mutex<Option<Io>>>);

impl<Io: Transport> Shelf<Io> {
    /// The stream again, once the connection was dropped.
    pub(super) fn take(self, activity: &Arc<Activity>) -> Option<Stream<Io>> {
        let io = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        activity.is_taken_up();
        Some(Stream::with(io, self, Arc::clone(activity)))
    }
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

/// How much is read at once before hyper wants it: most heads whole.
const AHEAD: usize = 1024;

impl<Io: Transport> Stream<Io> {
    pub(super) fn new(io: Io, activity: Arc<Activity>) -> Self {
        Self::with(io, Shelf(Arc::default()), activity)
    }

    fn with(io: Io, shelf: Shelf<Io>, activity: Arc<Activity>) -> Self {
        Self { io: Some(io), shelf, activity, ahead: Vec::new(), taken: 0, closing: Closing::Not }
    }

    /// Where it will be, if its connection is put away.
    pub(super) fn shelf(&self) -> Shelf<Io> {
        Shelf(Arc::clone(&self.shelf.0))
    }

    /// Waits until the peer has said something, if it has not yet, and says whether it has. Loses nothing when dropped.
    pub(super) async fn listen(&mut self) -> io::Result<bool> {
        if self.ahead.is_empty() {
            self.read_ahead().await?;
        }
        Ok(!self.ahead.is_empty())
    }

    /// Reads as far as it takes to see whether the connection is an HTTP/2 one.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        while self.ahead.len() < PREFACE.len() && PREFACE.starts_with(&self.ahead) {
            if !self.read_ahead().await? {
                break;
            }
        }
        Ok(self.ahead.starts_with(PREFACE))
    }

    /// Says whether there was anything.
    async fn read_ahead(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_ahead(cx)).await
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // Here and not in a future, which lasts as long as the connection is idle.
        let mut bytes = [MaybeUninit::uninit(); AHEAD];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(self.io()?.poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        if !read.is_empty() {
            self.activity.heard(read);
            self.ahead.extend_from_slice(read);
        }
        Poll::Ready(Ok(!read.is_empty()))
    }

    /// Fails when the client has left that a response is being made for. hyper would look for that itself, but with a new buffer of 8 KiB
    /// for each request, as the request at hand is still in the one before.
    ///
    /// A request that comes meanwhile is kept for hyper, and ends the looking.
    fn look_for_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.activity.awaits_nothing() && self.ahead.is_empty() {
            match self.poll_ahead(cx)? {
                Poll::Ready(false) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(true) | Poll::Pending => {}
            }
        }
        Ok(())
    }

    /// A client that takes something is there; for one that does not, there is no flush, which is where one looks otherwise.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Io>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let had_to_wait = self.activity.writes();
        let written = write(self.io()?, cx);
        match written.is_pending() {
            true => self.look_for_end(cx)?,
            false => self.activity.sent(had_to_wait),
        }
        written
    }

    fn io(&mut self) -> io::Result<Pin<&mut Io>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<Io: Transport> AsyncRead for Stream<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.taken < self.ahead.len() {
            let count = buffer.remaining().min(self.ahead.len() - self.taken);
            buffer.put_slice(&self.ahead[self.taken..self.taken + count]);
            self.taken += count;
            if self.taken == self.ahead.len() {
                (self.ahead, self.taken) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let Poll::Ready(read) = self.io()?.poll_read(cx, buffer) else {
            self.activity.listens();
            return Poll::Pending;
        };
        read?;
        if buffer.filled().len() > before {
            self.activity.heard(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: Transport> AsyncWrite for Stream<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    /// hyper comes here once it has written all it has, and whenever its task was woken and there is nothing to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look_for_end(cx)?;
        ready!(self.io()?.poll_flush(cx))?;
        self.activity.has_sent_all();
        Poll::Ready(Ok(()))
    }

    /// hyper comes here once all is flushed; a body that fails never lets it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Not => {
                    ready!(this.io()?.poll_shutdown(cx))?;
                    this.activity.finish();
                    this.closing = match this.activity.may_be_sent_to() {
                        true => Closing::Lingers { until: Box::pin(sleep(LINGER)), most: MOST_BYTES },
                        false => Closing::Done,
                    };
                }
                Closing::Lingers { until, most } => {
                    let Some(io) = &mut this.io else { return Poll::Ready(Ok(())) };
                    if until.as_mut().poll(cx).is_pending() && ready!(discard(io, most, cx)) {
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
        let Some(mut io) = self.io.take() else { return };
        if self.activity.was_put_away() {
            *self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(io);
        } else if self.activity.would_pass_for_complete() {
            io.reset();
        }
    }
}
