//! One request that is also sent to a shadow.
//!
//! Threads: runtime.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service;

use super::difference::{Difference, PrimaryResponse, RequestLabel, differences};
use super::observed::{ObservedBody, OnRecorded};
use super::shadow::{Counters, Shadow, ShadowOptions};
use super::upload::{BodyCopy, declared};
use crate::BoxError;
use crate::bodiless::has_no_body;
use crate::declared_length::parse_length;

/// A selected request. If it is dropped before its comparison, it counts as skipped.
pub(super) struct Comparison<C> {
    service: C,
    pub(super) options: Arc<ShadowOptions>,
    permit: Permit,
    /// Stored, because a body may be polled on a thread without a runtime.
    runtime: Handle,
}

/// A permit of the shadow's semaphore.
struct Permit {
    _permit: OwnedSemaphorePermit,
    counters: Arc<Counters>,
    is_used: bool,
}

impl Permit {
    fn compare(mut self, differs: bool) {
        self.is_used = true;
        self.counters.count_compared(differs);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_used {
            self.counters.count_skipped();
        }
    }
}

impl<C> Comparison<C> {
    /// Takes a permit, if there is one.
    pub(super) fn begin(shadow: &Shadow<C>) -> Option<Self>
    where
        C: Clone,
    {
        let permit = Arc::clone(&shadow.permits).try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            shadow.counters.count_skipped();
            return None;
        };
        let permit = Permit { _permit: permit, counters: Arc::clone(&shadow.counters), is_used: false };
        Some(Self { service: shadow.service.clone(), options: Arc::clone(&shadow.options), permit, runtime })
    }

    /// Returns the primary's response, and starts the comparison when the recorded part of it is complete.
    pub(super) fn observe<CB>(self, head: Parts, upload: Option<BodyCopy>, response: Response<Body>) -> Response<Body>
    where
        C: Service<Request<Body>, Response = Response<CB>, Error: Into<BoxError>, Future: Send> + Send + 'static,
        CB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (status, headers) = (response.status(), response.headers().clone());
        let has_body = head.method != Method::HEAD && !has_no_body(status) && !response.body().is_end_stream();
        let length = declared(response.body()).or_else(|| headers.get(header::CONTENT_LENGTH).and_then(parse_length));
        let limit = self.options.body_limit;
        let on_recorded: OnRecorded = Box::new(move |body, is_whole| {
            let primary = PrimaryResponse { status, headers, body, is_whole };
            let runtime = self.runtime.clone();
            drop(runtime.spawn(self.compare(head, upload, primary)));
        });
        if has_body {
            return response.map(|body| Body::new(ObservedBody::new(length, body, limit, on_recorded)));
        }
        // The server does not poll an empty body.
        on_recorded(Bytes::new(), true);
        response
    }

    /// Sends the request to the shadow, and logs the differences. The client has its response already.
    async fn compare<CB>(self, head: Parts, upload: Option<BodyCopy>, primary: PrimaryResponse)
    where
        C: Service<Request<Body>, Response = Response<CB>, Error: Into<BoxError>, Future: Send> + Send + 'static,
        CB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let body = match upload.map(BodyCopy::take) {
            Some(Some(bytes)) => Body::from(bytes),
            Some(None) => return,
            None => Body::empty(),
        };
        let label = RequestLabel::new(&head);
        let Self { service, options, permit, runtime } = self;
        let timeout = options.timeout;
        // In a task of its own, which catches panics of the shadow.
        let mut task = runtime.spawn(differences(service, Request::from_parts(head, body), primary, options));
        let found = match tokio::time::timeout(timeout, &mut task).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_panic() => vec![Difference::failure("it panicked")],
            // The runtime is shutting down.
            Ok(Err(_)) => return,
            Err(_) => {
                task.abort();
                vec![Difference::failure("it did not answer in time")]
            }
        };
        for difference in &found {
            difference.log(&label);
        }
        permit.compare(!found.is_empty());
    }
}
