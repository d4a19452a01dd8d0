//! An accepted request, until its job is handed over.
//!
//! Threads: runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use http::request::Parts;
use http::{HeaderMap, Method, Version};
use http_body::Body as HttpBody;

use crate::body::input::Input;
use crate::body::pump::BodyGuard;
use crate::body::read_ahead::{ReadAhead, Rest};
use crate::body::source::{BodyFailure, BodyLimits, Piece};
use crate::body::spool::Spool;
use crate::body::timeouts::BodyTimeouts;
use crate::connection_context::ConnectionContext;
use crate::environ::Environ;
use crate::environ::headers::expects_continue;
use crate::environ::id::RequestId;
use crate::environ::mounted::Mounted;
use crate::environ::span::Routing;
use crate::error::Error;
use crate::executor::DropReason;
use crate::failure::Failure;
use crate::job::Job;
use crate::log::{self, Span};
use crate::observe::timing::Timing;
use crate::pipe::{Watch, pipe};
use crate::pool::drivers::local;
use crate::refusal::Refusal;
use crate::response::message::Inbox;
use crate::response::passed::PassedResponse;
use crate::response::progress::Extent;
use crate::service::mount::Mount;
use crate::service::response_future::{Admission, NotDispatched, PendingResponse};
use crate::timer::Timer;
use crate::work::{HandlerCall, Work};

/// A job that waits for its request body, and the inbox for its response.
pub(crate) struct Dispatch {
    job: Job,
    mount: Arc<Mount>,
    inbox: Inbox,
    timing: Option<Arc<Timing>>,
    /// The server discards the unread rest of the body.
    server_lingers: bool,
    /// The extractors of a handler have dropped the body before its end.
    is_body_unread: bool,
}

impl Dispatch {
    pub(crate) fn new(
        parts: Parts,
        id: RequestId,
        span: Span,
        timing: Option<Arc<Timing>>,
        context: Option<ConnectionContext>,
        mount: &Arc<Mount>,
        work: Work,
    ) -> Self {
        let (messages, inbox) = pipe(mount.buffer(mount.settings().response_buffer));
        let environ = Environ::new(parts, id, span, Arc::clone(mount) as Arc<dyn Mounted>, messages.watch());
        let server_lingers = context.is_some();
        let is_inline = mount.executor().is_inline();
        let job = Job::new(work, environ, messages, context, is_inline);
        Self { job, mount: Arc::clone(mount), inbox, timing, server_lingers, is_body_unread: false }
    }

    /// The limits of the request body.
    pub(crate) fn limits(&self, headers: &HeaderMap, buffer: usize) -> BodyLimits {
        let mount = &self.mount;
        let settings = mount.settings();
        let version = self.job.environ().version();
        BodyLimits {
            limit: settings.body_limit,
            buffer: mount.buffer(buffer),
            timeouts: BodyTimeouts::new(settings.body_idle, settings.body_deadline),
            ends_itself: version >= Version::HTTP_2,
            asks_to_continue: expects_continue(version, headers),
            server_lingers: self.server_lingers,
        }
    }

    /// Reads the start of the body, then hands the job over.
    pub(crate) fn read_ahead<B>(self, body: B, declared: Option<u64>) -> ReadingAhead<B>
    where
        B: HttpBody + Send + 'static,
    {
        let mut limits = self.limits(self.job.environ().headers(), self.mount.settings().read_ahead);
        // An inline application cannot ask the client while this thread waits for the body, so the client is asked
        // first.
        limits.asks_to_continue &= !self.mount.executor().is_inline();
        ReadingAhead::Small(Some((self, ReadAhead::new(body, declared, limits))))
    }

    /// Reads the whole body, or leaves it to an application that has to ask its client for it; then hands the job over.
    pub(crate) async fn spool<B>(
        mut self,
        body: B,
        declared: Option<u64>,
        spool: Spool,
    ) -> Result<PendingResponse, NotDispatched>
    where
        B: HttpBody + Send + 'static,
    {
        let ahead = ReadAhead::new(body, declared, self.limits(self.job.environ().headers(), spool.memory()));
        let span = self.job.environ().error_span();
        let executor = Arc::clone(self.mount.executor());
        let (input, rest) = match log::in_span(span, ahead.spool(&spool, executor.uploads())).await {
            Ok(received) => received,
            Err(refusal) => return Err(self.refuse(refusal)),
        };
        if let Some(length) = input.length() {
            self.job.environ_mut().declare_length(length);
        }
        Ok(self.hand_over_input((input, rest)))
    }

    /// Reads a body that is larger than the read-ahead, as far as the executor allows it to stream.
    async fn receive<B>(self, mut ahead: ReadAhead<B>) -> Result<PendingResponse, NotDispatched>
    where
        B: HttpBody + Send + 'static,
    {
        let executor = Arc::clone(self.mount.executor());
        let Some(uploads) = executor.uploads() else {
            std::future::poll_fn(|cx| ahead.poll(cx)).await;
            return Ok(self.hand_over_input(ahead.split(None)));
        };
        let span = self.job.environ().error_span();
        match log::in_span(span, uploads.receive(ahead, executor.longest_wait())).await {
            Ok(received) => Ok(self.hand_over_input(received)),
            Err(refusal) => Err(self.refuse(refusal)),
        }
    }

