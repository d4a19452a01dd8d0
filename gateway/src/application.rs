//! The contract between the gateway and an application.
//!
//! Threads: pool; blocks.

use std::sync::Arc;

use crate::{Chunks, Environ, Result, StartResponse};

/// A blocking application: takes a request, starts a response, returns its body in chunks.
///
/// `#[wsgi_app]` makes one out of a plain fn. Implement it by hand for a type with state, such as a database handle, or
/// for middleware that wraps another application; [`application_fn`] takes a closure.
///
/// # Order of calls
///
/// For each request, on one thread of the pool:
///
/// 1. [`call`](Application::call) runs, with an [`Environ`] of its own.
/// 2. It calls [`StartResponse`] once, with the status and the headers. Nothing is sent yet. The call may also come
///    later, inside the first step of the iteration.
/// 3. It may send bytes at once through the returned [`Write`](crate::Write).
/// 4. It returns [`Chunks`], which are pulled one by one and sent as they come. The head is sent with the first byte.
/// 5. The chunks are dropped: this is WSGI's `close`. It happens exactly once, on the same thread, after any failure. A
///    message whose length is known when the chunks have ended does not wait for it; a message sent in chunks ends
///    after it.
///
/// | event | what the client sees |
/// |---|---|
/// | all chunks were pulled | the complete response |
/// | an error or a panic before the first byte | 500, without the head that `start_response` got |
/// | an error or a panic after it | the message is aborted, so that it cannot pass for complete; if all of a known length was sent, the failure is only logged |
/// | the client disconnects | writes and reads return [`Disconnected`](crate::Disconnected), no further chunk is pulled |
///
/// The source of these rules is PEP 3333, sections "Specification Details" and "Error Handling".
///
/// # Example
///
/// ```
/// use gateway::{Application, Chunks, Environ, StartResponse};
///
/// struct Greeter {
///     greeting: String,
/// }
///
/// impl Application for Greeter {
///     fn call<'r>(&'r self, _: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
///         start_response("200 OK", &[("Content-Type", "text/plain")])?;
///         Ok(Chunks::new([self.greeting.clone()]))
///     }
/// }
///
/// let client = gateway::testing::Client::new(Greeter { greeting: "Hello!".into() });
/// assert_eq!(client.get("/").text(), "Hello!");
/// ```
///
/// # Panics
///
/// An application may panic; that costs the response, not the thread. With `panic = "abort"` it ends the process.
///
/// # Threads
///
/// Called on pool threads, by several at once: hence `Send + Sync`. All calls of one request are on one thread, so the
/// chunks need not be `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an application",
    label = "not an application",
    note = "annotate the fn with `#[wsgi_app]`, implement `gateway::Application` for the type, or wrap a closure in `gateway::application_fn`",
    note = "see book/src/macro.md#not-an-application in gateway's repository"
)]
pub trait Application: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Errors
    ///
    /// Any error ends the request; the table of [`Error`](crate::Error) lists the client's answer.
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>>;
}

impl<A: Application + ?Sized> Application for Arc<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        (**self).call(environ, start_response)
    }
}

impl<A: Application + ?Sized> Application for Box<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        (**self).call(environ, start_response)
    }
}

/// Makes an application out of a closure.
///
/// # Example
///
/// ```
/// use gateway::{application_fn, Chunks};
///
/// let greeting = String::from("Hello!");
/// let app = application_fn(move |_environ, start_response| {
///     start_response("200 OK", &[])?;
///     Ok(Chunks::new([greeting.clone()]))
/// });
/// assert_eq!(gateway::testing::Client::new(app).get("/").text(), "Hello!");
/// ```
///
/// The lifetime of the chunks is that of the request, so that they may borrow from it. A fn that returns
/// `Chunks<'static>` has another type: call it in a closure, or annotate it with `#[wsgi_app]`.
///
/// ```
/// use gateway::{application_fn, Chunks, Environ, StartResponse};
///
/// fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
///     start_response("200 OK", &[])?;
///     Ok(Chunks::new(["Hello!"]))
/// }
///
/// let app = application_fn(|environ, start_response| hello(environ, start_response));
/// assert_eq!(gateway::testing::Client::new(app).get("/").text(), "Hello!");
/// ```
pub fn application_fn<F>(function: F) -> ApplicationFn<F>
where
    F: for<'r> Fn(&'r mut Environ, StartResponse<'r>) -> Result<Chunks<'r>> + Send + Sync + 'static,
{
    ApplicationFn { function }
}

/// A closure as an application. Created by [`application_fn`].
#[derive(Clone, Copy)]
pub struct ApplicationFn<F> {
    function: F,
}

impl<F> Application for ApplicationFn<F>
where
    F: for<'r> Fn(&'r mut Environ, StartResponse<'r>) -> Result<Chunks<'r>> + Send + Sync + 'static,
{
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        (self.function)(environ, start_response)
    }
}

partial_debug!(ApplicationFn<F>, |_this| function: std::any::type_name::<F>());

const _: fn(&dyn Application) = |_| {};
