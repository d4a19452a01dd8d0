//! What an application returns: its body, chunk by chunk.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::error::{BoxError, Error, Result};

/// The body of a response, as an iterator of byte chunks. WSGI calls it the iterable.
///
/// The gateway pulls one chunk at a time and sends it before it pulls the next, as far as the response buffer allows. Empty
/// chunks send nothing. An `Err` ends the response as a failure. When the body ends, in whatever way, the chunks are
/// dropped, once: a type that has to clean up does so in its `Drop`, WSGI's `close`.
///
/// `#[wsgi_app]` makes chunks out of what the fn returns. Applications written by hand call [`Chunks::new`].
///
/// # Example: middleware
///
/// `Chunks` is not itself an iterator, because what it knows about its own body would be lost on the way. Middleware that
/// changes the bytes takes the iterator out and makes new chunks of it:
///
/// ```
/// use gateway::{Application, Chunks, Environ, StartResponse};
///
/// struct Shout<A>(A);
///
/// impl<A: Application> Application for Shout<A> {
///     fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
///         let chunks = self.0.call(environ, start_response)?;
///         Ok(Chunks::new(chunks.into_iter().map(|chunk| Ok::<_, gateway::Error>(chunk?.to_ascii_uppercase()))))
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
/// Made, pulled and dropped on the pool thread of their request; need not be `Send`, and may borrow from the environ and
/// from the application.
pub struct Chunks<'r> {
    iterator: Box<dyn Iterator<Item = Result<Bytes>> + 'r>,
}

impl<'r> Chunks<'r> {
    /// Makes chunks of anything that can be iterated: a list, an array, an iterator.
    ///
    /// A body in one piece is a list of one, `Chunks::new([body])`.
    pub fn new<I>(chunks: I) -> Self
    where
        I: IntoIterator<IntoIter: 'r, Item: Chunk + 'r>,
    {
        Self { iterator: Box::new(chunks.into_iter().map(Chunk::into_bytes)) }
    }

    /// A body without bytes.
    pub fn empty() -> Self {
        Self::new(std::iter::empty::<Bytes>())
    }

    /// The iterator inside. It closes the body when it is dropped.
    #[expect(clippy::should_implement_trait, reason = "as an `IntoIterator`, `Chunks` would count as a plain iterable")]
    pub fn into_iter(self) -> impl Iterator<Item = Result<Bytes>> + 'r {
        self.iterator
    }

    /// Pulls the next chunk.
    pub(crate) fn pull(&mut self) -> Option<Result<Bytes>> {
        self.iterator.next()
    }

    /// Whether the iterator claims to have nothing left. A claim, not a fact.
    pub(crate) fn claims_to_be_done(&self) -> bool {
        self.iterator.size_hint().1 == Some(0)
    }
}

impl fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("size_hint", &self.iterator.size_hint()).finish()
    }
}

/// What becomes the body of a response: [`Chunks`], or any iterable of [`Chunk`].
///
/// This is what a `#[wsgi_app]` fn returns, bare or in a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an iterable of byte chunks",
    label = "not an iterable of byte chunks",
    note = "a body in one piece is a list of one: return `[body]`, with a return type such as `[String; 1]`",
    note = "chunks are `Bytes`, `Vec<u8>`, `String`, `&'static str`, or a `Result` of one of them"
)]
pub trait IntoChunks<'r> {
    /// Makes the chunks; nothing is pulled yet.
    fn into_chunks(self) -> Chunks<'r>;
}

impl<'r> IntoChunks<'r> for Chunks<'r> {
    fn into_chunks(self) -> Chunks<'r> {
        self
    }
}

// Otherwise the compiler would ask for an `Iterator` where it should ask for a list.
#[diagnostic::do_not_recommend]
impl<'r, I> IntoChunks<'r> for I
where
    I: IntoIterator<IntoIter: 'r, Item: Chunk + 'r>,
{
    fn into_chunks(self) -> Chunks<'r> {
        Chunks::new(self)
    }
}

/// One chunk of a body: bytes, or the error that ends it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a chunk of bytes",
    label = "not a chunk of bytes",
    note = "chunks are `Bytes`, `Vec<u8>`, `String`, `&'static str`, or a `Result` of one of them",
    note = "a body in one piece is a list of one: return `[body]`"
)]
pub trait Chunk: Sized {
    /// The bytes of the chunk; owned ones are not copied.
    ///
    /// # Errors
    ///
    /// Returns the error of a chunk that is one; it ends the response as a failure.
    fn into_bytes(self) -> Result<Bytes>;
}

macro_rules! chunk_of {
    ($($type:ty),+ $(,)?) => {
        $(impl Chunk for $type {
            fn into_bytes(self) -> Result<Bytes> {
                Ok(Bytes::from(self))
            }
        })+
    };
}

chunk_of!(Bytes, bytes::BytesMut, Vec<u8>, Box<[u8]>, String, &'static str, &'static [u8]);

impl<const N: usize> Chunk for &'static [u8; N] {
    fn into_bytes(self) -> Result<Bytes> {
        Ok(Bytes::from_static(self))
    }
}

impl Chunk for Cow<'static, str> {
    fn into_bytes(self) -> Result<Bytes> {
        match self {
            Cow::Borrowed(text) => Ok(Bytes::from_static(text.as_bytes())),
            Cow::Owned(text) => Ok(Bytes::from(text)),
        }
    }
}

impl Chunk for Cow<'static, [u8]> {
    fn into_bytes(self) -> Result<Bytes> {
        match self {
            Cow::Borrowed(bytes) => Ok(Bytes::from_static(bytes)),
            Cow::Owned(bytes) => Ok(Bytes::from(bytes)),
        }
    }
}

impl<C: Chunk, E: Into<BoxError>> Chunk for Result<C, E> {
    fn into_bytes(self) -> Result<Bytes> {
        self.map_err(Error::new)?.into_bytes()
    }
}
