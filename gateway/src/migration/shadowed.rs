//! The primary service, with its shadow.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::comparison::Comparison;
use super::shadow::Shadow;
use super::upload::{copy_body, declared};
use crate::BoxError;

/// A service with a shadow. Created by [`Shadow`].
#[derive(Clone)]
pub struct Shadowed<P, C> {
    pub(super) primary: P,
    pub(super) shadow: Shadow<C>,
}

impl<P, C> Shadowed<P, C> {
    /// Begins a comparison if the request is selected.
    fn select(&self, request: &Request<Body>) -> Option<Comparison<C>>
    where
        C: Clone,
    {
        let options = &self.shadow.options;
        // Only one service can take over the connection, so upgrades are not compared.
        let is_upgrade = request.extensions().get::<hyper::upgrade::OnUpgrade>().is_some();
        let fits = match options.request_bodies {
            _ if request.body().is_end_stream() => true,
            Some(limit) => declared(request.body()).is_none_or(|length| length <= limit as u64),
            None => false,
        };
        if is_upgrade || !fits || !options.methods.contains(request.method()) {
            return None;
        }
        if self.shadow.counters.select(options.every) { Comparison::begin(&self.shadow) } else { None }
    }
}

impl<P, C, B, PB, CB> Service<Request<B>> for Shadowed<P, C>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    P: Service<Request<Body>, Response = Response<PB>, Future: Send + 'static>,
    PB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    C: Service<Request<Body>, Response = Response<CB>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    CB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = P::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, P::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.primary.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request = request.map(Body::new);
        let Some(comparison) = self.select(&request) else {
            let future = self.primary.call(request);
            return Box::pin(async move { Ok(future.await?.map(Body::new)) });
        };
        let (parts, body) = request.into_parts();
        let head = parts.clone();
        let (body, upload) = match comparison.options.request_bodies {
            Some(limit) if !body.is_end_stream() => {
                let (upload, copy) = copy_body(body, limit);
                (Body::new(upload), Some(copy))
            }
            _ => (body, None),
        };
        let future = self.primary.call(Request::from_parts(parts, body));
        Box::pin(async move { Ok(comparison.observe(head, upload, future.await?.map(Body::new))) })
    }
}

partial_debug!(Shadowed<P, C>, |this| shadow: this.shadow);
