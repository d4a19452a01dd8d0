//! The body that an application returns, chunk by chunk.
//!
//! Threads: pool; blocks.

use std::fs::File;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::catch_panic::catch_panic;
use crate::contained;
use crate::error::{CallError, Panicked, Result};
use crate::response::chunk::Chunk;
use crate::response::file_body::FileBody;

/// The body of a response, as an iterator of byte chunks. WSGI calls it the iterable.
///
/// The gateway pulls one chunk at a time and sends it before it pulls the next, as far as the response buffer allows.
/// An empty chunk sends nothing. An `Err` ends the response as a failure. However the body ends, the chunks are
/// dropped, once: a type that has to clean up does so in its `Drop`, WSGI's `close`. No client waits for that drop if
/// the message is complete by its length: with one chunk, none, a declared length, or no body at all.
///
/// `#[wsgi_app]` makes chunks out of the value the fn returns. Applications written by hand call [`Chunks::new`].
///
/// # Example: middleware
///
/// `Chunks` is not itself an iterator, because an adapter would lose the length of the body and its trailers.
/// Middleware that changes the bytes wraps the iterator inside:
///
/// ```
/// use gateway::{Application, Chunks, Environ, StartResponse};
///
/// struct Shout<A>(A);
///
/// impl<A: Application> Application for Shout<A> {
///     fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
///         let chunks = self.0.call(environ, start_response)?;
///         Ok(chunks.wrap(|chunks| chunks.map(|chunk| Ok::<_, gateway::Error>(chunk?.to_ascii_uppercase()))))
///     }
/// }
/// # let app = Shout(gateway::application_fn(|_, start_response| {
/// #     start_response("200 OK", &[])?;
/// #     Ok(Chunks::new(["hello"]))
/// # }));
/// # assert_eq!(gateway::testing::Client::new(app).get("/").text(), "HELLO");
/// ```
///
/// # Threads
///
/// Made, pulled and dropped on the pool thread of the request. `Chunks` need not be `Send`, and may borrow from the
/// environ and from the application.
pub struct Chunks<'r> {
    source: ChunkSource<'r>,
    /// The length of all chunks together, if known. A file has its own length.
    length: Option<u64>,
    trailers: Option<Trailers<'r>>,
    /// Whether dropping the iterator may run code of the application, which may take any time.
    closes: bool,
    /// The bytes of a chunk may have an owner with a destructor.
    may_have_owners: bool,
    /// Dropped after the source and the trailers.
    closing: Option<Box<dyn CloseOnDrop + 'r>>,
}

/// A value that is kept only to be dropped.
trait CloseOnDrop {}

impl<T> CloseOnDrop for T {}

enum ChunkSource<'r> {
    Iterator(Box<dyn Iterator<Item = Result<Bytes, CallError>> + 'r>),
    File(FileBody),
}

impl ChunkSource<'_> {
    fn pull(&mut self) -> Option<Result<Bytes, CallError>> {
        match self {
            Self::Iterator(iterator) => iterator.next(),
            Self::File(file) => file.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Iterator(iterator) => iterator.size_hint(),
            Self::File(file) => file.size_hint(),
        }
    }
}

/// The chunks without length and trailers.
struct ChunkIter<'r> {
    source: ChunkSource<'r>,
    /// Dropped after the source.
    _closing: Option<Box<dyn CloseOnDrop + 'r>>,
}

impl Iterator for ChunkIter<'_> {
    type Item = Result<Bytes, CallError>;

    fn next(&mut self) -> Option<Result<Bytes, CallError>> {
        self.source.pull()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint()
    }
}

/// Fields that follow the body, and their names, which are sent before it.
struct Trailers<'r> {
    names: Vec<HeaderName>,
    compute: Box<dyn FnOnce() -> Result<HeaderMap> + 'r>,
}

impl<'r> Chunks<'r> {
    /// Makes chunks of any iterable: a list, an array, an iterator.
    ///
    /// A body in one piece is a list of one, `Chunks::new([body])`.
    pub fn new<I>(chunks: I) -> Self
    where
        I: IntoIterator<IntoIter: 'r, Item: Chunk + 'r>,
    {
        let closes = may_close::<I::IntoIter, I::Item>();
        let may_have_owners = I::Item::MAY_HAVE_OWNER;
        Self { closes, may_have_owners, ..Self::of(ChunkSource::Iterator(Box::new(chunks.into_iter().map(pull_from)))) }
    }

    /// A body without bytes.
    pub fn empty() -> Self {
        Self::new(std::iter::empty::<Bytes>())
    }

