//! The transport of a connection, between the socket and hyper.
//!
//! Threads: runtime.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Duration;

use crate::pool::drivers::local::take_turn;
use crate::serve::Transport;
use crate::serve::http2_frames::FrameScanner;
use crate::serve::lifecycle::{Lifecycle, LingerPolicy, Machine};
use crate::serve::linger::Linger;
use crate::serve::request_scanner::{begins_head, skip_empty_lines};

/// The transport of a connection, which lingers at its close.
///
/// Closing a socket that has unread bytes resets the connection, and the client loses the output that it has not
/// received. So the server first shuts down its sending side, then reads and discards what the client still sends, for
/// a bounded time. An incomplete close-delimited response ends with a reset, because an orderly close would make it
/// look complete.
#[derive(Debug)]
pub(super) struct ConnectionIo<Io: Transport> {
    io: Io,
    lifecycle: Arc<Lifecycle>,
    /// Bytes that were read before hyper asked for them.
    ahead: Bytes,
    /// Parses the output on HTTP/2.
    frames: Option<FrameScanner>,
    /// How long to linger at most.
    linger: Duration,
    closing: CloseState,
}

#[derive(Debug)]
enum CloseState {
    Open,
    Lingering(Box<Linger>),
    Done,
}

/// The first bytes of an HTTP/2 connection.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The size of a read before hyper asks for bytes. Most heads fit.
const AHEAD: usize = 1024;

/// How many bytes are kept behind a request while it waits for its response. EOF is behind them, so a client that has
/// sent more is not seen to disconnect.
const MOST_PIPELINED: usize = 16 * 1024;

impl<Io: Transport> ConnectionIo<Io> {
    pub(super) fn new(io: Io, lifecycle: Arc<Lifecycle>, linger: Duration) -> Self {
        Self { io, lifecycle, ahead: Bytes::new(), frames: None, linger, closing: CloseState::Open }
    }

    pub(super) fn set_http2(&mut self) {
        self.frames = Some(FrameScanner::default());
    }

    /// Takes back the bytes that hyper has read and not parsed: a part of a head, or empty lines, or nothing. Fails if
    /// the connection was cut.
    pub(super) fn unread(&mut self, bytes: &Bytes) -> io::Result<()> {
        if !bytes.is_empty() {
            self.lifecycle.with(|machine| machine.receive(bytes))?;
            self.ahead = [bytes.as_ref(), &self.ahead].concat().into();
        }
        Ok(())
    }

    /// Waits until the peer has begun a request on HTTP/1. Returns whether it has; `false` is EOF. Cancel safe.
    ///
    /// Empty lines before a request are ignored (RFC 9112 §2.2): they keep no idle connection open.
    pub(super) async fn await_request(&mut self) -> io::Result<bool> {
        loop {
            skip_empty_lines(&mut self.ahead);
            if begins_head(&self.ahead) {
                return Ok(true);
            }
            if !self.read_ahead().await? {
                return Ok(false);
            }
        }
    }