    /// Hands the job over with its input, then spawns the pump for the rest of the body, or discards the rest.
    fn hand_over_input<B>(mut self, (input, rest): (Input, Rest<B>)) -> PendingResponse
    where
        B: HttpBody + Send + 'static,
    {
        let environ = self.job.environ_mut();
        environ.set_input(input);
        let span = environ.span().clone();
        let pending = self.hand_over();
        match rest {
            Rest::Pump(pump) => local::spawn(log::in_span(span, pump.run())),
            Rest::Source(source) => source.discard(),
        }
        pending
    }

    /// The body streams to the handler, which owns the input. The input reads the deadline from `deadline`.
    pub(crate) fn watch_input(&mut self, input: Watch<Piece, BodyFailure>, deadline: Arc<OnceLock<Instant>>) {
        self.job.environ_mut().watch_input(input, deadline);
    }

    /// What the log says about a handler's request.
    pub(crate) fn set_routing(&mut self, routing: Routing) {
        self.job.environ_mut().set_routing(routing);
    }

    pub(crate) fn leave_body_unread(&mut self) {
        self.is_body_unread = true;
    }

    /// The request body cannot be received.
    pub(crate) fn refuse(self, refusal: Refusal) -> NotDispatched {
        let executor = self.mount.executor();
        if refusal == Refusal::EXPIRED {
            executor.dropped(DropReason::Expired);
        }
        NotDispatched::Refused { refusal, retry_after: executor.retry_after() }
    }

    /// An extractor has rejected the request.
    pub(crate) fn reject(self, response: axum::response::Response) -> NotDispatched {
        let is_head = self.job.environ().method() == Method::HEAD;
        match PassedResponse::of_rejection(response, is_head) {
            Ok(response) => {
                NotDispatched::Rejected { response: Box::new(response), is_body_unread: self.is_body_unread }
            }
            Err(error) => self.fail(error),
        }
    }

    /// An extractor has failed.
    pub(crate) fn fail(self, error: Error) -> NotDispatched {
        let environ = self.job.environ();
        let span = environ.error_span();
        let _entered = span.enter();
        let failure = Failure::of(error, environ, false);
        let refusal = failure.refusal();
        failure.report(Extent::Nothing);
        failure.tell(environ.extensions().get());
        NotDispatched::Failed { refusal, is_body_unread: self.is_body_unread }
    }

    /// Hands over the job of a handler whose extractors are done.
    pub(crate) fn hand_over_call(mut self, call: HandlerCall) -> PendingResponse {
        self.job.set_call(call);
        self.hand_over()
    }

    /// Hands the job over; if the executor has no room at once, the future waits for it.
    pub(crate) fn hand_over(self) -> PendingResponse {
        let Self { mut job, mount, inbox, timing, is_body_unread, .. } = self;
        let upload = job.environ().upload().map(BodyGuard::new);
        let deadline = mount.settings().deadline.map(|after| {
            // A deadline beyond the range of `Instant` is none.
            if let Some(deadline) = Instant::now().checked_add(after) {
                job.environ_mut().set_deadline(deadline);
            }
            // Before the job is handed over, which may take time.
            Timer::new(after)
        });
        if let Some(timing) = timing {
            job.record(timing);
        }
        let executor = mount.executor();
        let (longest_wait, admission) = match executor.try_execute(job) {
            Ok(accepted) => (accepted.longest_wait(), None),
            Err(refused) => {
                let later = Arc::clone(executor);
                let admission: Admission = Box::pin(async move { later.execute(refused.into_job()).await });
                (executor.longest_wait(), Some(admission))
            }
        };
        let queue_timeout = longest_wait.map(Timer::new);
        PendingResponse { inbox, upload, is_body_unread, queue_timeout, deadline, admission, mount }
    }
}

/// A request whose body is being read ahead. Written by hand for small bodies: the compiler's future would be several
/// times as large.
#[expect(clippy::large_enum_variant, reason = "the future is boxed")]
pub(crate) enum ReadingAhead<B> {
    /// Small, or not known to be large. `None` once it has ended.
    Small(Option<(Dispatch, ReadAhead<B>)>),
    /// Larger than the read-ahead.
    Large(Pin<Box<dyn Future<Output = Result<PendingResponse, NotDispatched>> + Send>>),
}

impl<B> Future for ReadingAhead<B>
where
    B: HttpBody + Send + 'static,
{
    type Output = Result<PendingResponse, NotDispatched>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut *self {
                Self::Large(receiving) => return receiving.as_mut().poll(cx),
                Self::Small(request) => {
                    if let Some((_, ahead)) = request.as_mut().filter(|(_, ahead)| !ahead.is_large()) {
                        std::task::ready!(ahead.poll(cx));
                    }
                    let Some((dispatch, ahead)) = request.take() else {
                        panic!("`ReadingAhead` polled after completion")
                    };
                    if ahead.has_ended() {
                        return Poll::Ready(Ok(dispatch.hand_over_input(ahead.split(None))));
                    }
                    *self = Self::Large(Box::pin(dispatch.receive(ahead)));
                }
            }
        }
    }
}