    /// A body whose pieces are all known: the sum of their lengths is its `Content-Length`, if the head declares none.
    ///
    /// All pieces are taken out of the iterator at once.
    ///
    /// # Errors
    ///
    /// Returns the first error among the chunks.
    pub fn known<I>(chunks: I) -> Result<Self, CallError>
    where
        I: IntoIterator<Item: Chunk>,
    {
        // Contained, as a list of bytes whose owners panic would end the process.
        let contained = |chunk: I::Item| chunk.into_bytes().map(contained::bytes);
        let pieces = chunks.into_iter().map(contained).collect::<Result<Vec<Bytes>>>()?;
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        // One copied piece reaches the client sooner than several pieces that are not copied.
        if pieces.len() > 1 && length <= MOST_COPIED {
            return Ok(Self::new([pieces.concat()]));
        }
        Ok(Self { length: Some(length), may_have_owners: false, ..Self::new(pieces) })
    }

    /// The rest of a file, from its current position on; WSGI's `wsgi.file_wrapper`.
    ///
    /// The body ends with the file or at the declared `Content-Length`, whichever comes first; without a declared
    /// length, the rest of the file is the length. A file that is shorter than declared is 500; a file that shrinks
    /// while it is sent breaks the message off.
    ///
    /// A large regular file frees the pool thread at once: the runtime's threads for blocking work read it as fast as
    /// the client takes it, so that a client that stops reading holds the file open, but no pool thread. The pool
    /// thread reads any other file, and a file that follows a [`Write`](crate::Write), has trailers, or passes through
    /// middleware that reads the bytes.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Chunks, Environ, StartResponse, wsgi_app};
    /// use std::fs::File;
    ///
    /// #[wsgi_app]
    /// fn manifest(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
    ///     let file = File::open("Cargo.toml")?;
    ///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
    ///     Ok(Chunks::file(file))
    /// }
    /// # assert_eq!(gateway::testing::Client::new(manifest).get("/").bytes(), std::fs::read("Cargo.toml")?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Threads
    ///
    /// Asks the file system for the length: pool threads only.
    pub fn file(file: File) -> Self {
        Self::of(ChunkSource::File(FileBody::new(file)))
    }

    /// The same body with trailers: header fields computed while the body is sent, such as a checksum.
    ///
    /// Their names are sent before the body, in `Trailer`. `compute` runs after the last chunk has been pulled, before
    /// the chunks are dropped, and may share state with them. It does not run if the message cannot have trailers:
    /// without a body, or with a declared length. On HTTP/1 a client gets trailers only if it sent `TE: trailers`.
    ///
    /// (RFC 9110 §6.5.)
    ///
    /// # Example
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use gateway::{Chunks, Environ, StartResponse, wsgi_app};
    /// use http::{HeaderMap, HeaderName};
    ///
    /// #[wsgi_app]
    /// fn counted(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
    ///     const LINES: HeaderName = HeaderName::from_static("x-lines");
    ///     start_response("200 OK", &[("Content-Type", "text/csv")])?;
    ///     let count = Rc::new(Cell::new(0));
    ///     let counter = Rc::clone(&count);
    ///     let lines = (1..=3).map(move |line| {
    ///         counter.set(line);
    ///         format!("{line};\n")
    ///     });
    ///     Ok(Chunks::new(lines).with_trailers([LINES], move || Ok(HeaderMap::from_iter([(LINES, count.get().into())]))))
    /// }
    /// # let response = gateway::testing::Client::new(counted).get("/");
    /// # assert_eq!(response.trailers().unwrap()["x-lines"], "3");
    /// ```
    #[must_use]
    pub fn with_trailers(
        mut self,
        names: impl IntoIterator<Item = HeaderName>,
        compute: impl FnOnce() -> Result<HeaderMap> + 'r,
    ) -> Self {
        self.trailers = Some(Trailers { names: names.into_iter().collect(), compute: Box::new(compute) });
        self
    }

    fn of(source: ChunkSource<'r>) -> Self {
        Self { source, length: None, trailers: None, closes: false, may_have_owners: false, closing: None }
    }

    /// The same body, and a value that is dropped after it.
    #[cfg(feature = "python")]
    pub(crate) fn closing(self, closing: impl Sized + 'r) -> Self {
        Self { closing: Some(Box::new(closing)), ..self }
    }

