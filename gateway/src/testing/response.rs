//! Received responses.
//!
//! Threads: the test's; `read` on the runtime.

use std::pin::pin;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use http_body::Body;

use crate::testing::faults::ReadMode;

/// A received response. Created by [`Request::send`](crate::testing::Request::send).
///
/// # Example
///
/// ```
/// use gateway::testing::{Client, Outcome};
/// # let app = gateway::application_fn(|_, start_response| {
/// #     start_response("200 OK", &[("Content-Type", "text/plain")])?;
/// #     Ok(gateway::Chunks::new(["one, ", "two"]))
/// # });
///
/// let response = Client::new(app).get("/");
/// assert_eq!((response.status().as_u16(), response.outcome()), (200, Outcome::Complete));
/// assert_eq!(response.headers()["content-type"], "text/plain");
/// assert_eq!(response.chunks(), ["one, ", "two"]);
/// ```
#[derive(Debug)]
pub struct Response {
    head: http::response::Parts,
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    outcome: Outcome,
    pub(super) failure: Option<String>,
}

/// How a response ended for its client.
///
/// Differs from the `outcome` of the access record: a complete 500 is `Complete` here, and `error` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client received all of it.
    Complete,
    /// The message is incomplete: the application failed after its first byte, or the write stall expired.
    Aborted,
    /// The client disconnected, as the test requested.
    Disconnected,
}

impl Response {
    /// A response whose body was not read yet.
    pub(super) fn of(head: http::response::Parts) -> Self {
        Self { head, chunks: Vec::new(), trailers: None, outcome: Outcome::Disconnected, failure: None }
    }

    /// Reads the body as `read_mode` does.
    pub(super) async fn read<B: Body<Data = Bytes>>(&mut self, body: B, read_mode: ReadMode) {
        let mut body = pin!(body);
        let mut total = 0;
        self.outcome = loop {
            if matches!(read_mode, ReadMode::DisconnectAfter(after) if total >= after) {
                break Outcome::Disconnected;
            }
            match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        total += bytes.len();
                        self.chunks.push(bytes);
                    }
                    Err(other) => self.trailers = other.into_trailers().ok(),
                },
                Some(Err(_)) => break Outcome::Aborted,
                None => break Outcome::Complete,
            }
        };
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// How the response ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The failure of the application, as in the log: the error and its causes. `None` if it did not fail, or was not
    /// called.
    ///
    /// Clients do not receive it; the `Debug` output of the response has it.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The received chunks of the body, complete or not.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The trailer fields, if any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The body.
    ///
    /// # Panics
    ///
    /// Panics if the response is not complete; [`chunks`](Response::chunks) has the received part.
    pub fn bytes(&self) -> Vec<u8> {
        let (chunks, why) = (self.chunks.len(), self.failure().unwrap_or("the application did not fail"));
        assert_eq!(self.outcome, Outcome::Complete, "the response ended after {chunks} chunks: {why}");
        self.chunks.concat()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// Panics if the response is not complete, or is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap_or_else(|error| panic!("the response body is not UTF-8: {error}"))
    }

    /// The body, read as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the response is not complete, or is not JSON of this type.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Json, Router, routing::post};
    /// use gateway::{Pool, testing::Client};
    ///
    /// fn sum(Json(numbers): Json<Vec<i64>>) -> Json<i64> {
    ///     Json(numbers.into_iter().sum())
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(1).build()?;
    /// let client = Client::router(Router::new().route("/sum", post(pool.handler(sum))));
    /// let response = client.request("POST", "/sum").json(&[1, 2, 39]).send();
    /// assert_eq!(response.json::<i64>(), 42);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "json")]
    pub fn json<T: serde_core::de::DeserializeOwned>(&self) -> T {
        let (status, bytes) = (self.status(), self.bytes());
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            let (ty, body) = (std::any::type_name::<T>(), String::from_utf8_lossy(&bytes));
            panic!("the body of this response ({status}) is not JSON of {ty}: {error}: {body}")
        })
    }
}
