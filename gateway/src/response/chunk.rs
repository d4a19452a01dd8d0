//! One chunk of a body, and the iterables of chunks.
//!
//! Threads: pool; blocks.

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::{BoxError, Error, Result};
use crate::response::chunks::Chunks;

/// The return type of an application: [`Chunks`], or any iterable of [`Chunk`].
///
/// A `#[wsgi_app]` fn returns it, bare or in a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an iterable of byte chunks",
    label = "not an iterable of byte chunks",
    note = "a body in one piece is a list of one: return `[body]`, with a return type such as `[String; 1]`",
    note = "chunks are `Bytes`, `Vec<u8>`, `String`, `&'static str` and their like, or a `Result` of one of them",
    note = "see book/src/macro.md#returns-another-type in gateway's repository"
)]
pub trait IntoChunks<'r> {
    /// Makes the chunks, without pulling any.
    fn into_chunks(self) -> Chunks<'r>;
}

impl<'r> IntoChunks<'r> for Chunks<'r> {
    fn into_chunks(self) -> Chunks<'r> {
        self
    }
}

// Otherwise the compiler would ask for an `Iterator`, although the fix is a list.
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
///
/// Bytes are [`Bytes`], `BytesMut`, `Vec<u8>`, `Box<[u8]>`, `String`, `&'static str`, `&'static [u8]`, `&'static [u8;
/// N]`, or `Cow`s of the two slices. In a `Result` of one of them, the error is any that converts to a boxed error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a chunk of bytes",
    label = "not a chunk of bytes",
    note = "chunks are `Bytes`, `Vec<u8>`, `String`, `&'static str` and their like, or a `Result` of one of them",
    note = "a body in one piece is a list of one: return `[body]`",
    note = "see book/src/macro.md#returns-another-type in gateway's repository"
)]
pub trait Chunk: Sized {
    /// Whether the bytes may have an owner with a destructor, as those of `Bytes::from_owner` do. The response then
    /// wraps them, so that its panic stays within the drop.
    #[doc(hidden)]
    const MAY_HAVE_OWNER: bool = true;

    /// The bytes of the chunk, without a copy of owned ones.
    ///
    /// # Errors
    ///
    /// Returns the error, if the chunk is one; it ends the response as a failure.
    fn into_bytes(self) -> Result<Bytes>;
}

macro_rules! chunk_of {
    ($into:path: $($type:ty),+) => {
        $(impl Chunk for $type {
            const MAY_HAVE_OWNER: bool = false;

            fn into_bytes(self) -> Result<Bytes> {
                Ok($into(self))
            }
        })+
    };
}

chunk_of!(Bytes::from: bytes::BytesMut, Vec<u8>, Box<[u8]>, String, &'static str, &'static [u8]);
chunk_of!(from_cow: Cow<'static, str>, Cow<'static, [u8]>);

fn from_cow<B: ToOwned + ?Sized>(chunk: Cow<'static, B>) -> Bytes
where
    Bytes: From<&'static B> + From<B::Owned>,
{
    match chunk {
        Cow::Borrowed(borrowed) => borrowed.into(),
        Cow::Owned(owned) => owned.into(),
    }
}

impl Chunk for Bytes {
    fn into_bytes(self) -> Result<Bytes> {
        Ok(self)
    }
}

impl<const N: usize> Chunk for &'static [u8; N] {
    const MAY_HAVE_OWNER: bool = false;

    fn into_bytes(self) -> Result<Bytes> {
        Ok(Bytes::from_static(self))
    }
}

impl<C: Chunk, E: Into<BoxError>> Chunk for Result<C, E> {
    const MAY_HAVE_OWNER: bool = C::MAY_HAVE_OWNER;

    fn into_bytes(self) -> Result<Bytes> {
        self.map_err(Error::new)?.into_bytes()
    }
}
