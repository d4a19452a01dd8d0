//! What is in a pipe.

use std::collections::VecDeque;

use super::Item;

/// A queue that knows what it holds, and whose first item takes no memory of its own: most responses are one message, and most
/// request bodies one piece.
#[derive(Debug)]
pub(crate) struct Items<T> {
    first: Option<T>,
    /// Empty as long as there is no first.
    rest: VecDeque<T>,
    /// The weight of all of them.
    held: usize,
}

/// What an item counts for: the payload, but no less than the place it takes, so that many small items are bounded, too.
fn weight<T: Item>(item: &T) -> usize {
    item.bytes().max(size_of::<T>())
}

impl<T> Items<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }
}

impl<T: Item> Items<T> {
    /// Whether an item is let in where there is room for `limit` bytes: one alone always is.
    pub(crate) fn have_room(&self, item: &T, limit: usize) -> bool {
        self.is_empty() || self.held.saturating_add(weight(item)) <= limit
    }

    pub(crate) fn push(&mut self, item: T) {
        self.held = self.held.saturating_add(weight(&item));
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    /// The first item, or as much of it as is handed on at once.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if let Some(piece) = self.first.as_mut()?.split_front() {
            self.held = self.held.saturating_sub(piece.bytes());
            return Some(piece);
        }
        let item = std::mem::replace(&mut self.first, self.rest.pop_front())?;
        self.held = self.held.saturating_sub(weight(&item));
        Some(item)
    }
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new(), held: 0 }
    }
}
