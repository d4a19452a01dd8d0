//! The application's side of the request body; WSGI's `wsgi.input`.
//!
//! Threads: the application's; blocks.

use std::io::{self, BufRead, Read};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::HeaderMap;

use crate::body::input_chunks::InputChunks;
use crate::body::read_deadline::ReadDeadline;
use crate::body::source::{BodyFailure, Piece};
use crate::body::spool::Spooled;
use crate::body::unread_pieces::UnreadPieces;
use crate::error::{CallError, Error, Result};
use crate::pipe::{Items, Receiver, Watch};

/// The request body: [`Read`], [`BufRead`], and the methods of `wsgi.input`, all on one cursor.
///
/// The body streams. Up to the mount's [`read_ahead`](crate::Gateway::read_ahead) is received before the application is
/// called; a read beyond that waits for the client, and the client waits for the application. With a
/// [spool](crate::Gateway::spool) the whole body is received first, and no read waits, unless the client waits for
/// `100 Continue`. Chunked bodies arrive decoded, and reads stop at the end of this body. At the end, every read
/// returns nothing, at once.
///
/// A client that waits for `100 Continue` gets it when the application first reads; on HTTP/2 it gets none, and sends
/// its body after a time of its own.
///
/// # Example
///
/// ```
/// use std::io::BufRead as _;
///
/// # use gateway::{Environ, StartResponse, wsgi_app};
/// #[wsgi_app]
/// fn longest_line(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
///     let mut longest = 0;
///     for line in environ.input().lines() {
///         longest = longest.max(line?.len());
///     }
///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok([longest.to_string()])
/// }
/// # assert_eq!(gateway::testing::Client::new(longest_line).post("/", "one\nthree\n").text(), "5");
/// ```
///
/// # Errors
///
/// Every read returns, in a [`CallError`]:
///
/// * [`InputError`](crate::InputError) when the body exceeds the limit, was cut short, or came too late: a partial body
///   never looks complete. Unhandled, it becomes 413, 408 or 400;
/// * [`Disconnected`](crate::Disconnected) when the client has disconnected;
/// * [`DeadlineExceeded`](crate::DeadlineExceeded) when the mount's [deadline](crate::Gateway::deadline) has passed.
///
/// The [`std::io`] traits wrap these errors in an [`io::Error`], where [`Error::find`] finds them. An error is sticky:
/// later reads return it again.
///
/// # Threads
///
/// Reads block while they wait: pool threads only. The input may be moved to another thread of the application; when
/// its request ends, no more bytes arrive, and reading ends in [`Disconnected`](crate::Disconnected).
pub struct Input {
    /// The unread rest of the piece that was taken last.
    pub(super) current: Bytes,
    /// `None` if no piece follows.
    unread: Option<UnreadPieces>,
    trailers: Option<Box<HeaderMap>>,
    /// The length that the client declared, or that the spool counted.
    declared: Option<u64>,
}

/// The most bytes that are allocated ahead for a declared length.
const MOST_RESERVED: usize = 1 << 20;

impl Input {
    /// A body that was received in full.
    pub(crate) fn whole(pieces: Items<Piece>, declared: Option<u64>) -> Self {
        let unread = (!pieces.is_empty()).then(|| UnreadPieces::new(pieces, None));
        Self { unread, declared, ..Self::empty() }
    }

    /// A body that comes through a pipe.
    pub(crate) fn streamed(pipe: Receiver<Piece, BodyFailure>, declared: Option<u64>) -> Self {
        let unread = UnreadPieces::new(Items::default(), Some(pipe));
        Self { unread: Some(unread), declared, ..Self::empty() }
    }

    /// Continues the body with the bytes that were spooled to a file.
    pub(crate) fn followed_by(self, rest: Spooled) -> Self {
        self.with_file(rest, false)
    }

    /// Begins the body with the bytes that were spooled to a file.
    pub(crate) fn preceded_by(self, start: Spooled) -> Self {
        self.with_file(start, true)
    }

