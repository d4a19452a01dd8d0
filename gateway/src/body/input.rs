//! The application's half of the request body; WSGI's `wsgi.input`.
//!
//! Threads: the application's; blocks.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::HeaderMap;

use crate::body::input_chunks::InputChunks;
use crate::body::source::{BodyFailure, Piece};
use crate::body::spool::Spooled;
use crate::error::{DeadlineExceeded, Disconnected, Error, Result};
use crate::pipe::{Items, Receiver, Watch, pipe_of};

/// The request body: [`Read`], [`BufRead`], and the methods of `wsgi.input`, all on one cursor.
///
/// The body streams. Up to the mount's [`read_ahead`](crate::Gateway::read_ahead) is here before the application is
/// called; a read that goes further waits for the client, and the client waits for the application. With a
/// [spool](crate::Gateway::spool) all of it is here, and no read waits. Framing is taken care of: chunked bodies arrive
/// decoded, and reading never runs past the end of this body. At the end every read gives nothing, at once and as often
/// as one asks.
///
/// A client that waits for `100 Continue` gets it when the application first reads.
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
/// Every read returns:
///
/// * [`InputError`](crate::InputError) when the body is larger than allowed, was cut short, or did not come in time: a
///   partial body never looks complete. Left unhandled, it becomes 413, 408 or 400;
/// * [`Disconnected`] when the client has gone;
/// * [`DeadlineExceeded`] when the mount's [deadline](crate::Gateway::deadline) has passed.
///
/// The [`std::io`] traits wrap them in an [`io::Error`], where [`Error::find`] finds them. An error is sticky: later
/// reads give it again.
///
/// # Threads
///
/// Reads block while they wait: pool threads only. The input may be moved to another thread of the application's own;
/// once its request has ended, what has not arrived never will, and reading ends in [`Disconnected`].
pub struct Input {
    /// What was taken out of what follows, and not read yet.
    pub(super) current: Bytes,
    /// What was here from the start, if anything was.
    pieces: Option<Items<Piece>>,
    /// What follows as it comes.
    pipe: Option<Receiver<Piece, BodyFailure>>,
    /// What follows from a file.
    rest: Option<Box<Spooled>>,
    /// Nothing follows.
    is_over: bool,
    trailers: Option<Box<HeaderMap>>,
    /// When waiting for it is over, whatever is missing.
    deadline: Option<Instant>,
    /// How much there is in all, if the client has said so.
    declared: Option<u64>,
}

/// The most that is set aside for a body because its client has announced it.
const MOST_RESERVED: usize = 1 << 20;

impl Input {
    /// A body of which all has come.
    pub(crate) fn whole(pieces: Items<Piece>, declared: Option<u64>) -> Self {
        Self { is_over: pieces.is_empty(), pieces: Some(pieces), declared, ..Self::empty() }
    }

    /// A body that comes through a pipe.
    pub(crate) fn streamed(pipe: Receiver<Piece, BodyFailure>, declared: Option<u64>) -> Self {
        Self { is_over: false, pipe: Some(pipe), declared, ..Self::empty() }
    }

    /// Has the body go on with what was spooled to a file.
    pub(crate) fn followed_by(self, rest: Spooled) -> Self {
        Self { is_over: false, rest: Some(Box::new(rest)), ..self }
    }

    /// A body that is at its end from the start.
    pub(crate) fn empty() -> Self {
        Self {
            current: Bytes::new(),
            pieces: None,
            pipe: None,
            rest: None,
            is_over: true,
            trailers: None,
            deadline: None,
            declared: None,
        }
    }

