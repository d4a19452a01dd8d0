//! The beginning of a body.
//!
//! Threads: any.

use bytes::Bytes;

/// Bytes up to a limit, in no more memory than the limit.
#[derive(Debug)]
pub(super) struct Prefix {
    bytes: Vec<u8>,
    limit: usize,
}

impl Prefix {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// Adds bytes up to the limit. Returns whether all were added.
    pub(super) fn add(&mut self, data: &[u8]) -> bool {
        let taken = data.len().min(self.limit - self.bytes.len());
        let needed = self.bytes.len() + taken;
        if needed > self.bytes.capacity() {
            // Doubles the capacity, as `Vec` does, but not beyond the limit.
            let wanted = self.bytes.capacity().saturating_mul(2).clamp(needed, self.limit);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(&data[..taken]);
        taken == data.len()
    }

    /// Whether its length is the declared length of the body.
    pub(super) fn is_all_of(&self, declared: Option<u64>) -> bool {
        declared == Some(self.bytes.len() as u64)
    }

    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_no_more_memory_than_its_limit() {
        let mut prefix = Prefix::new(1000);
        for _ in 0..333 {
            assert!(prefix.add(b"abc"));
            assert!(prefix.bytes.capacity() <= 1000);
        }
        assert!(prefix.add(b""));
        assert!(!prefix.add(b"ab"));
        assert!(prefix.is_all_of(Some(1000)) && !prefix.is_all_of(None));
        assert_eq!(prefix.bytes.capacity(), 1000);
        assert!(!prefix.add(b"a") && prefix.add(b""));
        assert!(prefix.take().ends_with(b"abca"));
    }
}
