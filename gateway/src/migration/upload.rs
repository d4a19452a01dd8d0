//! A request body that is copied for the shadow.
//!
//! Threads: runtime.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as HttpBody;

use super::observed::ObservedBody;

/// The copy of a body, to be taken after the primary has responded.
#[derive(Debug)]
pub(super) struct BodyCopy(Arc<OnceLock<Bytes>>);

impl BodyCopy {
    /// The body, if it is complete: within the limit, received whole, and read to its end.
    pub(super) fn take(self) -> Option<Bytes> {
        self.0.get().cloned()
    }
}

/// The length of a body, if it is known.
pub(super) fn declared(body: &impl HttpBody) -> Option<u64> {
    body.size_hint().exact()
}

/// Wraps the primary's request body, and copies it while the primary reads it.
pub(super) fn copy_body(body: Body, limit: usize) -> (ObservedBody, BodyCopy) {
    let copy = Arc::new(OnceLock::new());
    let filled = Arc::clone(&copy);
    let keep = move |bytes, is_whole| {
        if is_whole {
            // This closure is the only writer, and runs once.
            let _ = filled.set(bytes);
        }
    };
    (ObservedBody::new(declared(&body), body, limit, Box::new(keep)), BodyCopy(copy))
}
