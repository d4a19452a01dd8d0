//! `start_response`, the callable that starts a response.
//!
//! Threads: pool; blocks.

use std::ops::Deref;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::error::{BoxError, CallError, ContractError, Error, Result};
use crate::response::exchange::Exchange;
use crate::response::head::ResponseHead;
use crate::response::write;
use crate::response::write::Write;

/// The `start_response` of one request: called like a function, with a status and the headers.
///
/// ```
/// # use gateway::{Environ, StartResponse, wsgi_app};
/// # #[wsgi_app]
/// # fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
/// start_response("200 OK", &[("Content-Type", "text/plain"), ("X-Answer", "42")])?;
/// # Ok(["ok"])
/// # }
/// # assert_eq!(gateway::testing::Client::new(app).get("/").headers()["x-answer"], "42");
/// ```
///
/// The call stores the head, which is sent with the first byte. It is made once per request, at the latest inside the
/// first step of the iteration. It returns a [`Write`], for the imperative style.
///
/// The call makes all checks, so that the application itself gets the error:
///
/// * the status is three digits from 200 up, one space, a reason, which may be empty. HTTP/1 clients get the reason
///   unchanged;
/// * header names are tokens, values hold no control characters; text is Latin-1, one character for one byte;
/// * headers of the connection (`Connection`, `Transfer-Encoding`, `Upgrade` and the like) are refused, and so is
///   `Status`, which is no HTTP header;
/// * `Content-Type`, `Date` and `Server` appear at most once; there are at most 100 fields, with 64 KiB in all;
/// * `Content-Length` is a number, and the body is held to it. If the head declares none, a body in one piece gets it,
///   and any other body is sent in chunks.
///
/// (PEP 3333, "The `start_response()` Callable".)
///
/// # Errors
///
/// Every form returns a [`ContractError`] in a [`CallError`] for a refused head, and for a second call. See
/// [`replace`](Self::replace) for the one exception.
///
/// # Threads
///
/// Bound to the thread and the lifetime of its request.
#[derive(Clone)]
pub struct StartResponse<'r> {
    exchange: &'r Exchange,
    starter: Starter<'r>,
}

/// The target of the `Deref`.
type StartFn<'r> = dyn Fn(&str, &[(&str, &str)]) -> Result<Write<'r>, CallError> + 'r;

/// Passes a head to the exchange, with the error that causes it, if any.
type StartWithHead<'r> = dyn Fn(Result<ResponseHead, ContractError>, Option<Error>) -> Result<Write<'r>> + 'r;

#[derive(Clone)]
enum Starter<'r> {
    /// The gateway's own. The closure for the call syntax is on the stack of the job, without an allocation.
    Direct(&'r StartFn<'r>),
    /// Middleware's.
    Wrapped { start: Rc<StartWithHead<'r>>, call: Rc<StartFn<'r>> },
}

impl<'r> StartResponse<'r> {
    /// The gateway's own. `call` is the closure for the call syntax; it makes an [`Exchange::call`].
    pub(crate) fn new(exchange: &'r Exchange, call: &'r StartFn<'r>) -> Self {
        Self { exchange, starter: Starter::Direct(call) }
    }

