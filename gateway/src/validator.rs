//! Middleware that checks both sides of the contract at run time.
//!
//! Threads: pool; blocks.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::thread::{self, ThreadId};

use bytes::Bytes;
use http::header;

use crate::error::{ContractError, Error, Result};
use crate::latin1::is_native;
use crate::{Application, CallError, Chunks, Environ, ResponseHead, StartResponse};

/// Middleware that checks the application inside and the server outside against PEP 3333; the counterpart of Python's
/// `wsgiref.validate`.
///
/// It refuses what the gateway accepts because clients tolerate it, and what the types cannot exclude. A violation is a
/// [`ContractError`] that cites the rule: the request fails, with 500 or a broken-off message, and the log has the
/// reason. For tests and development; each request costs a pass over the environ.
///
/// It requires of the application that
///
/// * the head has a `Content-Type`, unless the status is 204 or 304, which must have none;
/// * no header name ends in `-` or `_`;
/// * the response has been started when the first byte is returned;
/// * nothing is written from inside the iteration.
///
/// It requires of the server that the environ is complete and well formed, that the chunks are pulled and dropped on
/// the thread of the call, and that no chunk is pulled after the end.
///
/// # Example
///
/// ```
/// use gateway::{Environ, StartResponse, Validator, testing::Client, wsgi_app};
///
/// #[wsgi_app]
/// fn untyped(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
///     start_response("200 OK", &[])?;
///     Ok(["what is this?"])
/// }
///
/// assert_eq!(Client::new(untyped).get("/").status(), 200);
/// assert_eq!(Client::new(Validator::new(untyped)).get("/").status(), 500);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Validator<A> {
    application: A,
}

impl<A: Application> Validator<A> {
    /// Wraps an application.
    pub fn new(application: A) -> Self {
        Self { application }
    }
}

/// The state of one request, on one thread.
#[derive(Default)]
struct ValidatorState {
    started: Cell<bool>,
    iterating: Cell<bool>,
}

impl<A: Application> Application for Validator<A> {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        check_environ(environ)?;
        let state = Rc::new(ValidatorState::default());
        let (at_start, at_write) = (Rc::clone(&state), Rc::clone(&state));
        let watched = start_response
            .map_head(move |head| {
                check_head(head)?;
                at_start.started.set(true);
                Ok(())
            })
            .map_write(move |bytes| {
                if at_write.iterating.get() {
                    return violated("write was called from inside the iteration", "The write() Callable");
                }
                Ok(bytes)
            });
        let chunks = self.application.call(environ, watched)?;
        let thread = thread::current().id();
        Ok(chunks.wrap(|chunks| Watched { chunks, state, thread, ended: false }))
    }
}

/// The chunks of the application, checked.
struct Watched<I> {
    chunks: I,
    state: Rc<ValidatorState>,
    /// The thread of the call.
    thread: ThreadId,
    ended: bool,
}

impl<I: Iterator<Item = Result<Bytes, CallError>>> Iterator for Watched<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        if self.ended {
            return Some(violated("the server asked for a chunk after the end", "Specification Details"));
        }
        if thread::current().id() != self.thread {
            return Some(violated("the server pulled a chunk on another thread", "Thread Support"));
        }
        self.state.iterating.set(true);
        let chunk = self.chunks.next();
        self.state.iterating.set(false);
        match &chunk {
            Some(Ok(bytes)) if !bytes.is_empty() && !self.state.started.get() => {
                Some(violated("bytes were returned before start_response was called", "The start_response() Callable"))
            }
            Some(Ok(_)) => chunk,
            Some(Err(_)) | None => {
                self.ended = true;
                chunk
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}

impl<I> Drop for Watched<I> {
    fn drop(&mut self) {
        // A destructor cannot return an error. A panic here is caught and logged, and breaks the message off.
        assert!(
            thread::current().id() == self.thread || thread::panicking(),
            "the server closed the chunks on another thread (PEP 3333, \"Thread Support\")"
        );
    }
}

fn check_environ(environ: &Environ) -> Result<()> {
    let section = "environ Variables";
    let text = |key: &str| environ.get(key).unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_path = |text: &str| text.is_empty() || text.starts_with('/');
    let (script_name, path_info, scheme) = (text("SCRIPT_NAME"), text("PATH_INFO"), text("wsgi.url_scheme"));
    let names_server = !text("SERVER_NAME").is_empty() && is_number(text("SERVER_PORT"));
    let has_path = !(script_name.is_empty() && path_info.is_empty()) || environ.method() == http::Method::OPTIONS;
    ensure(!text("REQUEST_METHOD").is_empty(), "REQUEST_METHOD is empty", section)?;
    ensure(
        is_path(script_name) && !script_name.ends_with('/'),
        format_args!("SCRIPT_NAME is {script_name:?}; it starts with a slash and does not end in one"),
        section,
    )?;
    ensure(is_path(path_info), format_args!("PATH_INFO is {path_info:?}; it starts with a slash"), section)?;
    ensure(has_path, "SCRIPT_NAME and PATH_INFO are both empty", section)?;
    ensure(environ.get("QUERY_STRING").is_some(), "QUERY_STRING is missing", section)?;
    ensure(names_server, "SERVER_NAME is empty, or SERVER_PORT is not a number", section)?;
    ensure(environ.get("CONTENT_LENGTH").is_none_or(is_number), "CONTENT_LENGTH is not a number", section)?;
    for key in ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"] {
        ensure(environ.get(key).is_none(), format_args!("{key} is there; it belongs without its prefix"), section)?;
    }
    ensure(matches!(scheme, "http" | "https"), format_args!("wsgi.url_scheme is {scheme:?}"), section)?;
    for (key, value) in environ.iter() {
        ensure(is_native(value), format_args!("{key} holds a character above U+00FF"), "Unicode Issues")?;
    }
    Ok(())
}

fn check_head(head: &ResponseHead) -> Result<()> {
    let section = "The start_response() Callable";
    for name in head.headers().keys() {
        let is_plain = !name.as_str().ends_with(['-', '_']);
        ensure(is_plain, format_args!("the header name {name:?} ends in a dash or an underscore"), section)?;
    }
    match (head.forbids_body(), head.headers().contains_key(header::CONTENT_TYPE)) {
        (true, true) => {
            violated(format_args!("a response with status {} has a Content-Type", head.status().as_u16()), section)
        }
        (false, false) => violated("the response has no Content-Type", section),
        (true, false) | (false, true) => Ok(()),
    }
}

fn ensure(holds: bool, violation: impl fmt::Display, section: &str) -> Result<()> {
    if holds { Ok(()) } else { violated(violation, section) }
}

fn violated<T, E: From<Error>>(what: impl fmt::Display, section: &str) -> Result<T, E> {
    Err(Error::from(ContractError::new(format!("{what} (PEP 3333, \"{section}\")"))).into())
}
