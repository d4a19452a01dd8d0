//! The body of a request that both sides are to see.
//!
//! Threads: runtime.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as HttpBody;

use super::observed::Observed;

/// The copy of a body, for whoever has waited until the primary has answered.
#[derive(Debug)]
pub(super) struct Copied(Arc<OnceLock<Bytes>>);

impl Copied {
    /// The body, if all of it has passed: it was not too large, did not break off, and was read to its end.
    pub(super) fn take(self) -> Option<Bytes> {
        self.0.get().cloned()
    }
}

/// The length of a body, if it is known.
pub(super) fn declared(body: &impl HttpBody) -> Option<u64> {
    body.size_hint().exact()
}

/// A request body on its way to the primary, which is copied as it passes.
pub(super) fn copied(body: Body, limit: usize) -> (Observed, Copied) {
    let copy = Arc::new(OnceLock::new());
    let filled = Arc::clone(&copy);
    let keep = move |bytes, is_whole| {
        if is_whole {
            // Nothing else fills it.
            let _ = filled.set(bytes);
        }
    };
    (Observed::new(declared(&body), body, limit, Box::new(keep)), Copied(copy))
}
