//! The request body as an iterator.
//!
//! Threads: the application's; blocks.

use std::borrow::BorrowMut;
use std::io;

use bytes::Bytes;

use crate::body::input::Input;

/// The request body in chunks. Created by [`Input::chunks`] and [`Input::into_chunks`].
///
/// An error ends the iteration; reads of the [`Input`] itself return it again. The front page of these docs has an
/// example.
#[derive(Debug)]
pub struct InputChunks<I> {
    input: I,
    size: usize,
    failed: bool,
}

impl<I> InputChunks<I> {
    pub(super) fn new(input: I, size: usize) -> Self {
        Self { input, size: size.max(1), failed: false }
    }
}

impl<I: BorrowMut<Input>> Iterator for InputChunks<I> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.failed {
            return None;
        }
        let input = self.input.borrow_mut();
        match input.fill() {
            Ok(available) if available.is_empty() => None,
            Ok(available) => {
                let take = available.len().min(self.size);
                Some(Ok(input.current.split_to(take)))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error.into_io()))
            }
        }
    }
}
