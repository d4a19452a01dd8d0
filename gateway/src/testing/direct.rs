//! The two arguments of an application, for a direct call of its fn.
//!
//! Threads: the test's; blocks.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::StartResponse;
use crate::body::read_ahead::ReadAhead;
use crate::body::source::BodyLimits;
use crate::body::timeouts::BodyTimeouts;
use crate::declared_length::declared_length;
use crate::environ::Environ;
use crate::environ::id::RequestId;
use crate::log::Span;
use crate::pipe::pipe;
use crate::response::exchange::{Exchange, ResponseOptions};
use crate::response::head::ResponseHead;
use crate::response::message::Message;
use crate::testing::request::Request;
use crate::testing::runtime::block_on;

/// Calls `run` with an environ and a `start_response` for `request`, and records the head and the written bytes.
///
/// For unit tests of a fn under `#[wsgi_app]`, which can be called as `name::run`. The returned value is not read: it
/// is passed on to the test, and must not borrow.
///
/// # Panics
///
/// Panics if the request is for a [router](crate::testing::Client::router).
///
/// # Example
///
/// ```
/// use gateway::testing::{Client, with_request};
/// use gateway::{Environ, StartResponse, wsgi_app};
///
/// #[wsgi_app]
/// fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
///     start_response("200 OK", &[("X-Answer", "42")])?;
///     Ok(["Hello!"])
/// }
///
/// let recorded = with_request(Client::new(hello).request("GET", "/"), |environ, start_response| {
///     hello::run(environ, start_response)
/// });
/// assert_eq!(recorded.returned?, ["Hello!"]);
/// let head = recorded.head.ok_or("start_response was not called")?;
/// assert_eq!(head.headers()["x-answer"], "42");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub fn with_request<R>(
    request: Request,
    run: impl for<'r> FnOnce(&'r mut Environ, StartResponse<'r>) -> R,
) -> Recorded<R> {
    let (mount, parts, body) = request.into_parts();
    let limits = BodyLimits {
        limit: u64::MAX,
        buffer: usize::MAX,
        timeouts: BodyTimeouts::new(Duration::MAX, Duration::MAX),
        ends_itself: false,
        asks_to_continue: false,
        server_lingers: false,
    };
    let mut ahead = ReadAhead::new(body, declared_length(&parts.headers), limits);
    block_on(std::future::poll_fn(|cx| ahead.poll(cx)));
    let (input, _) = ahead.split(None);
    let (messages, mut inbox) = pipe(usize::MAX);
    let head_request = parts.method == http::Method::HEAD;
    let id = RequestId::of(&parts.extensions);
    let mut environ = Environ::new(parts, id, Span::none(), mount, messages.watch());
    environ.set_input(input);
    let deadline = environ.settings().deadline.and_then(|after| Instant::now().checked_add(after));
    if let Some(deadline) = deadline {
        environ.set_deadline(deadline);
    }
    let options = ResponseOptions {
        head_request,
        write_stall: Duration::MAX,
        deadline,
        offloads: false,
        context: None,
        timing: None,
    };
    let exchange = Exchange::new(messages, options);
    let call = |status: &str, headers: &[(&str, &str)]| exchange.call(status, headers);
    let returned = run(&mut environ, StartResponse::new(&exchange, &call));

    let mut head = exchange.unsent_head();
    // The pipe yields the pushed messages first, then its end: the exchange was dropped.
    drop(exchange);
    let mut written = Vec::new();
    while let Some(Ok(message)) = inbox.pull() {
        match message {
            Message::Head(sent, _) | Message::Bodiless(sent) => head = Some(*sent),
            Message::Chunk(bytes) => written.push(bytes.into_bytes()),
            // Sent only when the chunks are read, and they are not read here.
            Message::Whole(_)
            | Message::Failure(_)
            | Message::File(_)
            | Message::Trailers(_)
            | Message::Reserved(_) => {}
        }
    }
    Recorded { returned, head, written }
}

/// The recorded effects of a fn. Created by [`with_request`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Recorded<R> {
    /// The returned value.
    pub returned: R,
    /// The head, if a call of `start_response` succeeded.
    pub head: Option<ResponseHead>,
    /// The bytes sent through [`Write`](crate::Write).
    pub written: Vec<Bytes>,
}
