//! The items in a pipe.
//!
//! Threads: any; the items of a pipe under its lock.

use std::collections::VecDeque;

use super::Item;
use crate::log;

/// A queue that counts its bytes. Its first item needs no allocation: most responses are one message, and most request
/// bodies one piece.
#[derive(Debug)]
pub(crate) struct Items<T: Item> {
    first: Option<T>,
    /// The weight of the whole first item, counted until its last part is taken: a part of its memory cannot be freed.
    first_weight: usize,
    /// Empty while `first` is `None`.
    rest: VecDeque<T>,
    /// The weight of all items.
    held: usize,
}

/// The bytes an item counts for: its payload, but at least its own size, so that the limit also bounds small items.
pub(super) fn weight<T: Item>(item: &T) -> usize {
    item.bytes().max(size_of::<T>())
}

impl<T: Item> Items<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Whether the item is accepted with a limit of `limit` bytes. An empty queue accepts any item.
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

    /// The first item, or the part of it that is handed over at once.
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

/// An item may hold values of the application: two destructors that panic in one drop would end the process.
impl<T: Item> Drop for Items<T> {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let items = self.first.take().into_iter().chain(self.rest.drain(..));
        log::drop_each(items, "an item of a pipe panicked when it was dropped");
    }
}

impl<T: Item> Default for Items<T> {
    fn default() -> Self {
        Self { first: None, first_weight: 0, rest: VecDeque::new(), held: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Split into parts of ten bytes.
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

    /// ERR-09: two items that panic when they are dropped do not end the process.
    #[test]
    fn items_are_dropped_one_by_one() {
        struct Bomb;
        impl Item for Bomb {
            fn bytes(&self) -> usize {
                0
            }
        }
        impl Drop for Bomb {
            fn drop(&mut self) {
                DROPPED.set(DROPPED.get() + 1);
                panic!("as the test wants");
            }
        }
        thread_local! {
            static DROPPED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
        }
        let mut items = Items::default();
        (0..3).for_each(|_| items.push(Bomb));
        drop(items);
        assert_eq!(DROPPED.get(), 3);
    }

    /// BP-02: `held` is what the queue holds, and a split item counts in full until its last part is taken.
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