    /// Starts the response from typed parts.
    ///
    /// # Example
    ///
    /// ```
    /// # use gateway::{Environ, StartResponse, wsgi_app};
    /// use http::{HeaderMap, HeaderValue, StatusCode, header};
    ///
    /// # #[wsgi_app]
    /// # fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    /// let mut headers = HeaderMap::new();
    /// headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    /// start_response.with(StatusCode::OK, headers)?;
    /// # Ok(["ok"])
    /// # }
    /// # assert_eq!(gateway::testing::Client::new(app).get("/").headers()["content-type"], "text/plain");
    /// ```
    ///
    /// # Errors
    ///
    /// As the call itself.
    pub fn with(&self, status: StatusCode, headers: HeaderMap) -> Result<Write<'r>, CallError> {
        Ok(self.head(ResponseHead::new(status, headers))?)
    }

    pub(crate) fn head(&self, head: ResponseHead) -> Result<Write<'r>> {
        self.start(Ok(head), None)
    }

    /// Replaces the response because of an error, if its head was not sent; WSGI's `exc_info`.
    ///
    /// Nothing of an earlier head remains. `replace` may also be the first call.
    ///
    /// # Errors
    ///
    /// Once the head was sent, returns `error` itself, for the application to return: the response ends broken off in
    /// any case.
    pub fn replace(
        &self,
        error: impl Into<BoxError>,
        status: &str,
        headers: &[(&str, &str)],
    ) -> Result<Write<'r>, CallError> {
        Ok(self.start(ResponseHead::parse(status, headers), Some(Error::new(error)))?)
    }

    /// [`replace`](Self::replace), from typed parts.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    pub fn replace_with(
        &self,
        error: impl Into<BoxError>,
        status: StatusCode,
        headers: HeaderMap,
    ) -> Result<Write<'r>, CallError> {
        Ok(self.start(Ok(ResponseHead::new(status, headers)), Some(Error::new(error)))?)
    }

    /// A `StartResponse` for middleware: `change` inspects and changes each head before it is stored.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Application, Chunks, Environ, StartResponse};
    /// use http::HeaderValue;
    ///
    /// struct Branded<A>(A);
    ///
    /// impl<A: Application> Application for Branded<A> {
    ///     fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
    ///         self.0.call(environ, start_response.map_head(|head| {
    ///             head.headers_mut().insert("x-brand", HeaderValue::from_static("acme"));
    ///             Ok(())
    ///         }))
    ///     }
    /// }
    /// # let app = Branded(gateway::application_fn(|_, start_response| {
    /// #     start_response("200 OK", &[])?;
    /// #     Ok(Chunks::new(["ok"]))
    /// # }));
    /// # assert_eq!(gateway::testing::Client::new(app).get("/").headers()["x-brand"], "acme");
    /// ```
    #[must_use]
    pub fn map_head(self, change: impl Fn(&mut ResponseHead) -> Result<()> + 'r) -> Self {
        let exchange = self.exchange;
        Self::wrap(exchange, move |head, error| {
            // The head was sent: return the error to the application, without asking the middleware.
            if error.is_some() && !exchange.is_fresh() {
                return self.start(head, error);
            }
            let head = match head {
                Ok(mut head) => {
                    change(&mut head).inspect_err(|why| {
                        exchange.note_refusal(why.to_string());
                        if error.is_some() {
                            // The head that was to be replaced must not be sent.
                            exchange.poison("middleware refused the head that was to replace another");
                        }
                    })?;
                    Ok(head)
                }
                refused => refused,
            };
            self.start(head, error)
        })
    }

    /// A `StartResponse` for middleware that also changes the returned chunks: `change` inspects and changes the bytes
    /// sent by its [`Write`]. Written bytes come before the chunks.
    ///
    /// `change` is called once for each written chunk, and may hold bytes back.
    #[must_use]
    pub fn map_write(self, change: impl Fn(Bytes) -> Result<Bytes> + 'r) -> Self {
        let change: Rc<write::Change<'r>> = Rc::new(change);
        Self::wrap(self.exchange, move |head, error| Ok(self.start(head, error)?.map(Rc::clone(&change))))
    }

    fn wrap(
        exchange: &'r Exchange,
        start: impl Fn(Result<ResponseHead, ContractError>, Option<Error>) -> Result<Write<'r>> + 'r,
    ) -> Self {
        let start: Rc<StartWithHead<'r>> = Rc::new(start);
        let inner = Rc::clone(&start);
        let call: Rc<StartFn<'r>> =
            Rc::new(move |status, headers| Ok(inner(ResponseHead::parse(status, headers), None)?));
        Self { exchange, starter: Starter::Wrapped { start, call } }
    }

    pub(crate) fn start(&self, head: Result<ResponseHead, ContractError>, error: Option<Error>) -> Result<Write<'r>> {
        match &self.starter {
            Starter::Direct(_) => {
                let head = head.map(ResponseHead::contained);
                match error {
                    None => self.exchange.start(head)?,
                    Some(error) => self.exchange.replace(error, head)?,
                }
                Ok(Write::new(self.exchange))
            }
            Starter::Wrapped { start, .. } => start(head, error),
        }
    }
}

impl<'r> Deref for StartResponse<'r> {
    type Target = StartFn<'r>;

    fn deref(&self) -> &Self::Target {
        match &self.starter {
            Starter::Direct(call) => *call,
            Starter::Wrapped { call, .. } => &**call,
        }
    }
}

partial_debug!(StartResponse<'r>);
