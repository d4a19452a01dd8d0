//! Bodies that the thread of a handler makes after the head.
//!
//! Threads: made anywhere; runs on the pool.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Extensions, HeaderMap};
use http_body::Frame;

use crate::contained::Contained;
use crate::error::Result;
use crate::response::chunk::Chunk;
use crate::response::chunks::Chunks;
use crate::response::events::{self, Events};
use crate::response::write::Write;
use crate::sync::{Mutex, lock};

/// A response body that the thread of a [blocking handler](crate::Pool::handler) makes after the head: written by a
/// closure, or pulled from an iterator. Every other body is sent without the thread.
///
/// The closure or the iterator runs on the thread that ran the handler. It waits while the client reads slowly, and its
/// writes fail with [`Disconnected`](crate::Disconnected) when the client disconnects. An error or a panic before the
/// first byte is a 500; after it, the message is broken off.
///
/// # Example
///
/// ```
/// use std::io::Write as _;
///
/// use axum::{Router, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
/// use gateway::{Pool, Streamed};
///
/// fn report() -> impl IntoResponse {
///     let body = Streamed::write(|write| {
///         for row in 0..1000 {
///             writeln!(write, "{row},{}", row * row)?;
///         }
///         Ok(())
///     });
///     ([(CONTENT_TYPE, "text/csv")], body)
/// }
///
/// fn squares() -> Streamed {
///     Streamed::chunks((0..1000).map(|number| format!("{}\n", number * number)))
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(4).build()?;
/// let app: Router = Router::new().route("/report", get(pool.handler(report))).route("/squares", get(pool.handler(squares)));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
///
/// # Threads
///
/// Only for blocking handlers: as the response of an async handler, the body fails.
#[must_use = "a streamed body does nothing unless a handler returns it"]
pub struct Streamed {
    headers: HeaderMap,
    /// Contained, as a body that is never made is dropped with its response.
    make: Contained<Box<Make>>,
}

/// Writes the body, or returns it.
type Make = dyn FnOnce(Write<'_>) -> Result<Chunks<'static>> + Send;

impl Streamed {
    /// A body that `write` writes. [`Write`] does not buffer: wrap it in a [`std::io::BufWriter`] for many small
    /// pieces.
    pub fn write<F>(write: F) -> Self
    where
        F: FnOnce(&mut Write<'_>) -> Result<()> + Send + 'static,
    {
        Self::making(|mut writer| {
            write(&mut writer)?;
            Ok(Chunks::empty())
        })
    }

    /// A body of the chunks of an iterable, which is iterated on the thread.
    pub fn chunks<I>(chunks: I) -> Self
    where
        I: IntoIterator<Item: Chunk + 'static> + Send + 'static,
    {
        Self::making(|_| Ok(Chunks::new(chunks)))
    }

    /// A stream of Server-Sent Events that `send` sends, with its headers.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Event, Streamed};
    ///
    /// fn greetings() -> Streamed {
    ///     Streamed::events(|events| {
    ///         events.send(&Event::new("hello"))?;
    ///         events.send(&Event::new("good bye").name("end"))?;
    ///         Ok(())
    ///     })
    /// }
    /// # drop(greetings());
    /// ```
    pub fn events<F>(send: F) -> Self
    where
        F: FnOnce(&Events<'_>) -> Result<()> + Send + 'static,
    {
        Self {
            headers: HeaderMap::from_iter(events::headers()),
            ..Self::write(|write| send(&Events::on(write.clone())?))
        }
    }

    /// A body that `make` makes on the thread, once the head is started.
    #[cfg(feature = "files")]
    pub(crate) fn of(make: impl FnOnce() -> Chunks<'static> + Send + 'static) -> Self {
        Self::making(|_| Ok(make()))
    }

    fn making(make: impl FnOnce(Write<'_>) -> Result<Chunks<'static>> + Send + 'static) -> Self {
        Self { headers: HeaderMap::new(), make: Contained::new(Box::new(make)) }
    }

    pub(crate) fn run(self, write: Write<'_>) -> Result<Chunks<'static>> {
        (self.make.into_inner())(write)
    }

    /// The streamed body of a response, if it has one.
    pub(crate) fn of_response(extensions: &mut Extensions) -> Option<Self> {
        lock(&extensions.remove::<StreamedSlot>()?.0).take()
    }
}

/// Carries the body in the extensions of its response, which have to be `Clone`.
#[derive(Clone)]
struct StreamedSlot(Arc<Mutex<Option<Streamed>>>);

impl IntoResponse for Streamed {
    fn into_response(mut self) -> Response {
        let mut response = Response::new(Body::new(NotStreamed));
        *response.headers_mut() = std::mem::take(&mut self.headers);
        response.extensions_mut().insert(StreamedSlot(Arc::new(Mutex::new(Some(self)))));
        response
    }
}

/// The body of a response that no thread streams: it fails.
#[derive(Debug)]
struct NotStreamed;

impl http_body::Body for NotStreamed {
    type Data = Bytes;
    type Error = Self;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self>>> {
        std::task::Poll::Ready(Some(Err(Self)))
    }
}

error_text!(NotStreamed, "`Streamed` needs a thread; mount the handler with `pool.handler`");

partial_debug!(Streamed);