    /// The same body and trailers, with the chunks that `wrap` makes: for middleware.
    pub fn wrap<I>(self, wrap: impl FnOnce(Box<dyn Iterator<Item = Result<Bytes, CallError>> + 'r>) -> I) -> Self
    where
        I: IntoIterator<IntoIter: 'r, Item: Chunk + 'r>,
    {
        let iterator: Box<dyn Iterator<Item = Result<Bytes, CallError>> + 'r> = match self.source {
            // The middleware may collect the chunks in a list.
            ChunkSource::Iterator(iterator) if self.may_have_owners => {
                Box::new(iterator.map(|chunk| chunk.map(contained::bytes)))
            }
            ChunkSource::Iterator(iterator) => iterator,
            ChunkSource::File(file) => Box::new(file),
        };
        Self { trailers: self.trailers, closing: self.closing, ..Self::new(wrap(iterator)) }
    }

    /// The iterator inside. Dropping it closes the body. Trailers and the length are lost; [`wrap`](Chunks::wrap) keeps
    /// the trailers.
    #[expect(clippy::should_implement_trait, reason = "as an `IntoIterator`, `Chunks` would count as a plain iterable")]
    pub fn into_iter(self) -> impl Iterator<Item = Result<Bytes, CallError>> + 'r {
        // The caller may collect the chunks in a list.
        let contain = if self.may_have_owners { contained::bytes } else { |bytes| bytes };
        let iterator = ChunkIter { source: self.source, _closing: self.closing };
        iterator.map(move |chunk| chunk.map(contain))
    }

    /// Whether the bytes of its chunks may have owners with destructors.
    pub(crate) fn may_have_owners(&self) -> bool {
        self.may_have_owners
    }

    /// Whether dropping the chunks may run code of the application, which the client must not wait for.
    pub(crate) fn has_close(&self) -> bool {
        self.closes || self.closing.is_some() || self.trailers.is_some()
    }

    /// Pulls the next chunk.
    pub(crate) fn pull(&mut self) -> Option<Result<Bytes, CallError>> {
        self.source.pull()
    }

    /// Whether the iterator claims to be exhausted. A size hint may be wrong.
    pub(crate) fn claims_to_be_done(&self) -> bool {
        self.source.size_hint().1 == Some(0)
    }

    /// Drops the parts in order, each in its own `catch_panic`: a second panic while the first unwinds would abort the
    /// process. Returns the first panic.
    pub(crate) fn close(self) -> Result<(), Panicked> {
        let Self { source, trailers, closing, .. } = self;
        let source = catch_panic(|| drop(source));
        let trailers = trailers.map_or(Ok(()), |trailers| catch_panic(|| drop(trailers)));
        let closing = closing.map_or(Ok(()), |closing| catch_panic(|| drop(closing)));
        source.and(trailers).and(closing)
    }

    /// The length of all chunks together, if it is certain.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            ChunkSource::File(file) => file.length,
            ChunkSource::Iterator(_) => self.length,
        }
    }

    /// Limits a file to a declared length. The exchange counts the chunks of an iterator instead.
    pub(crate) fn limit(&mut self, declared: u64) {
        if let ChunkSource::File(FileBody { length: Some(length), .. }) = &mut self.source {
            *length = declared.min(*length);
        }
    }

    /// Takes the file, if the body is a file that is large enough to be read on another thread.
    pub(crate) fn take_large_file(&mut self) -> Option<File> {
        match std::mem::replace(&mut self.source, ChunkSource::Iterator(Box::new(std::iter::empty()))) {
            ChunkSource::File(body) if body.is_large() => Some(body.file),
            other => {
                self.source = other;
                None
            }
        }
    }

    /// The names of the trailers.
    pub(crate) fn announced(&self) -> Option<&[HeaderName]> {
        self.trailers.as_ref().map(|trailers| &*trailers.names)
    }

    /// Computes the trailers.
    pub(crate) fn compute_trailers(&mut self) -> Result<HeaderMap> {
        self.trailers.take().map_or(Ok(HeaderMap::new()), |trailers| (trailers.compute)())
    }
}

/// The bytes of an item of an iterable.
fn pull_from(chunk: impl Chunk) -> Result<Bytes, CallError> {
    chunk.into_bytes().map_err(CallError::from)
}

/// Whether dropping the iterator after its last item may do more than free memory. The listed types of the standard
/// library do not; any other type with a destructor may.
fn may_close<I, T>() -> bool {
    let lists = [
        typeid::of::<std::array::IntoIter<T, 1>>(),
        typeid::of::<std::vec::IntoIter<T>>(),
        typeid::of::<std::option::IntoIter<T>>(),
        typeid::of::<std::iter::Once<T>>(),
    ];
    std::mem::needs_drop::<I>() && !lists.contains(&typeid::of::<I>())
}

/// The size up to which known pieces are concatenated.
const MOST_COPIED: u64 = 64 * 1024;

partial_debug!(Chunks<'r>, |this| size_hint: this.source.size_hint());
