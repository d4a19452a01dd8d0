//! Bytes of an application whose owner may panic when it is dropped.
//!
//! `Bytes::from_owner` lets any type be the owner of bytes, and its destructor runs where the last of them is dropped: in hyper, which drops what it has sent, on
//! the runtime. There a panic costs the connection; and as lists drop what is left of them while they unwind, two such owners in one list end the process. So
//! each is wrapped, on its own, when it comes from the application.
//!
//! Threads: any.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::ext::ReasonPhrase;

use crate::log;
use crate::worker::fence;

/// Drops a value behind a fence.
struct Contained(Option<Bytes>);

impl AsRef<[u8]> for Contained {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        drop_contained(self.0.take());
    }
}

/// The same bytes, without a copy. Those whose memory is nobody else's have no owner but it, and are left as they are.
pub(crate) fn bytes(bytes: Bytes) -> Bytes {
    if bytes.is_unique() { bytes } else { Bytes::from_owner(Contained(Some(bytes))) }
}

/// The same fields, with values in memory of their own. A value does not say whose its memory is.
pub(crate) fn headers(mut headers: HeaderMap) -> HeaderMap {
    for value in headers.values_mut() {
        if let Ok(mut own) = HeaderValue::from_bytes(value.as_bytes()) {
            own.set_sensitive(value.is_sensitive());
            drop_contained(std::mem::replace(value, own));
        }
    }
    headers
}

/// The same reason, in memory of its own.
pub(crate) fn reason(reason: ReasonPhrase) -> Option<ReasonPhrase> {
    let own = ReasonPhrase::try_from(reason.as_bytes()).ok();
    drop_contained(reason);
    own
}

fn drop_contained<T>(value: T) {
    if let Err(panicked) = fence(|| drop(value)) {
        log::error!(error = %panicked, "the owner of bytes of a response panicked when it was dropped");
    }
}
