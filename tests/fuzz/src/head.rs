//! A reference parser for the head of a request on HTTP/1.
//!
//! Threads: the caller's.

/// A head, as it is on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head<'i> {
    pub(crate) method: &'i [u8],
    pub(crate) target: &'i [u8],
    pub(crate) version: &'i [u8],
    /// Names and trimmed values, in order.
    pub(crate) fields: Vec<(Vec<u8>, &'i [u8])>,
    /// The length of the head, up to and with its empty line.
    pub(crate) length: usize,
}

/// The head at the beginning of the input, if it is complete and has the form of one.
pub(crate) fn parse(input: &[u8]) -> Option<Head<'_>> {
    let mut at = 0;
    let mut line = || {
        let rest = input.get(at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        at += end + 1;
        let line = &rest[..end];
        Some((line.strip_suffix(b"\r").unwrap_or(line), at))
    };
    // RFC 9112 §2.2: empty lines before the request line are ignored.
    let first = loop {
        let (first, _) = line()?;
        if !first.is_empty() {
            break first;
        }
    };
    let mut words = first.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let mut fields = Vec::new();
    loop {
        let (field, length) = line()?;
        if field.is_empty() {
            return Some(Head { method, target, version, fields, length });
        }
        let colon = field.iter().position(|byte| *byte == b':')?;
        fields.push((field[..colon].to_ascii_lowercase(), trim(&field[colon + 1..])));
    }
}

/// RFC 9110 §5.5: white space around a value is SP and HTAB.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

/// One character for each byte.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Decodes `%XX` once; other text stays.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}
