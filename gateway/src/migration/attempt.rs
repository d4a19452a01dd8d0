//! One request that is shown to a shadow.
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

use super::difference::{Difference, Named, Seen, differences};
use super::observed::{Observed, Pending};
use super::shadow::{Shadow, Tally, Terms};
use super::upload::{Copied, declared};
use crate::BoxError;
use crate::bodiless::has_no_body;
use crate::content_length::parse_length;

/// A request that was chosen. Dropped before its comparison, it is skipped.
pub(super) struct Attempt<C> {
    service: C,
    terms: Arc<Terms>,
    place: Place,
    /// Bodies may be dropped anywhere, so the runtime is not looked for when it is needed.
    runtime: Handle,
}

/// One of the places of a shadow.
struct Place {
    _permit: OwnedSemaphorePermit,
    tally: Arc<Tally>,
    is_used: bool,
}

impl Place {
    fn compare(mut self, differs: bool) {
        self.is_used = true;
        self.tally.compare(differs);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_used {
            self.tally.skip();
        }
    }
}

impl<C> Attempt<C> {
    /// Takes a place, if there is one.
    pub(super) fn begin(shadow: &Shadow<C>) -> Option<Self>
    where
        C: Clone,
    {
        let permit = Arc::clone(shadow.places()).try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            shadow.tally().skip();
            return None;
        };
        let place = Place { _permit: permit, tally: Arc::clone(shadow.tally()), is_used: false };
        Some(Self { service: shadow.service().clone(), terms: Arc::clone(shadow.terms()), place, runtime })
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Lets the primary's answer pass, and sees to the rest when it is known.
    pub(super) fn observe<CB>(self, head: Parts, upload: Option<Copied>, answer: Response<Body>) -> Response<Body>
    where
        C: Service<Request<Body>, Response = Response<CB>> + Send + 'static,
        C::Future: Send,
        C::Error: Into<BoxError>,
        CB: HttpBody<Data = Bytes> + Send + 'static,
        CB::Error: Into<BoxError>,
    {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let has_body = head.method != Method::HEAD && !has_no_body(status) && !answer.body().is_end_stream();
        let length = declared(answer.body()).or_else(|| headers.get(header::CONTENT_LENGTH).and_then(parse_length));
        let limit = self.terms.body_limit;
        let pending: Pending = Box::new(move |body, is_whole| {
            let seen = Seen { status, headers, body, is_whole };
            let runtime = self.runtime.clone();
            drop(runtime.spawn(self.compare(head, upload, seen)));
        });
        if has_body {
            return answer.map(|body| Body::new(Observed::new(length, body, limit, pending)));
        }
        // Nobody is going to ask for it.
        pending(Bytes::new(), true);
        answer
    }

    /// Asks the shadow, and says what it makes of the request. The client has its answer.
    async fn compare<CB>(self, head: Parts, upload: Option<Copied>, seen: Seen)
    where
        C: Service<Request<Body>, Response = Response<CB>> + Send + 'static,
        C::Future: Send,
        C::Error: Into<BoxError>,
        CB: HttpBody<Data = Bytes> + Send + 'static,
        CB::Error: Into<BoxError>,
    {
        let body = match upload.map(Copied::take) {
            Some(Some(bytes)) => Body::from(bytes),
            Some(None) => return,
            None => Body::empty(),
        };
        let named = Named::new(&head);
        let Self { service, terms, place, runtime } = self;
        let patience = terms.patience;
        // A task of its own, so that its panics end there.
        let mut asking = runtime.spawn(differences(service, Request::from_parts(head, body), seen, terms));
        let found = match tokio::time::timeout(patience, &mut asking).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_panic() => vec![Difference::failure("it panicked")],
            // The runtime is shutting down.
            Ok(Err(_)) => return,
            Err(_) => {
                asking.abort();
                vec![Difference::failure("it did not answer in time")]
            }
        };
        for difference in &found {
            difference.log(&named);
        }
        place.compare(!found.is_empty());
    }
}