    /// Has reading fail from then on, unless the body is at its end.
    pub(crate) fn end_at(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Reads up to `size` bytes: fewer only at the end of the body. WSGI's `read(size)`.
    ///
    /// # Errors
    ///
    /// See [`Input`]. Bytes that came before the failure are lost to this call; read them in smaller pieces if they
    /// matter.
    pub fn read_up_to(&mut self, size: usize) -> Result<Vec<u8>> {
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
                // All of it, most likely.
                let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                bytes.reserve(expected.min(size).min(MOST_RESERVED).max(take));
            }
            bytes.extend_from_slice(&available[..take]);
            self.current.advance(take);
        }
        Ok(())
    }

    /// Reads all that is left. WSGI's `read()`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn read_all(&mut self) -> Result<Vec<u8>> {
        self.read_up_to(usize::MAX)
    }

    /// Reads all that is left, without a copy if it has come in one piece.
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
    pub fn read_bytes(&mut self) -> Result<Bytes> {
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
    pub fn readline(&mut self) -> Result<Vec<u8>> {
        self.readline_up_to(usize::MAX)
    }

    /// Reads one line, but no more than `size` bytes of it. WSGI's `readline(size)`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn readline_up_to(&mut self, size: usize) -> Result<Vec<u8>> {
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

    /// Reads lines until they make at least `hint` bytes, or all that are left for a hint of 0. WSGI's
    /// `readlines(hint)`.
    ///
    /// # Errors
    ///
    /// See [`Input`].
    pub fn readlines(&mut self, hint: usize) -> Result<Vec<Vec<u8>>> {
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

    /// The rest of the body as an iterator of the lines that [`readline`](Input::readline) gives, each with its `\n`.
    /// WSGI's iteration over `wsgi.input`. ([`BufRead::lines`] is another thing: it wants UTF-8, and takes the line
    /// ends off.)
    pub fn readline_iter(&mut self) -> impl Iterator<Item = Result<Vec<u8>>> {
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

    /// [`chunks`](Input::chunks) that own the input: for a body that is returned from where the environ is not
    /// borrowed.
    pub fn into_chunks(self, size: usize) -> InputChunks<Self> {
        InputChunks::new(self, size)
    }

    /// The trailer fields of the request, if it has any; known once all of the body has been read.
    ///
    /// They are apart from the headers on purpose: a client must not be able to say later what it was not allowed to
    /// say first (RFC 9110 §6.5.1).
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// A handle for the gateway, on a body that comes through a pipe.
    pub(crate) fn watch(&self) -> Option<Watch<Piece, BodyFailure>> {
        self.pipe.as_ref().map(Receiver::watch)
    }

    /// A handle with which the gateway ends the body, wherever the application is about to take it, but for what is in
    /// hand. None on one that is at its end.
    pub(crate) fn hold(&mut self) -> Option<Watch<Piece, BodyFailure>> {
        if self.pipe.is_none() && !self.is_over {
            let (mut sender, receiver) = pipe_of(self.pieces.take().unwrap_or_default(), usize::MAX);
            sender.finish();
            self.pipe = Some(receiver);
        }
        self.watch()
    }

    /// What is left of the current piece, or the next one. Empty at the end of the body.
    pub(super) fn fill(&mut self) -> Result<&Bytes> {
        while self.current.is_empty() && !self.is_over {
            if self.is_late() {
                return Err(DeadlineExceeded.into());
            }
            match self.next_piece()? {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::Trailers(fields)) => self.trailers = Some(fields),
                None => (self.is_over, self.pipe) = (true, None),
            }
        }
        Ok(&self.current)
    }

    fn next_piece(&mut self) -> Result<Option<Piece>> {
        if let Some(piece) = self.pieces.as_mut().and_then(Items::pop) {
            return Ok(Some(piece));
        }
        if let Some(pipe) = &mut self.pipe {
            match pipe.pull() {
                Some(Ok(piece)) => return Ok(Some(piece)),
                // At the deadline the client is let go.
                Some(Err(BodyFailure::Disconnected)) if self.is_late() => return Err(DeadlineExceeded.into()),
                Some(Err(failure)) => return Err(failure.into()),
                None => {}
            }
        }
        match self.rest.as_mut().map(|rest| rest.read()).transpose()?.flatten() {
            Some(bytes) => Ok(Some(Piece::Data(bytes))),
            None => Ok(self.rest.as_mut().and_then(|rest| rest.take_trailers()).map(Piece::Trailers)),
        }
    }
}

impl From<BodyFailure> for Error {
    fn from(failure: BodyFailure) -> Self {
        match failure {
            BodyFailure::Disconnected => Disconnected.into(),
            BodyFailure::Broken(error) => error.into(),
        }
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
        // What came before a failure stays in the buffer, as it does with any reader.
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

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}
