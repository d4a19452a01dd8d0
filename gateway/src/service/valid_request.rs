//! The checks of a request head, and what the request's future needs.
//!
//! Threads: runtime.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Version};
use http_body::Body as HttpBody;

use crate::body::discard::discard_in_task;
use crate::connection_context::ConnectionContext;
use crate::declared_length::declared_length;
use crate::environ::headers::expects_continue;
use crate::environ::id::RequestId;
use crate::environ::mounted::Mounted as _;
use crate::environ::span;
use crate::error::InputError;
use crate::log::Span;
use crate::observe::access::Access;
use crate::observe::timing::Timing;
use crate::refusal::Refusal;
use crate::service::keep_alive::KeepAlive;
use crate::service::mount::Mount;
use crate::service::response_future::{RequestMeta, ResponseFuture};
use crate::service::validate::validate_request;

/// A request whose head is valid, without its body.
pub(crate) struct ValidRequest {
    pub(crate) parts: Parts,
    pub(crate) id: RequestId,
    pub(crate) span: Span,
    pub(crate) timing: Option<Arc<Timing>>,
    /// The connection, if the server provides it.
    pub(crate) context: Option<ConnectionContext>,
    /// The declared length of the body.
    pub(crate) declared: Option<u64>,
    pub(crate) meta: RequestMeta,
}

impl ValidRequest {
    /// Begins the span and the access record of a request, and checks its head.
    ///
    /// # Errors
    ///
    /// The future of the refusal.
    #[expect(clippy::result_large_err, reason = "the caller returns the future as it is")]
    pub(crate) fn of<B>(mount: &Mount, request: Request<B>) -> Result<(Self, B), ResponseFuture>
    where
        B: HttpBody + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let context = parts.extensions.get::<ConnectionContext>().cloned();
        let id = RequestId::of(&parts.extensions);
        let span = span::span(&parts, &id);
        let settings = mount.settings();
        let access = Access::begin(&span, &settings.figures, parts.extensions.get());
        let timing = access.as_ref().map(|access| access.timing());
        let meta = RequestMeta {
            head_request: parts.method == Method::HEAD,
            keep_alive: KeepAlive {
                version: parts.version,
                closes_if_unread: context.is_none() && parts.version < Version::HTTP_2 && !body.is_end_stream(),
            },
            ends_connection: false,
            page: settings.error_page.clone(),
            span: span.clone(),
            access,
        };
        let declared = declared_length(&parts.headers);
        let limit = settings.body_limit;
        let validated = validate_request(&parts).map_err(Refusal::of_request).and(match declared {
            Some(length) if length > limit => Err(Refusal::of_body(InputError::TooLarge { limit })),
            _ => Ok(()),
        });
        if let Err(refusal) = validated {
            if meta.keep_alive.closes_if_unread && !expects_continue(parts.version, &parts.headers) {
                discard_in_task(Box::pin(body), declared);
            }
            return Err(ResponseFuture::refused(meta, refusal));
        }
        Ok((Self { parts, id, span, timing, context, declared, meta }, body))
    }
}
