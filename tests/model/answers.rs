//! Parses the bytes that a client received into answers, by RFC 9112 alone.

use std::fmt;

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The length, or the last chunk, ends it.
    Complete,
    /// The end of the connection ends it, so a truncated body cannot be recognised.
    WithConnection,
    /// The answer is incomplete.
    Partial,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The target of the request that was answered, if the answer names it.
    pub(crate) id: Option<String>,
    /// The answer has `Connection: close`, or implies it.
    pub(crate) closes: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// The byte after the head, and the byte after the body.
    pub(crate) head_end: usize,
    pub(crate) at_end: usize,
    /// The number of `100 Continue` responses before the answer.
    pub(crate) interim: usize,
}

/// Prints only the fields that distinguish one answer from another.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, id, closes, body, end, interim, .. } = self;
        let start = body[..body.len().min(40)].escape_ascii();
        let id = id.as_deref().unwrap_or("no request");
        write!(
            f,
            "{status} to {id} (closes: {closes}, end: {end:?}, interim: {interim}, {} bytes: {start})",
            body.len()
        )
    }
}

/// Parses the answers. `is_head` tells whether the request with this number was a HEAD request.
///
/// # Errors
///
/// The bytes are not HTTP.
pub(crate) fn read(bytes: &[u8], is_head: impl Fn(usize) -> bool) -> Result<Vec<Answer>, String> {
    let mut answers: Vec<Answer> = Vec::new();
    let (mut at, mut interim) = (0, 0);
    while at < bytes.len() {
        let Some(length) = bytes[at..].windows(4).position(|four| four == b"\r\n\r\n") else {
            // A partial head: the answer broke off, and the rules do not apply to it.
            break;
        };
        let text = std::str::from_utf8(&bytes[at..at + length]).map_err(|error| format!("a head: {error}"))?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
        let status: u16 = status
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| format!("no status line at byte {at}: {first:?}"))?;
        at += length + 4;
        if status < 200 {
            interim += 1;
            continue;
        }
        let (mut id, mut closes, mut keeps, mut declared, mut is_chunked) = (None, false, false, None, false);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "x-id" => id = Some(value.to_owned()),
                "connection" => {
                    closes |= value.eq_ignore_ascii_case("close");
                    keeps |= value.eq_ignore_ascii_case("keep-alive");
                }
                "content-length" => declared = Some(value.parse().map_err(|_| format!("a length: {value:?}"))?),
                "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        if closes && keeps {
            return Err(format!("an answer says both to close and to keep: {text:?}"));
        }
        closes |= first.starts_with("HTTP/1.0") && !keeps;
        let head_end = at;
        let mut body = Vec::new();
        let end = if is_head(answers.len()) || status == 204 || status == 304 {
            End::Complete
        } else if is_chunked {
            match read_chunks(&bytes[at..], &mut body)? {
                Some(length) => {
                    at += length;
                    End::Complete
                }
                None => {
                    at = bytes.len();
                    End::Partial
                }
            }
        } else if let Some(declared) = declared {
            let here = bytes.len() - at;
            body.extend_from_slice(&bytes[at..at + here.min(declared)]);
            at += here.min(declared);
            if here < declared { End::Partial } else { End::Complete }
        } else {
            body.extend_from_slice(&bytes[at..]);
            at = bytes.len();
            End::WithConnection
        };
        answers.push(Answer { status, id, closes, body, end, head_end, at_end: at, interim });
        interim = 0;
    }
    Ok(answers)
}

/// The length of the chunked body in bytes, or `None` if it has no last chunk.
fn read_chunks(bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(line) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes[at..at + line]).into_owned();
        let size = usize::from_str_radix(&text, 16).map_err(|_| format!("no chunk size: {text:?}"))?;
        at += line + 2;
        if size == 0 {
            // No application under test sends trailers.
            return Ok(bytes[at..].starts_with(b"\r\n").then_some(at + 2));
        }
        let here = size.min(bytes.len() - at);
        body.extend_from_slice(&bytes[at..at + here]);
        if bytes.len() < at + size + 2 {
            return Ok(None);
        }
        at += size + 2;
    }
}