    fn with_file(mut self, file: Spooled, begins_in_file: bool) -> Self {
        let unread = self.unread.get_or_insert_with(|| UnreadPieces::new(Items::default(), None));
        unread.set_file(file, begins_in_file);
        self
    }

    /// A body that is at its end from the start.
    pub(crate) fn empty() -> Self {
        Self { current: Bytes::new(), unread: None, trailers: None, declared: None }
    }

    /// Makes reads fail from the time in `deadline` on, which is set later, unless the body is at its end.
    pub(crate) fn end_with(&mut self, deadline: Arc<OnceLock<Instant>>) {
        self.set_deadline(ReadDeadline::Shared(deadline));
    }

    /// Makes reads fail from `deadline` on, unless the body is at its end.
    pub(crate) fn end_at(&mut self, deadline: Instant) {
        self.set_deadline(ReadDeadline::At(deadline));
    }

    fn set_deadline(&mut self, deadline: ReadDeadline) {
        if let Some(unread) = &mut self.unread {
            unread.deadline = deadline;
        }
    }

    /// The length of the whole body in bytes, if it is known: as the client has declared it, or as a
    /// [`spool`](crate::Gateway::spool) has counted it. Of a chunked body that streams it is not known.
    pub fn length(&self) -> Option<u64> {
        self.declared
    }

