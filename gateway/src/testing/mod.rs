//! Applications and routers in plain tests, without sockets.
//!
//! [`Client`] sends a request through the real adapter, with the same environ, checks and response as behind a server.
//! With the executor [`Inline`] it is deterministic: each application runs to its end on the test's thread before the
//! response is returned.
//!
//! ```
//! use gateway::{Environ, StartResponse, testing::Client, wsgi_app};
//!
//! #[wsgi_app]
//! fn shout(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
//!     let text = String::from_utf8(environ.input().read_all()?)?;
//!     start_response("200 OK", &[("Content-Type", "text/plain")])?;
//!     Ok([text.to_uppercase()])
//! }
//!
//! let response = Client::new(shout).post("/", "hello");
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["content-type"], "text/plain");
//! assert_eq!(response.text(), "HELLO");
//! ```
//!
//! Requests can also simulate faults: an incomplete body, a client that reads slowly, not at all, or disconnects, a
//! full queue. See the methods of [`Request`].
//!
//! ```
//! use gateway::testing::{Client, Outcome};
//! use gateway::{Environ, StartResponse, wsgi_app};
//!
//! #[wsgi_app]
//! fn endless(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = &'static str>> {
//!     start_response("200 OK", &[("Content-Type", "text/plain")])?;
//!     Ok(std::iter::repeat("tick "))
//! }
//!
//! // The application ends, although its body does not.
//! let response = Client::new(endless).request("GET", "/").disconnect_after(10).send();
//! assert_eq!((response.outcome(), response.chunks().concat().as_slice()), (Outcome::Disconnected, &b"tick tick "[..]));
//! ```
//!
//! [`Client::router`] sends requests to a whole router, with its routes, layers and state: that is how handlers of
//! [`Pool::handler`](crate::Pool::handler) are tested.
//!
//! A fn under `#[wsgi_app]` can also be called directly, as `shout::run`; [`with_request`] provides its two arguments.
//!
//! Threads: the test's; blocks.

mod client;
mod cookies;
mod direct;
mod faults;
mod inline;
mod multipart;
mod request;
mod response;
mod router;
mod runtime;

pub use self::client::Client;
pub use self::direct::{Recorded, with_request};
pub use self::inline::Inline;
pub use self::multipart::MultipartForm;
pub use self::request::Request;
pub use self::response::{Outcome, Response};
