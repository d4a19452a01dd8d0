//! Expected panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message with which `run` panics.
#[track_caller]
pub fn panic_message<R>(run: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(run()))) else { panic!("it does not panic") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}
