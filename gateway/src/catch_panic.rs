//! Turns panics of foreign code into errors.
//!
//! Threads: any.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Panicked;

/// Runs foreign code; a panic becomes an error.
///
/// Unwind safety is asserted because state that the closure left inconsistent is dropped with its request.
pub(crate) fn catch_panic<R>(run: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = if let Some(text) = payload.downcast_ref::<&str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "a payload that is not text".to_owned()
        };
        // The payload may be of any type, and its destructor may panic, too. The payload of that second panic is
        // leaked: its destructor could panic again.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Panicked::new(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ERR-10: a payload of any type is caught.
    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        struct PanicsWhenDropped;
        impl Drop for PanicsWhenDropped {
            fn drop(&mut self) {
                panic!("in the payload's destructor");
            }
        }
        let result = catch_panic(|| std::panic::panic_any(PanicsWhenDropped));
        assert_eq!(result.unwrap_err().to_string(), "panicked: a payload that is not text");
    }
}
