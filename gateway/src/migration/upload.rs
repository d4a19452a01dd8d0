//! A request body that is copied for the shadow.
//!
//! Threads: runtime.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as HttpBody;

use super::observed::Observed;

/// The copy of a body, to be taken after the primary has responded.
#[derive(Debug)]
pub(super) struct Copied(Arc<OnceLock<Bytes>>);

impl Copied {
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
pub(super) fn copied(body: Body, limit: usize) -> (Observed, Copied) {
    let copy = Arc::new(OnceLock::new());
    let filled = Arc::clone(&copy);
    let keep = move |bytes, is_whole| {
        if is_whole {
            // This closure is the only writer, and runs once.
            let _ = filled.set(bytes);
        }
    };
    (Observed::new(declared(&body), body, limit, Box::new(keep)), Copied(copy))
}
