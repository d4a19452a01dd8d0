//! Splits the bytes of a stream into lines and bodies.

use crate::feature::Feature;
use crate::reference::{End, is_token};

/// A line without its line ending.
pub(crate) struct Line<'s> {
    pub(crate) text: &'s [u8],
}

/// A position in a stream.
pub(crate) struct Lines<'s> {
    rest: &'s [u8],
}

/// More digits than any valid chunk size has.
const LONG_SIZE: usize = 16;

impl<'s> Lines<'s> {
    pub(crate) fn new(rest: &'s [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next line of a head; `None` if the stream ends before the end of the line.
    pub(crate) fn next(&mut self, features: &mut Vec<Feature>) -> Option<Line<'s>> {
        let (text, is_bare) = self.line()?;
        if is_bare {
            features.push(Feature::BareLfInHead);
        }
        if text.contains(&b'\r') {
            features.push(Feature::BareCrInHead);
        }
        Some(Line { text })
    }

    /// The next `length` bytes; `None` if the stream ends before them.
    pub(crate) fn take(&mut self, length: u64) -> Option<&'s [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// The content of a chunked body; reads to the end of the trailers.
    pub(crate) fn chunked(&mut self, features: &mut Vec<Feature>) -> Result<Vec<u8>, End> {
        let mut body = Vec::new();
        loop {
            let (line, is_bare) = self.line().ok_or(End::Within)?;
            if is_bare {
                features.push(Feature::BareLfInChunks);
            }
            let size = chunk_size(line, features).map_err(End::Invalid)?;
            if size == 0 {
                break;
            }
            body.extend(self.take(size).ok_or(End::Within)?);
            match self.rest {
                [b'\r', b'\n', rest @ ..] => self.rest = rest,
                [b'\n', rest @ ..] => {
                    features.push(Feature::BareLfInChunks);
                    self.rest = rest;
                }
                [] | [b'\r'] => return Err(End::Within),
                _ => return Err(End::Invalid("a chunk that does not end where it says")),
            }
        }
        loop {
            let (line, is_bare) = self.line().ok_or(End::Within)?;
            if is_bare {
                features.push(Feature::BareLfInChunks);
            }
            if line.is_empty() {
                return Ok(body);
            }
            features.push(Feature::Trailers);
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            if name.is_empty() || name.len() == line.len() || !name.iter().all(|byte| is_token(*byte)) {
                features.push(Feature::OddTrailer);
            }
        }
    }

    /// The next line, and whether its line ending lacks the CR.
    fn line(&mut self) -> Option<(&'s [u8], bool)> {
        let at = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&self.rest[..at], &self.rest[at + 1..]);
        self.rest = rest;
        Some(line.strip_suffix(b"\r").map_or((line, true), |line| (line, false)))
    }
}

fn chunk_size(line: &[u8], features: &mut Vec<Feature>) -> Result<u64, &'static str> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    if size.is_empty() {
        return Err("a chunk without a size");
    }
    if size.len() > LONG_SIZE {
        features.push(Feature::ChunkSizeLong);
    }
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = &rest[padding..];
    if padding > 0 {
        features.push(Feature::ChunkSizePadded);
    }
    match rest {
        [] => {}
        [b';', extension @ ..] => {
            features.push(Feature::ChunkExtension);
            if extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
                features.push(Feature::ControlInChunkExtension);
            }
        }
        _ => return Err("a chunk size that is no number"),
    }
    let text = std::str::from_utf8(size).map_err(|_| "a chunk size that is no number")?;
    u64::from_str_radix(text, 16).map_err(|_| "a chunk size beyond all numbers")
}

/// Removes spaces and tabs at both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |at| at + 1);
    &text[start..end]
}
