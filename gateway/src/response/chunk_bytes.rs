//! The bytes of a response body, on their way from the application to the server.
//!
//! Threads: any.

use bytes::Bytes;

use crate::contained::{self, Contained};

/// Bytes that the application has handed over. If they may have an owner with a destructor, its panic stays within the
/// drop of the bytes, wherever that is.
pub(crate) enum ChunkBytes {
    /// No destructor of the application belongs to them.
    Plain(Bytes),
    /// They may have an owner with a destructor.
    Owned(Contained<Bytes>),
}

impl ChunkBytes {
    pub(crate) fn new(bytes: Bytes, may_have_owner: bool) -> Self {
        if may_have_owner { Self::Owned(Contained::new(bytes)) } else { Self::Plain(bytes) }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_ref().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Splits the bytes from `at` on off.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        self.split(|bytes| bytes.split_off(at))
    }

    /// Splits the bytes before `at` off.
    pub(crate) fn split_to(&mut self, at: usize) -> Self {
        self.split(|bytes| bytes.split_to(at))
    }

    fn split(&mut self, split: impl FnOnce(&mut Bytes) -> Bytes) -> Self {
        match self {
            Self::Plain(bytes) => Self::Plain(split(bytes)),
            Self::Owned(bytes) => Self::Owned(Contained::new(split(bytes))),
        }
    }

    /// The bytes for foreign code, which may drop them in a list: those with an owner get a wrapper. Call this on the
    /// thread that drops them: it frees the memory of the wrapper most cheaply.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Owned(bytes) => contained::bytes(bytes.into_inner()),
        }
    }
}

impl AsRef<[u8]> for ChunkBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Default for ChunkBytes {
    fn default() -> Self {
        Self::Plain(Bytes::new())
    }
}

partial_debug!(ChunkBytes, |this| len: this.len());
