//! Values of an application that may panic when they are dropped.
//!
//! Such a value is dropped where its last user is done with it: with a refused job on the runtime, or with a response
//! in hyper. There a panic ends the connection. `Bytes::from_owner` makes any type the owner of bytes, and so such a
//! value. A list or a struct whose element panics in its destructor drops the remaining elements while the stack
//! unwinds, so two such values in one list are a double panic, which ends the process. Each value is therefore wrapped
//! by itself: an argument or a body when the application hands it over. Bytes are held in a [`Contained`], which takes
//! no memory of its own, until foreign code gets them, which may have a list of them: see `ChunkBytes`.
//!
//! Threads: any.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use crate::log;

/// Catches the panic of the value's destructor.
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn into_inner(mut self) -> T {
        let Some(value) = self.0.take() else { panic!("a contained value was taken twice") };
        value
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(value) = &self.0 else { panic!("a contained value was used after it was taken") };
        value
    }
}

impl<T> DerefMut for Contained<T> {
    fn deref_mut(&mut self) -> &mut T {
        let Some(value) = &mut self.0 else { panic!("a contained value was used after it was taken") };
        value
    }
}

impl<T: Clone> Clone for Contained<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl AsRef<[u8]> for Contained<Bytes> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            drop_contained(value);
        }
    }
}

/// The same bytes, without a copy. Unique bytes stay as they are: `Bytes::is_unique` is false for all bytes that have
/// an owner.
pub(crate) fn bytes(bytes: Bytes) -> Bytes {
    if bytes.is_unique() { bytes } else { Bytes::from_owner(Contained::new(bytes)) }
}

/// Drops a value of the application.
pub(crate) fn drop_contained<T>(value: T) {
    log::panic_of!(drop(value), "a value of the application panicked when it was dropped");
}
