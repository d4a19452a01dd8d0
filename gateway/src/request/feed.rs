//! The runtime's half of the request body: reads frames and feeds them to the application.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use http_body::Body;

use crate::error::InputError;
use crate::pipe::{Closed, Item, Sender, Watch, pipe};
use crate::request::drain;
use crate::request::patience::Patience;
use crate::request::spool::Spooled;
use crate::request::{Input, Spool};

/// Why a request body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Failure {
    /// The client has gone.
    #[default]
    Disconnected,
    /// The body itself is at fault.
    Broken(InputError),
}

/// What a body is made of.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// What came after the last byte.
    Trailers(Box<HeaderMap>),
}

impl Item for Piece {
    fn bytes(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            Self::Trailers(fields) => fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(),
        }
    }
}

/// Reads a request body into a bounded pipe.
///
/// First [`read_ahead`](Feed::read_ahead), before the job is handed over, so that a small body never keeps a thread waiting;
/// then [`run`](Feed::run), as a task of its own, for what did not fit.
pub(crate) struct Feed<B> {
    body: Pin<Box<B>>,
    sender: Sender<Piece, Failure>,
    /// A frame that waits for room.
    pending: Option<Piece>,
    /// What is left of the declared length; the bytes are counted here, whatever the server below believes.
    remaining: Option<u64>,
    /// How many more bytes the mount allows, and the limit for the message.
    allowance: u64,
    limit: u64,
    patience: Patience,
    ends_itself: bool,
    asks_to_continue: bool,
    /// How the body has ended.
    end: Option<Result<(), Failure>>,
}

/// What a mount grants a request body.
pub(crate) struct Grant {
    /// The most bytes.
    pub(crate) limit: u64,
    /// The most bytes to hold for an application that does not read.
    pub(crate) buffer: usize,
    pub(crate) patience: Patience,
    /// The server says where the body ends, even after its declared length: as on HTTP/2, where trailers may follow.
    pub(crate) ends_itself: bool,
    /// The client sends nothing before it is asked to, and reading asks it.
    pub(crate) asks_to_continue: bool,
}

/// Whether there is more to feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    /// The end was said.
    Ended,
}

/// A frame smaller than this is copied. hyper reads into buffers of some kilobytes, and a few bytes that wait for the rest must not
/// keep one each, for which nothing would account.
const SMALL: usize = 4096;