    /// Reads up to `size` bytes: fewer only at the end of the body. WSGI's `read(size)`.
    ///
    /// # Errors
    ///
    /// See [`Input`]. Bytes received before the failure are lost to this call; read in smaller pieces to keep them.
    pub fn read_up_to(&mut self, size: usize) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes, size)?;
        Ok(bytes)
    }

    fn read_into(&mut self, bytes: &mut Vec<u8>, size: usize) -> Result<()> {
        let (start, declared) = (bytes.len(), self.declared);
        while bytes.len() - start < size {
            let available = self.fill()?;
            if available.is_empty() {
                break;
            }
            let take = available.len().min(size - (bytes.len() - start));
            if bytes.len() == start {
                // Most reads take the whole body: one allocation.
                let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                bytes.reserve(expected.min(size).min(MOST_RESERVED).max(take));
            }
            bytes.extend_from_slice(&available[..take]);
            self.current.advance(take);
        }
        Ok(())
    }

    /// Reads the rest of the body. WSGI's `read()`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn read_all(&mut self) -> Result<Vec<u8>, CallError> {
        self.read_up_to(usize::MAX)
    }

    /// Reads the rest of the body, without a copy if it arrived in one piece.
    ///
    /// # Example
    ///
    /// ```
    /// # use gateway::{Environ, StartResponse, wsgi_app};
    /// #[wsgi_app]
    /// fn echo(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[bytes::Bytes; 1]> {
    ///     let body = environ.input().read_bytes()?;
    ///     start_response("200 OK", &[])?;
    ///     Ok([body])
    /// }
    /// # assert_eq!(gateway::testing::Client::new(echo).post("/", "hello").text(), "hello");
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn read_bytes(&mut self) -> Result<Bytes, CallError> {
        self.fill()?;
        let first = std::mem::take(&mut self.current);
        if self.fill()?.is_empty() {
            return Ok(first);
        }
        let expected = self.declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(expected.min(MOST_RESERVED).max(first.len() + self.current.len()));
        bytes.extend_from_slice(&first);
        self.read_into(&mut bytes, usize::MAX)?;
        Ok(bytes.into())
    }

    /// Reads one line, with its `\n`; the last line may lack it. Empty at the end of the body. WSGI's `readline()`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn readline(&mut self) -> Result<Vec<u8>, CallError> {
        self.readline_up_to(usize::MAX)
    }

    /// Reads one line, but at most `size` bytes of it. WSGI's `readline(size)`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn readline_up_to(&mut self, size: usize) -> Result<Vec<u8>, CallError> {
        let mut line = Vec::new();
        while line.len() < size {
            let available = self.fill()?;
            let within = &available[..available.len().min(size - line.len())];
            if within.is_empty() {
                break;
            }
            let newline = memchr::memchr(b'\n', within);
            let take = newline.map_or(within.len(), |at| at + 1);
            line.extend_from_slice(&within[..take]);
            self.current.advance(take);
            if newline.is_some() {
                break;
            }
        }
        Ok(line)
    }

    /// Reads lines until they have at least `hint` bytes in total; all lines if `hint` is 0. WSGI's `readlines(hint)`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn readlines(&mut self, hint: usize) -> Result<Vec<Vec<u8>>, CallError> {
        let mut lines = Vec::new();
        let mut total = 0;
        while hint == 0 || total < hint {
            let line = self.readline()?;
            if line.is_empty() {
                break;
            }
            total += line.len();
            lines.push(line);
        }
        Ok(lines)
    }

    /// The rest of the body as an iterator of the lines that [`readline`](Input::readline) returns, each with its `\n`.
    /// WSGI's iteration over `wsgi.input`. (By contrast, [`BufRead::lines`] requires UTF-8 and removes the line ends.)
    pub fn readline_iter(&mut self) -> impl Iterator<Item = Result<Vec<u8>, CallError>> {
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let line = self.readline();
            failed = line.is_err();
            Some(line).filter(|line| !matches!(line, Ok(line) if line.is_empty()))
        })
    }

    /// The rest of the body as an iterator of chunks of up to `size` bytes, as they arrive. Nothing is copied.
    ///
    /// # Example
    ///
    /// ```
    /// # use gateway::{Environ, StartResponse, wsgi_app};
    /// /// Streams the request body back; runs in constant memory, however large the body.
    /// #[wsgi_app]
    /// fn echo(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = std::io::Result<bytes::Bytes>>> {
    ///     start_response("200 OK", &[])?;
    ///     Ok(environ.input().chunks(64 * 1024))
    /// }
    /// # assert_eq!(gateway::testing::Client::new(echo).post("/", "hello").text(), "hello");
    /// ```
    pub fn chunks(&mut self, size: usize) -> InputChunks<&mut Self> {
        InputChunks::new(self, size)
    }

    /// [`chunks`](Input::chunks) that own the input: for a body that is returned without a borrow of the environ.
    pub fn into_chunks(self, size: usize) -> InputChunks<Self> {
        InputChunks::new(self, size)
    }

    /// The trailer fields of the request, if it has any; known once the whole body has been read.
    ///
    /// They are kept apart from the headers: otherwise a client could set a header after the headers were checked (RFC
    /// 9110 §6.5.1).
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// The gateway's handle on a body that comes through a pipe.
    pub(crate) fn watch(&self) -> Option<Watch<Piece, BodyFailure>> {
        self.unread.as_ref()?.watch()
    }

    /// A handle that ends the body, except its current piece, even if the application has moved the input.
    /// `None` for a body that is at its end.
    pub(crate) fn hold(&mut self) -> Option<Watch<Piece, BodyFailure>> {
        self.unread.as_mut().map(UnreadPieces::hold)
    }

    /// The rest of the current piece, or the next piece. Empty at the end of the body.
    pub(super) fn fill(&mut self) -> Result<&Bytes> {
        while self.current.is_empty()
            && let Some(unread) = &mut self.unread
        {
            match unread.next()? {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::Trailers(fields)) => self.trailers = Some(fields),
                None => self.unread = None,
            }
        }
        Ok(&self.current)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let available = self.fill_buf()?;
        let take = available.len().min(buffer.len());
        buffer[..take].copy_from_slice(&available[..take]);
        self.consume(take);
        Ok(take)
    }

    fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let start = buffer.len();
        // Bytes read before a failure stay in the buffer, as `Read::read_to_end` specifies.
        self.read_into(buffer, usize::MAX).map_err(Error::into_io)?;
        Ok(buffer.len() - start)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.fill() {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(error.into_io()),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount.min(self.current.len()));
    }
}

partial_debug!(Input);
