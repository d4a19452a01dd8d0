//! Blocking handlers: fns with axum's extractors, as axum's `Handler`.
//!
//! Threads: runtime.

mod blocking_fn;
mod extraction;
mod future;
mod input;
mod request_body;

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use tower_service::Service;

pub use self::blocking_fn::BlockingFn;
pub use self::future::HandlerFuture;
pub use self::input::InputRejection;
use crate::service::mount::Mount;
use crate::{Application, Chunks, Gateway, Pool, application_fn};

/// A blocking fn as a handler of axum. Created by [`Pool::handler`] and [`Gateway::handler`].
pub struct BlockingHandler<F, T, S> {
    function: F,
    mount: Arc<Mount>,
    /// The extractors and the state.
    arguments: PhantomData<fn(T, S)>,
}

/// # Handlers
impl Pool {
    /// Makes a handler of axum out of a blocking fn: `get(pool.handler(list))`.
    ///
    /// 1. The extractors of the arguments run, on the runtime. Each argument implements axum's
    ///    [`FromRequestParts`](axum::extract::FromRequestParts), the last one
    ///    [`FromRequest`](axum::extract::FromRequest). A rejection is the response, and takes no thread.
    /// 2. The fn runs on the pool, like an application: it is admitted, queued or refused with 503, a panic is a 500,
    ///    the deadline counts, and an access record is logged.
    /// 3. The fn returns anything that implements [`IntoResponse`](axum::response::IntoResponse). The body is sent
    ///    without the thread, unless it is [`Streamed`](crate::Streamed).
    ///
    /// As the last argument, [`Input`](crate::Input) streams the request body to the thread. axum's limit of
    /// [2 MB](axum::extract::DefaultBodyLimit) holds for extractors that buffer the body;
    /// [`Gateway::body_limit`] holds for all.
    ///
    /// The handler has the default settings; [`Gateway::handler`] has those of a gateway. Its name in the log and in
    /// metrics is the path of the fn.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, extract::{Path, State}, http::StatusCode, routing::get};
    /// use gateway::Pool;
    ///
    /// fn read(State(names): State<Vec<String>>, Path(id): Path<usize>) -> Result<String, StatusCode> {
    ///     names.get(id).cloned().ok_or(StatusCode::NOT_FOUND)
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(4).build()?;
    /// let app: Router = Router::new().route("/names/{id}", get(pool.handler(read))).with_state(vec!["Ada".to_owned()]);
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handler<F, T, S>(&self, function: F) -> BlockingHandler<F, T, S>
    where
        F: BlockingFn<T, S>,
    {
        self.gateway().handler(function)
    }

    /// A gateway on this pool whose application answers 404, to set what its [`handler`](Gateway::handler)s get.
    pub fn gateway(&self) -> Gateway {
        self.mount(application_fn(|_, start_response| {
            start_response("404 Not Found", &[("Content-Type", "text/plain; charset=utf-8")])?;
            Ok(Chunks::new(["no application is mounted here\n"]))
        }))
    }

    /// Mounts an application on this pool, with the default settings: short for
    /// `Gateway::new(application).pool(&pool)`.
    pub fn mount(&self, application: impl Application) -> Gateway {
        Gateway::new(application).pool(self)
    }
}

/// # Handlers
impl Gateway {
    /// A [handler](Pool::handler) with the executor and the settings of this gateway. Its name is the path of the fn,
    /// unless the gateway was given a [name](Gateway::name).
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use axum::{Json, Router, routing::get};
    /// use gateway::Pool;
    ///
    /// fn list() -> Json<Vec<String>> {
    ///     Json(vec!["Ada".to_owned()])
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(4).build()?;
    /// let api = pool.gateway().deadline(Duration::from_secs(5)).body_limit(64 * 1024);
    /// let app: Router = Router::new().route("/names", get(api.handler(list)));
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handler<F, T, S>(&self, function: F) -> BlockingHandler<F, T, S>
    where
        F: BlockingFn<T, S>,
    {
        BlockingHandler { mount: self.mount_for::<F>(), function, arguments: PhantomData }
    }
}

impl<F, T, S> Handler<T, S> for BlockingHandler<F, T, S>
where
    F: BlockingFn<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    type Future = HandlerFuture;

    fn call(self, request: Request, state: S) -> HandlerFuture {
        HandlerFuture::new(&self.mount, request, |request| self.function.extract(request, state))
    }
}

/// An application mounts like a handler: `get(pool.mount(report))`, with layers. A route serves one path; to serve all
/// paths below a prefix, use [`nest_service`](axum::Router::nest_service).
impl<S> Handler<ViaGateway, S> for Gateway
where
    S: Send + Sync + 'static,
{
    type Future = HandlerFuture;

    fn call(mut self, request: Request, _: S) -> HandlerFuture {
        HandlerFuture::of(Service::call(&mut self, request))
    }
}

/// Distinguishes the impl of [`Handler`] for [`Gateway`] from axum's for responses.
#[derive(Debug)]
pub enum ViaGateway {}

impl<F: Clone, T, S> Clone for BlockingHandler<F, T, S> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), mount: Arc::clone(&self.mount), arguments: PhantomData }
    }
}

partial_debug!(BlockingHandler<F, T, S>, |_this| function: std::any::type_name::<F>());
