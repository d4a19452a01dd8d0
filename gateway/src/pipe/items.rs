//! What is in a pipe.

use std::collections::VecDeque;

/// A queue whose first item takes no memory of its own: most responses are one message, and most request bodies one piece.
#[derive(Debug)]
pub(super) struct Items<T> {
    first: Option<T>,
    /// Empty as long as there is no first.
    rest: VecDeque<T>,
}

impl<T> Items<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(super) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}
