//! The extractor by which a handler observes that its server stops. `drain.rs` stops the server.
//!
//! Threads: any; never blocks.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::sync::watch;

use crate::connection_context::{ConnectionContext, ServerStage};

/// An extractor that notifies a handler when its server stops. For handlers that outlast a request, such as that of a
/// `WebSocket`.
///
/// After the stop a handler has one second to end its upgraded connection; then the server closes it, on HTTP/1 and on
/// HTTP/2 alike. Under a server other than [`serve`](crate::serve()), [`wait`](Stopping::wait) never returns.
///
/// # Example
///
/// ```
/// use gateway::serve::Stopping;
///
/// async fn chat(mut stopping: Stopping, mut request: axum::extract::Request) -> &'static str {
///     let upgrade = hyper::upgrade::on(&mut request);
///     tokio::spawn(async move {
///         let Ok(connection) = upgrade.await else { return };
///         tokio::select! {
///             () = stopping.wait() => say_goodbye(connection).await,
///             // In a loop, in practice.
///             _ = next_message() => {}
///         }
///     });
///     "a response that upgrades the connection"
/// }
/// # async fn say_goodbye(connection: hyper::upgrade::Upgraded) { drop(connection) }
/// # async fn next_message() -> &'static str { "message" }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(chat));
/// ```
#[derive(Debug, Clone)]
pub struct Stopping {
    stage: Option<watch::Receiver<ServerStage>>,
}

impl Stopping {
    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.stage.as_ref().is_some_and(|stage| *stage.borrow() != ServerStage::Serving)
    }

    /// Waits until the server stops, or is dropped. Cancel safe.
    pub async fn wait(&mut self) {
        match &mut self.stage {
            // The sender is dropped with the server.
            Some(stage) => drop(stage.wait_for(|stage| *stage != ServerStage::Serving).await),
            None => std::future::pending().await,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Stopping {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { stage: parts.extensions.get::<ConnectionContext>().map(ConnectionContext::stage) })
    }
}
