//! The request body of a handler, which at most one extractor takes.
//!
//! Threads: runtime.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::Extensions;
use http_body::{Frame, SizeHint};

use crate::body::input::Input;
use crate::body::read_ahead::{ReadAhead, Rest};
use crate::body::source::{BodyFailure, BodySource, Piece};
use crate::environ::mounted::Mounted as _;
use crate::error::{Disconnected, InputError};
use crate::log::{self, Span};
use crate::pipe::Watch;
use crate::pool::drivers::local;
use crate::refusal::Refusal;
use crate::service::mount::Mount;
use crate::sync::{Mutex, lock};

/// The body of a request to a blocking handler. The request has it in its extensions, for [`Input`].
#[derive(Clone)]
pub(super) enum BodySlot {
    /// The request has no body.
    Empty,
    Shared(Arc<SharedBody>),
}

pub(super) struct SharedBody {
    state: Mutex<BodyState>,
    declared: Option<u64>,
    mount: Arc<Mount>,
    span: Span,
    /// When reads of the handler fail. Set when the job is handed over.
    deadline: Arc<OnceLock<Instant>>,
}

/// Where the body is.
enum BodyState {
    /// In the slot: an extractor may take it, as the body of the request or as [`Input`].
    Here(BodySource<Body>),
    /// [`Input`] is reading the start of the body.
    Taken,
    /// [`Input`] has the body, and receives it through this pipe.
    Input(Watch<Piece, BodyFailure>),
    /// The body was read to its end.
    Complete,
    /// The body was dropped before its end.
    Unread,
    /// The body cannot be read. The client gets this response, whatever the rejection of the extractor.
    Failed(Refusal),
}

/// How far the body was read when the extractors had finished.
pub(super) enum Reading {
    Complete,
    Unread,
    /// The handler owns the input, which reads its deadline from the cell.
    Input(Watch<Piece, BodyFailure>, Arc<OnceLock<Instant>>),
    Failed(Refusal),
}

impl BodySlot {
    pub(super) fn new(source: BodySource<Body>, declared: Option<u64>, mount: &Arc<Mount>, span: Span) -> Self {
        let state = Mutex::new(BodyState::Here(source));
        let shared = SharedBody { state, declared, mount: Arc::clone(mount), span, deadline: Arc::default() };
        Self::Shared(Arc::new(shared))
    }

    /// Puts the slot into the extensions of the request. The mark of an empty body takes no memory there.
    pub(super) fn insert_into(&self, extensions: &mut Extensions) {
        // A request that a handler has passed on may have the slot of that handler.
        match self {
            Self::Empty => {
                extensions.remove::<Arc<SharedBody>>();
                extensions.insert(NoBody);
            }
            Self::Shared(shared) => drop(extensions.insert(Arc::clone(shared))),
        }
    }

    /// The slot of the request, if its handler is blocking.
    pub(super) fn of(extensions: &Extensions) -> Option<Self> {
        let shared = extensions.get().map(Arc::clone).map(Self::Shared);
        shared.or_else(|| extensions.get().map(|NoBody| Self::Empty))
    }

    /// The body, for the extractors.
    pub(super) fn body(&self) -> Body {
        match self {
            Self::Empty => Body::empty(),
            Self::Shared(shared) => Body::new(LimitedBody(Arc::clone(shared))),
        }
    }

    pub(super) fn reading(&self) -> Reading {
        let Self::Shared(shared) = self else { return Reading::Complete };
        match &*lock(&shared.state) {
            BodyState::Here(_) | BodyState::Taken | BodyState::Unread => Reading::Unread,
            BodyState::Input(watch) => Reading::Input(watch.clone(), Arc::clone(&shared.deadline)),
            BodyState::Complete => Reading::Complete,
            BodyState::Failed(refusal) => Reading::Failed(*refusal),
        }
    }

    /// Takes the body as the input of the handler. Reads its start, or with a spool all of it.
    ///
    /// # Errors
    ///
    /// The answer to a body that cannot be spooled.
    pub(super) async fn take_input(&self) -> Result<Input, Refusal> {
        match self {
            Self::Empty => Ok(Input::empty()),
            Self::Shared(shared) => shared.take_input().await,
        }
    }
}

/// The mark of a request without a body.
#[derive(Clone)]
struct NoBody;

impl SharedBody {
    async fn take_input(&self) -> Result<Input, Refusal> {
        // Taken before the first wait: an extractor that runs meanwhile gets no part of this body.
        let state = std::mem::replace(&mut *lock(&self.state), BodyState::Taken);
        let BodyState::Here(source) = state else {
            // An earlier extractor has read it.
            *lock(&self.state) = state;
            return Ok(Input::empty());
        };
        let received = log::in_span(self.span.clone(), self.receive(source)).await;
        let (mut input, rest) = received.inspect_err(|refusal| {
            *lock(&self.state) = BodyState::Failed(*refusal);
        })?;
        input.end_with(Arc::clone(&self.deadline));
        // The handler owns the input: its request needs a handle to end even a body that is complete.
        let state = input.hold().map_or(BodyState::Complete, BodyState::Input);
        *lock(&self.state) = state;
        match rest {
            Rest::Pump(pump) => local::spawn(log::in_span(self.span.clone(), pump.run())),
            Rest::Source(source) => source.discard(),
        }
        Ok(input)
    }

    /// Reads the start of the body, or all of it, as the mount and its executor require.
    async fn receive(&self, source: BodySource<Body>) -> Result<(Input, Rest<Body>), Refusal> {
        let mut ahead = ReadAhead::of(source, self.declared);
        if let Some(spool) = &self.mount.settings().spool {
            return ahead.spool(spool, self.mount.executor().uploads()).await;
        }
        if let Some(uploads) = self.mount.executor().uploads() {
            return uploads.receive(ahead, self.mount.executor().longest_wait()).await;
        }
        std::future::poll_fn(|cx| ahead.poll(cx)).await;
        Ok(ahead.split(None))
    }
}

/// The body that extractors read, within the limits of the mount.
struct LimitedBody(Arc<SharedBody>);

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let state = &mut *lock(&self.0.state);
        let BodyState::Here(source) = state else { return Poll::Ready(None) };
        match std::task::ready!(source.poll_piece(cx)) {
            Some(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Piece::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(*fields)))),
            None => {}
        }
        let end = source.end().unwrap_or(Err(BodyFailure::Disconnected));
        let (after, last) = match end {
            Ok(()) => (BodyState::Complete, None),
            Err(failure) => (
                BodyState::Failed(failure.refusal()),
                Some(Err(match failure {
                    BodyFailure::Broken(error) => BodyError::Broken(error),
                    BodyFailure::Disconnected => BodyError::Disconnected,
                })),
            ),
        };
        if let BodyState::Here(source) = std::mem::replace(state, after) {
            source.discard();
        }
        Poll::Ready(last)
    }

    fn size_hint(&self) -> SizeHint {
        match &*lock(&self.0.state) {
            BodyState::Here(source) => source.remaining().map_or_else(SizeHint::default, SizeHint::with_exact),
            _ => SizeHint::with_exact(0),
        }
    }
}

/// The extractors do not read the rest of the body.
impl Drop for LimitedBody {
    fn drop(&mut self) {
        let state = &mut *lock(&self.0.state);
        if !matches!(state, BodyState::Here(_)) {
            return;
        }
        if let BodyState::Here(source) = std::mem::replace(state, BodyState::Unread) {
            source.discard();
        }
    }
}

/// Why an extractor cannot read the body.
#[derive(Debug)]
enum BodyError {
    Broken(InputError),
    Disconnected,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::Disconnected => Disconnected.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {}
