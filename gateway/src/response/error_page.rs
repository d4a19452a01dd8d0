//! The gateway's own responses.
//!
//! Threads: runtime.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use crate::catch_panic::catch_panic;
use crate::contained;
use crate::log;
use crate::response::field;
use crate::response::head::ResponseHead;

/// Makes the bodies of the gateway's own responses.
#[derive(Clone, Default)]
pub(crate) struct ErrorPage {
    page: Option<Arc<Page>>,
}

type Page = dyn Fn(StatusCode, &mut HeaderMap) -> Bytes + Send + Sync;

impl ErrorPage {
    pub(crate) fn new(page: impl Fn(StatusCode, &mut HeaderMap) -> Bytes + Send + Sync + 'static) -> Self {
        Self { page: Some(Arc::new(page)) }
    }

    /// The response with `status`. The plain page names the limit in bytes that the request body exceeds, which the
    /// client can do something about.
    pub(crate) fn response(&self, status: StatusCode, limit: Option<u64>) -> (ResponseHead, Bytes) {
        self.own_response(status).unwrap_or_else(|| {
            let reason = status.canonical_reason().unwrap_or("Error");
            let text = match limit {
                Some(limit) => format!("{reason}: the limit is {limit} bytes\n"),
                None => format!("{reason}\n"),
            };
            finish(status, plain(), Bytes::from(text))
        })
    }

    /// The response of the mount's own page, if it has one and that page works.
    fn own_response(&self, status: StatusCode) -> Option<(ResponseHead, Bytes)> {
        let page = self.page.as_ref()?;
        let mut headers = plain();
        let made = catch_panic(|| page(status, &mut headers));
        // These headers are dropped on the runtime, even if the page panicked: their owners must not panic there.
        let mut headers = field::contained(headers);
        let problem = match made {
            Ok(body) => {
                let body = contained::bytes(body);
                headers.remove(header::CONTENT_LENGTH);
                match ResponseHead::new(status, headers.clone()).check() {
                    Ok(_) => return Some(finish(status, headers, body)),
                    Err(error) => error.to_string(),
                }
            }
            Err(panicked) => panicked.to_string(),
        };
        log::error!(error = problem, "the error page failed; the plain one is sent");
        None
    }
}

/// The headers of a response that discloses its status, and a limit, only (ERR-06).
fn plain() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers
}

fn finish(status: StatusCode, headers: HeaderMap, body: Bytes) -> (ResponseHead, Bytes) {
    let mut head = ResponseHead::new(status, headers);
    head.set_length(body.len() as u64);
    (head, body)
}

impl fmt::Debug for ErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.page.is_some() { "ErrorPage(own)" } else { "ErrorPage(plain)" })
    }
}