    /// Reads until the preface of HTTP/2 is complete or excluded.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        while self.ahead.len() < PREFACE.len() && PREFACE.starts_with(&self.ahead) {
            if !self.read_ahead().await? {
                break;
            }
        }
        Ok(self.ahead.starts_with(PREFACE))
    }

    /// Returns whether bytes were read; `false` is EOF.
    async fn read_ahead(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_ahead(cx)).await
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(take_turn(cx));
        self.poll_ahead_now(cx)
    }

    /// The same, whatever the poll has read before: pending means that there are no bytes.
    fn poll_ahead_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // On the stack, not in a future: the future of an idle connection must be small.
        let mut bytes = [MaybeUninit::uninit(); AHEAD];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        if !read.is_empty() {
            self.lifecycle.with(|machine| machine.receive(read))?;
            self.ahead = match self.ahead.is_empty() {
                true => Bytes::copy_from_slice(read),
                false => [&self.ahead, read].concat().into(),
            };
        }
        Poll::Ready(Ok(!read.is_empty()))
    }

    /// Fails if the client, which awaits only its response, has disconnected. hyper could detect this too, but with a
    /// new read buffer of 8 KiB per request, because the current head occupies the previous one.
    ///
    /// Pipelined requests that arrive meanwhile are kept for hyper, up to `MOST_PIPELINED`.
    fn detect_disconnect(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.ahead.len() < MOST_PIPELINED {
            match self.poll_ahead(cx)? {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Records the result of a write.
    fn written(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(_)) => self.lifecycle.with(Machine::write)?,
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.lifecycle.write_blocked(self.io.taken(), cx)?;
                // A disconnect is otherwise detected at a flush, and a blocked socket gets none.
                if self.lifecycle.with(|machine| machine.awaits_only_response()) {
                    self.detect_disconnect(cx)?;
                }
            }
        }
        written
    }

    /// Records which HTTP/2 frames were written.
    fn scan<'b>(&mut self, written: &Poll<io::Result<usize>>, slices: impl Iterator<Item = &'b [u8]>) {
        let (Some(frames), Poll::Ready(Ok(count))) = (&mut self.frames, written) else { return };
        let mut left = *count;
        let mut responds = false;
        for slice in slices {
            let part = &slice[..left.min(slice.len())];
            responds |= frames.scan(part);
            left -= part.len();
        }
        if responds {
            self.lifecycle.with(Machine::write_response);
        }
    }
}

impl<Io: Transport> AsyncRead for ConnectionIo<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = buffer.remaining().min(self.ahead.len());
            buffer.put_slice(&self.ahead.split_to(count));
            if self.ahead.is_empty() {
                self.ahead = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        ready!(take_turn(cx));
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buffer) else {
            self.lifecycle.awaits_bytes(cx)?;
            return Poll::Pending;
        };
        read?;
        if buffer.filled().len() > before {
            self.lifecycle.with(|machine| machine.receive(&buffer.filled()[before..]))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: Transport> AsyncWrite for ConnectionIo<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(take_turn(cx));
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.scan(&written, std::iter::once(bytes));
        self.written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(take_turn(cx));
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.scan(&written, slices.iter().map(|slice| &**slice));
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes after it has written all its output, and whenever its task was woken without output.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_flushed = Pin::new(&mut self.io).poll_flush(cx)?.is_ready();
        let awaits_only_response = match is_flushed {
            true => self.lifecycle.with(Machine::flush),
            false => {
                self.lifecycle.write_blocked(self.io.taken(), cx)?;
                self.lifecycle.with(|machine| machine.awaits_only_response())
            }
        };
        if awaits_only_response {
            self.detect_disconnect(cx)?;
        }
        if is_flushed { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// hyper calls this after it has flushed everything, never after a response body has failed.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                CloseState::Open => {
                    if Pin::new(&mut this.io).poll_shutdown(cx)?.is_pending() {
                        this.lifecycle.write_blocked(this.io.taken(), cx)?;
                        return Poll::Pending;
                    }
                    this.lifecycle.with(Machine::flush);
                    this.closing = match this.lifecycle.with(Machine::shut_down) {
                        LingerPolicy::Never => CloseState::Done,
                        // Unread bytes would turn the close into a reset, which could cost the client the last
                        // response: linger.
                        LingerPolicy::IfUnread if this.ahead.is_empty() && this.poll_ahead_now(cx).is_pending() => {
                            CloseState::Done
                        }
                        LingerPolicy::IfUnread | LingerPolicy::Always => {
                            CloseState::Lingering(Box::new(Linger::new(this.linger)))
                        }
                    };
                }
                CloseState::Lingering(linger) => {
                    ready!(linger.poll(&mut this.io, cx));
                    this.closing = CloseState::Done;
                }
                CloseState::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<Io: Transport> Drop for ConnectionIo<Io> {
    fn drop(&mut self) {
        if self.lifecycle.end() {
            self.io.reset();
        }
    }
}
