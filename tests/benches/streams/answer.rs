//! Parses the bytes that a server sends into responses.

/// A response, and the application's report on its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status; 0 for bytes without a response head, as in HTTP/0.9.
    pub(crate) status: u16,
    pub(crate) saw: Option<Saw>,
}

/// The application's report on a request, from the header field `X-Saw`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saw {
    pub(crate) method: String,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Vec<u8>,
    /// `-`, or the length and digest of the bytes that the application read.
    pub(crate) body: String,
}

/// All responses in the received bytes.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) all: Vec<Answer>,
    /// Whether the bytes end with the end of the last response.
    pub(crate) is_whole: bool,
}

/// Parses responses; `is_head` returns whether the request with a number was a HEAD, as far as that is known.
pub(crate) fn parse(mut bytes: &[u8], is_head: impl Fn(usize) -> bool) -> Answers {
    let mut answers = Answers { all: Vec::new(), is_whole: true };
    while !bytes.is_empty() {
        if !bytes.starts_with(b"HTTP/1.") {
            let may_become = b"HTTP/1.".starts_with(&bytes[..bytes.len().min(7)]);
            if !may_become {
                answers.all.push(Answer { status: 0, saw: None });
            }
            answers.is_whole = !may_become;
            return answers;
        }
        let Some((answer, rest)) = one(bytes, is_head(answers.all.len())) else {
            answers.is_whole = false;
            return answers;
        };
        bytes = rest;
        if answer.status / 100 != 1 {
            answers.all.push(answer);
        }
    }
    answers
}

fn one(bytes: &[u8], is_head: bool) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, mut rest) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]);
    let status: u16 = head.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    let (mut saw, mut length, mut is_chunked) = (None, None, false);
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "x-saw" => saw = Saw::parse(value),
            "content-length" => length = value.parse::<usize>().ok(),
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let is_head = saw.as_ref().map_or(is_head, |saw| saw.method == "HEAD");
    let is_tunnel = saw.as_ref().is_some_and(|saw| saw.method == "CONNECT") && status / 100 == 2;
    // A server that refuses a request may not know that it was a HEAD, and may send a body.
    let has_body_all_the_same = is_head && saw.is_none() && !rest.is_empty() && !rest.starts_with(b"HTTP/1.");
    if status / 100 == 1
        || matches!(status, 204 | 304)
        || (is_head && !has_body_all_the_same)
        || (is_tunnel && length.is_none())
    {
        return Some((Answer { status, saw }, rest));
    }
    if is_chunked {
        loop {
            let at = rest.windows(2).position(|window| window == b"\r\n")?;
            let size =
                usize::from_str_radix(std::str::from_utf8(&rest[..at]).ok()?.split(';').next()?.trim(), 16).ok()?;
            rest = rest.get(at + 2 + size + 2..)?;
            if size == 0 {
                break;
            }
        }
    } else {
        // Without a length, the body ends when the connection closes.
        rest = rest.get(length.unwrap_or(rest.len())..)?;
    }
    Some((Answer { status, saw }, rest))
}

impl Saw {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let method = words.next()?.to_owned();
        let (path, query) = (unhex(words.next()?)?, unhex(words.next()?)?);
        Some(Self { method, path, query, body: words.next()?.to_owned() })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}
