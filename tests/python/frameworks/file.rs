//! Files for uploads, generated while they are sent.

use sha2::{Digest as _, Sha256};

const PIECE: usize = 64 * 1024;

/// A file of this size, in which all pieces differ.
#[derive(Clone, Copy)]
pub(crate) struct File {
    pub(crate) size: usize,
}

impl File {
    /// The bytes of the file, in pieces.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.size.div_ceil(PIECE)).map(move |number| {
            let size = PIECE.min(self.size - number * PIECE);
            (0..size).map(|at| (at * 31 + number * 17 + at / 251) as u8).collect()
        })
    }

    /// The answer of an application that has read the whole file.
    pub(crate) fn digest(self) -> String {
        let mut hash = Sha256::new();
        self.pieces().for_each(|piece| hash.update(piece));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