impl<B> Feed<B>
where
    B: Body + Send + 'static,
{
    /// A feed for `body`, the input it feeds, and the handle that stops both.
    pub(crate) fn new(body: B, declared: Option<u64>, grant: Grant) -> (Self, Input, Upload) {
        let Grant { limit, buffer, patience, ends_itself, asks_to_continue } = grant;
        let (sender, receiver) = pipe(buffer);
        let upload = Upload { pipe: Some(sender.watch()) };
        let feed = Self {
            body: Box::pin(body),
            sender,
            pending: None,
            remaining: declared,
            allowance: limit,
            limit,
            patience,
            ends_itself,
            asks_to_continue,
            end: None,
        };
        (feed, Input::new(receiver, declared), upload)
    }

    /// Reads until the next frame finds no room, or the body has ended.
    pub(crate) async fn read_ahead(&mut self) -> Progress {
        std::future::poll_fn(|cx| {
            loop {
                if std::task::ready!(self.poll_pending(cx)) == Progress::Ended {
                    return Poll::Ready(Progress::Ended);
                }
                if self.sender.poll_push(cx, &mut self.pending).is_pending() {
                    return Poll::Ready(Progress::More);
                }
            }
        })
        .await
    }

    /// Reads the whole body, what does not fit the pipe into a file. The result is that file, and the room it takes.
    ///
    /// # Errors
    ///
    /// The status that answers a body that cannot be had.
    pub(crate) async fn spool(&mut self, spool: &Spool, declared: Option<u64>) -> Result<Spooled, StatusCode> {
        let mut spooled = spool.begin(declared.unwrap_or(0))?;
        self.asks_to_continue = false;
        while std::future::poll_fn(|cx| self.poll_pending(cx)).await == Progress::More {
            // For bytes that are here: those that are but promised take no room.
            spooled.reserve(self.limit - self.allowance)?;
            if !spooled.has_begun() {
                let pushed = std::future::poll_fn(|cx| Poll::Ready(self.sender.poll_push(cx, &mut self.pending))).await;
                if pushed.is_ready() {
                    continue;
                }
            }
            if let Some(piece) = self.pending.take() {
                spooled.write(piece).await?;
            }
        }
        match self.end {
            Some(Err(Failure::Broken(error))) => Err(error.status()),
            Some(Err(Failure::Disconnected)) => Err(StatusCode::BAD_REQUEST),
            Some(Ok(())) | None => spooled.finish(self.limit - self.allowance).await,
        }
    }

    /// Reads on for nobody, when there is no application to feed any more.
    pub(crate) fn drain(self) {
        let goes_on = match self.end {
            None | Some(Err(Failure::Broken(InputError::TooLarge { .. }))) => true,
            // It is over, or nobody knows where it ends, or it has been waited for in vain.
            Some(_) => false,
        };
        if goes_on && !self.ends_itself && !self.asks_to_continue {
            drain(self.body, self.remaining);
        }
    }

    /// Waits until the application asks for its body, then feeds it to the end.
    pub(crate) async fn run(mut self) {
        if std::future::poll_fn(|cx| self.sender.poll_wanted(cx)).await {
            self.asks_to_continue = false;
        }
        self.feed().await;
        self.drain();
    }

    async fn feed(&mut self) {
        std::future::poll_fn(|cx| {
            loop {
                if std::task::ready!(self.poll_pending(cx)) == Progress::Ended {
                    return Poll::Ready(());
                }
                if let Err(Closed) = std::task::ready!(self.sender.poll_push(cx, &mut self.pending)) {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    /// Makes sure that a frame is pending, or says how the body has ended.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        // Whoever no longer reads ends the feed, even in the middle of a frame.
        if self.sender.poll_closed(cx).is_ready() {
            return Poll::Ready(Progress::Ended);
        }
        if self.pending.is_none() {
            match std::task::ready!(self.poll_frame(cx)) {
                Some(Ok(piece)) => self.pending = Some(piece),
                Some(Err(failure)) => self.end(Err(failure)),
                None => self.end(Ok(())),
            }
        }
        Poll::Ready(if self.pending.is_some() { Progress::More } else { Progress::Ended })
    }

    fn end(&mut self, end: Result<(), Failure>) {
        self.end = Some(end);
        self.sender.end(end);
    }

    /// The next data, counted. `None` is an end that is where it was declared to be.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Failure>>> {
        // The last declared byte is the end. hyper does not say so on HTTP/1 once the response is complete.
        if self.remaining == Some(0) && !self.ends_itself {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) else {
                std::task::ready!(self.patience.poll_lost(cx));
                return Poll::Ready(Some(Err(Failure::Broken(InputError::TimedOut))));
            };
            self.patience.rest();
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Some(Err(Failure::Broken(InputError::Incomplete)))),
                None if self.remaining.unwrap_or(0) > 0 => {
                    return Poll::Ready(Some(Err(Failure::Broken(InputError::Incomplete))));
                }
                None => return Poll::Ready(None),
            };
            let mut data = match frame.into_data() {
                Ok(data) => data,
                Err(other) => match other.into_trailers() {
                    Ok(fields) => return Poll::Ready(Some(Ok(Piece::Trailers(Box::new(fields))))),
                    Err(_) => continue,
                },
            };
            let mut bytes = data.copy_to_bytes(data.remaining());
            if bytes.len() < SMALL {
                bytes = Bytes::copy_from_slice(&bytes);
            }
            let length = bytes.len() as u64;
            if length > self.allowance {
                return Poll::Ready(Some(Err(Failure::Broken(InputError::TooLarge { limit: self.limit }))));
            }
            self.allowance -= length;
            if let Some(remaining) = &mut self.remaining {
                *remaining = remaining.saturating_sub(length);
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Piece::Data(bytes))));
            }
        }
    }
}

/// The runtime's hold on a request body that an application may be reading. Dropping it means that the client has gone, and
/// wakes the reader with an error.
#[derive(Debug)]
pub(crate) struct Upload {
    pipe: Option<Watch<Piece, Failure>>,
}

impl Upload {
    /// Lets go: the response is complete, and what is left of the body is between the application and the client.
    pub(crate) fn release(mut self) {
        self.pipe = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(pipe) = &self.pipe {
            pipe.fail(Failure::Disconnected);
        }
    }
}
