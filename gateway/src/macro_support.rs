//! The functions that the expansions of the attributes call. Not public API: it changes with the macros.
//!
//! Threads: pool; blocks.

use axum::extract::{FromRequest, FromRequestParts};
use axum::response::IntoResponse;

use crate::error::{BoxError, Error, Result};
use crate::response::chunk::IntoChunks;
use crate::response::chunks::Chunks;

/// The value that a fn returned, bare or in a `Result`.
///
/// A `Result` is itself an iterable, of one item or none, so a trait alone could not tell `Result<String, E>` from a
/// list of strings. Method lookup can: for every `Result` it finds the inherent method below first.
#[derive(Debug)]
pub struct Returned<T>(pub T);

impl<I, E> Returned<Result<I, E>> {
    /// Chunks of a fallible fn.
    pub fn into_result<'r>(self) -> Result<Chunks<'r>>
    where
        I: IntoChunks<'r>,
        E: Into<BoxError>,
    {
        self.0.map(I::into_chunks).map_err(Error::new)
    }
}

/// The fallback of [`Returned`], implemented for all types: a type that is not a body then fails the bound of the
/// method, with its message, and not the lookup.
pub trait Bare: Sized {
    /// The type that the fn returned.
    type Body;

    /// Chunks of a fn that cannot fail.
    fn into_result<'r>(self) -> Result<Chunks<'r>>
    where
        Self::Body: IntoChunks<'r>;
}

impl<I> Bare for Returned<I> {
    type Body = I;

    fn into_result<'r>(self) -> Result<Chunks<'r>>
    where
        I: IntoChunks<'r>,
    {
        Ok(self.0.into_chunks())
    }
}

/// Compiles if `T` may be an argument of a blocking handler.
pub fn argument<T, S>()
where
    T: FromRequestParts<S> + Send + 'static,
{
}

/// Compiles if `T` may be the last argument of a blocking handler.
pub fn last_argument<T, S, M>()
where
    T: FromRequest<S, M> + Send + 'static,
{
}

/// Compiles if `T` may be the result of a blocking handler.
pub fn result<T>()
where
    T: IntoResponse,
{
}
