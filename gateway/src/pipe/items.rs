//! What is in a pipe.
//!
//! Threads: any; under the lock of the pipe.

use std::collections::VecDeque;

use super::Item;

/// A queue that knows what it holds, and whose first item takes no memory of its own: most responses are one message,
/// and most request bodies one piece.
#[derive(Debug)]
pub(crate) struct Items<T> {
    first: Option<T>,
    /// What the first item counts for, until its last part is out: a part of its memory cannot be freed.
    first_weight: usize,
    /// Empty as long as there is no first.
    rest: VecDeque<T>,
    /// The weight of all of them.
    held: usize,
}

/// What an item counts for: the payload, but no less than the place it takes, so that many small items are bounded,
/// too.
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
        let weight = weight(&item);
        self.held = self.held.saturating_add(weight);
        if self.first.is_none() {
            self.first = Some(item);
            self.first_weight = weight;
        } else {
            self.rest.push_back(item);
        }
    }

    /// The first item, or as much of it as is handed on at once.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.first.as_mut()?;
        if let Some(piece) = first.split_front() {
            return Some(piece);
        }
        let item = std::mem::replace(&mut self.first, self.rest.pop_front())?;
        self.held = self.held.saturating_sub(self.first_weight);
        self.first_weight = self.first.as_ref().map_or(0, weight);
        Some(item)
    }
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { first: None, first_weight: 0, rest: VecDeque::new(), held: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands on ten bytes at a time.
    struct Bytes(usize);

    impl Item for Bytes {
        fn bytes(&self) -> usize {
            self.0
        }

        fn split_front(&mut self) -> Option<Self> {
            let more = self.0.checked_sub(10).filter(|more| *more > 0)?;
            self.0 = more;
            Some(Self(10))
        }
    }

    /// BP-02: what is held is what is there, and an item that is cut counts whole until its last part is out.
    #[test]
    fn an_empty_queue_holds_nothing() {
        let mut items = Items::default();
        for size in [0, 1, 9, 10, 11, 19, 21, 100] {
            items.push(Bytes(size));
        }
        let mut bytes = 0;
        while let Some(item) = items.pop() {
            bytes += item.bytes();
            let rest: usize = items.rest.iter().map(weight).sum();
            let first = items.first.as_ref().map_or(0, weight);
            assert!(items.held() >= rest + first, "{} of {first} and {rest}", items.held());
            assert_eq!(items.held() - rest, items.first_weight);
        }
        assert_eq!((bytes, items.held()), (171, 0));
    }
}
