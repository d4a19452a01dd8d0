//! A file as the body of a response.
//!
//! Threads: pool; blocks.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use bytes::Bytes;

use crate::error::{CallError, Error};

/// A file from its current position on.
#[derive(Debug)]
pub(crate) struct FileBody {
    pub(crate) file: File,
    /// How many bytes are left; `None` for a file that is not regular or reports no size, such as those of `/proc`.
    pub(crate) length: Option<u64>,
}

/// The bytes of one read.
const READ_BLOCK: u64 = 64 * 1024;

impl FileBody {
    /// # Threads
    ///
    /// Asks the file system for the length, which may block.
    pub(crate) fn new(mut file: File) -> Self {
        let length = remaining(&mut file).ok().filter(|length| *length > 0);
        Self { file, length }
    }

    /// Whether the file is large enough to be read on another thread, which frees this one.
    pub(crate) fn is_large(&self) -> bool {
        self.length.is_some_and(|length| length > READ_BLOCK)
    }

    /// Reads the next block; `None` at the end.
    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let most = self.length.map_or(READ_BLOCK, |length| length.min(READ_BLOCK));
        let block = read_block(&mut self.file, most)?;
        if let Some(length) = &mut self.length {
            *length -= block.len() as u64;
        }
        Ok((!block.is_empty()).then_some(block))
    }
}

/// The file as a plain body.
impl Iterator for FileBody {
    type Item = Result<Bytes, CallError>;

    fn next(&mut self) -> Option<Result<Bytes, CallError>> {
        self.read().map_err(|error| Error::from(error).into()).transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let blocks = self.length.and_then(|length| usize::try_from(length.div_ceil(READ_BLOCK)).ok());
        (0, blocks)
    }
}

fn remaining(file: &mut File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(metadata.len().saturating_sub(file.stream_position()?))
}

/// Reads up to `most` bytes, fewer only at the end of the file.
pub(crate) fn read_block(file: &mut File, most: u64) -> io::Result<Bytes> {
    let mut block = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
    file.take(most).read_to_end(&mut block)?;
    Ok(block.into())
}
