//! A file that is sent to the client without a pool thread.
//!
//! Threads: runtime; files are read on the runtime's threads for blocking work.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::log::{self, Span};
use crate::observe::outcome::RequestOutcome;
use crate::response::file_body::read_block;

/// The bytes of one read. Memory holds two blocks: the one the server sends, and the next.
const FILE_BLOCK: u64 = 128 * 1024;

/// The blocks of a file, up to the declared length of its response.
#[derive(Debug)]
pub(crate) struct FileStream {
    reader: FileReader,
    /// The bytes that the server has not been given.
    left: u64,
    /// The span of the request, for log events.
    span: Span,
}

#[derive(Debug)]
enum FileReader {
    Idle(File),
    /// A blocking task reads the next block.
    Busy(JoinHandle<io::Result<(File, Bytes)>>),
    /// The file has been read, or cannot be read any further.
    Done,
}

impl FileStream {
    pub(crate) fn new(file: File, length: u64, span: Span) -> Self {
        Self { reader: FileReader::Idle(file), left: length, span }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.left == 0
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        loop {
            match std::mem::replace(&mut self.reader, FileReader::Done) {
                FileReader::Idle(_) | FileReader::Done if self.left == 0 => return Poll::Ready(None),
                FileReader::Done => return Poll::Ready(Some(Err(RequestOutcome::Aborted))),
                FileReader::Idle(file) => match self.read_on(file) {
                    Ok(reader) => self.reader = reader,
                    Err(error) => return self.abort(&error),
                },
                FileReader::Busy(mut read) => {
                    let Poll::Ready(done) = Pin::new(&mut read).poll(cx) else {
                        self.reader = FileReader::Busy(read);
                        return Poll::Pending;
                    };
                    return match done.map_err(io::Error::from).flatten() {
                        Ok((_, block)) if block.is_empty() => {
                            self.abort(&io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter"))
                        }
                        Ok((file, block)) => self.give(file, block),
                        Err(error) => self.abort(&error),
                    };
                }
            }
        }
    }

    /// Hands over a block, and starts to read the next one.
    fn give(&mut self, file: File, block: Bytes) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        self.left -= block.len() as u64;
        if self.left > 0 {
            match self.read_on(file) {
                Ok(reader) => self.reader = reader,
                Err(error) => return self.abort(&error),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(block))))
    }

    fn read_on(&self, mut file: File) -> io::Result<FileReader> {
        let most = self.left.min(FILE_BLOCK);
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        Ok(FileReader::Busy(runtime.spawn_blocking(move || {
            let block = read_block(&mut file, most)?;
            Ok((file, block))
        })))
    }

    fn abort(&self, error: &io::Error) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        self.span.in_scope(|| log::error!(%error, left = self.left, "a file cannot be sent to its end"));
        Poll::Ready(Some(Err(RequestOutcome::Aborted)))
    }
}
