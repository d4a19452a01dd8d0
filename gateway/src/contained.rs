//! Bytes of an application whose owner may panic when it is dropped.
//!
//! `Bytes::from_owner` makes any type the owner of bytes. Its destructor runs where the last handle on the bytes is
//! dropped: for a response, in hyper, on the runtime. There a panic ends the connection. A list whose element panics in
//! its destructor drops the remaining elements while the stack unwinds, so two such owners in one list are a double
//! panic, which ends the process. Each `Bytes` is therefore wrapped by itself when the application hands it over.
//!
//! Threads: any.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::ext::ReasonPhrase;

use crate::catch_panic::catch_panic;
use crate::log;

/// Catches the panic of the owner's destructor.
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

/// The same bytes, without a copy. Unique bytes stay as they are: `Bytes::is_unique` is false for all bytes that have
/// an owner.
pub(crate) fn bytes(bytes: Bytes) -> Bytes {
    if bytes.is_unique() { bytes } else { Bytes::from_owner(Contained(Some(bytes))) }
}

/// The same fields, with copied values: a `HeaderValue` may hold bytes with an owner, and has no method to check.
pub(crate) fn headers(mut headers: HeaderMap) -> HeaderMap {
    for value in headers.values_mut() {
        if let Ok(mut own) = HeaderValue::from_bytes(value.as_bytes()) {
            own.set_sensitive(value.is_sensitive());
            drop_contained(std::mem::replace(value, own));
        }
    }
    headers
}

/// The same reason phrase, copied.
pub(crate) fn reason(reason: ReasonPhrase) -> Option<ReasonPhrase> {
    let own = ReasonPhrase::try_from(reason.as_bytes()).ok();
    drop_contained(reason);
    own
}

fn drop_contained<T>(value: T) {
    if let Err(panicked) = catch_panic(|| drop(value)) {
        log::error!(error = %panicked, "the owner of bytes of a response panicked when it was dropped");
    }
}
