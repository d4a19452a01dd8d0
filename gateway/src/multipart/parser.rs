//! The parser of a form: multer, driven by blocking reads.
//!
//! Threads: the application's; blocks.

use std::collections::VecDeque;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;

use crate::body::input::Input;
use crate::error::Error;
use crate::multipart::delimiters::DelimiterCheck;
use crate::multipart::error::MultipartError;
use crate::sync::{Mutex, lock};

/// The bytes of one read. The parser holds one read, and the start of what may be a boundary.
const READ: usize = 32 * 1024;

/// How many reads the headers of a field may take, with the text before the first boundary. multer would collect
/// them without a limit, and search them from their start after each read.
const READS_OF_HEAD: usize = 2;

/// How many reads may follow the end of the form.
const READS_OF_EPILOGUE: usize = 2;

/// The body, in pieces that the parser is given when it has used up the one before.
///
/// multer reads a stream for as long as it is ready. A stream that reads from the input itself would always be, and the
/// parser would hold the whole body. So the reads are made here, each only once the parser can do nothing without it.
pub(super) struct Parser {
    multer: multer::Multipart<'static>,
    /// The field that was begun last.
    field: Option<multer::Field<'static>>,
    body: FormBody,
}

struct FormBody {
    input: Input,
    pieces: ReceivedPieces,
    delimiters: DelimiterCheck,
    received: u64,
    /// How many bytes the form may have.
    limit: u64,
}

/// The bytes that the parser has not taken; `None` is the end.
#[derive(Clone, Default)]
struct ReceivedPieces(Arc<Mutex<VecDeque<Option<Bytes>>>>);

impl Stream for ReceivedPieces {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        lock(&self.0).pop_front().map_or(Poll::Pending, |piece| Poll::Ready(piece.map(Ok)))
    }
}

impl Parser {
    pub(super) fn new(boundary: String, input: Input) -> Self {
        let pieces = ReceivedPieces::default();
        let delimiters = DelimiterCheck::new(&boundary);
        let multer = multer::Multipart::new(pieces.clone(), boundary);
        Self { multer, field: None, body: FormBody { input, pieces, delimiters, received: 0, limit: u64::MAX } }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.body.limit = limit;
    }

    pub(super) fn field(&self) -> Option<&multer::Field<'static>> {
        self.field.as_ref()
    }

    /// Begins the next field; the one before has been read. Returns whether there is one.
    pub(super) fn next_field(&mut self) -> Result<bool, MultipartError> {
        // multer refuses the next field while a handle on the last one exists.
        self.field = None;
        self.field = self.body.drive(self.multer.next_field(), READS_OF_HEAD)?;
        if self.field.is_some() {
            return Ok(true);
        }
        // A body that breaks off after the form is incomplete, too.
        for _ in 0..READS_OF_EPILOGUE {
            if self.body.read()?.is_none() {
                break;
            }
        }
        Ok(false)
    }

    /// The next bytes of the field; `None` at its end.
    pub(super) fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        match &mut self.field {
            Some(field) => self.body.drive(field.chunk(), usize::MAX),
            None => Ok(None),
        }
    }
}

impl FormBody {
    /// Polls the future, and gives the parser one more read each time that it is pending. Nothing wakes the future, as
    /// it waits for nothing else: the thread belongs to the application, and blocks in the read.
    fn drive<T>(
        &mut self,
        future: impl Future<Output = multer::Result<T>>,
        most_reads: usize,
    ) -> Result<T, MultipartError> {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        let mut reads = 0;
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                return result.map_err(|error| MultipartError::Malformed(Error::from(error).describe()));
            }
            if reads == most_reads {
                return Err(MultipartError::Malformed("the headers of a field are too long".to_owned()));
            }
            reads += 1;
            let piece = self.read()?;
            lock(&self.pieces.0).push_back(piece);
        }
    }

    /// Reads on; `None` at the end of the body. A read waits until it is full: a client that sends single bytes must
    /// not have the parser search its buffer for each of them.
    fn read(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let bytes =
            self.input.read_up_to(READ).map_err(|error| MultipartError::Input(error.into_error().into_boxed()))?;
        self.received += bytes.len() as u64;
        if self.received > self.limit {
            return Err(MultipartError::TooLarge { limit: self.limit });
        }
        self.delimiters.check(&bytes).map_err(|problem| MultipartError::Malformed(problem.to_owned()))?;
        Ok((!bytes.is_empty()).then(|| bytes.into()))
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser").field("field", &self.field.as_ref().and_then(|field| field.name())).finish()
    }
}
