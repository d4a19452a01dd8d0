//! One field of a form.
//!
//! Threads: the application's; blocks.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use crate::multipart::Multipart;
use crate::multipart::error::MultipartError;

/// A field of a [`Multipart`] form: a reader of its content. Created by [`Multipart::next`].
///
/// The next field skips the unread rest of this one.
///
/// # Security
///
/// The name, the file name and the content type are text of the client. Never use the file name as a path.
///
/// # Threads
///
/// Reads block: see [`Multipart`](Multipart#threads).
#[derive(Debug)]
pub struct Field<'f> {
    form: &'f mut Multipart,
    /// The unread rest of the last chunk.
    chunk: Bytes,
}

impl<'f> Field<'f> {
    pub(super) fn new(form: &'f mut Multipart) -> Self {
        Self { form, chunk: Bytes::new() }
    }

    /// The name of the field. Forms of browsers always have one.
    pub fn name(&self) -> Option<&str> {
        self.form.parser.field()?.name()
    }

    /// The name of the file, if the field is one.
    pub fn file_name(&self) -> Option<&str> {
        self.form.parser.field()?.file_name()
    }

    /// The content type that the client claims.
    pub fn content_type(&self) -> Option<&str> {
        self.form.parser.field()?.content_type().map(AsRef::as_ref)
    }

    /// All headers of the field.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.form.parser.field().map(multer::Field::headers)
    }

    /// The rest of the field, of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`MultipartError::TooLarge`] for more, and those of [`Multipart::next`].
    pub fn bytes(&mut self, limit: usize) -> Result<Bytes, MultipartError> {
        let mut bytes = BytesMut::new();
        while !self.fill()?.is_empty() {
            if self.chunk.len() > limit - bytes.len() {
                return Err(MultipartError::TooLarge { limit: limit as u64 });
            }
            bytes.extend_from_slice(&std::mem::take(&mut self.chunk));
        }
        Ok(bytes.freeze())
    }

    /// The rest of the field as text in UTF-8, of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Malformed`] if it is not UTF-8, and those of [`bytes`](Self::bytes).
    pub fn text(&mut self, limit: usize) -> Result<String, MultipartError> {
        let bytes = self.bytes(limit)?;
        String::from_utf8(bytes.into()).map_err(|_| MultipartError::Malformed("a field is not UTF-8".to_owned()))
    }

    fn fill(&mut self) -> Result<&Bytes, MultipartError> {
        while self.chunk.is_empty() {
            match self.form.chunk()? {
                Some(chunk) => self.chunk = chunk,
                None => break,
            }
        }
        Ok(&self.chunk)
    }
}

impl BufRead for Field<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.fill() {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(error.into()),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

impl Read for Field<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let available = self.fill_buf()?;
        let take = available.len().min(buffer.len());
        buffer[..take].copy_from_slice(&available[..take]);
        self.consume(take);
        Ok(take)
    }
}
