//! Mutations of well-formed requests.

use crate::dice::Dice;
use crate::draft::{Draft, DraftBody, index, pick};

const ENCODINGS: &[&[u8]] = &[
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: , chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: chunked\x0c",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding:",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"TE: chunked",
];

const LENGTHS: &[&str] = &[
    "0",
    "1",
    "5",
    "20",
    "44",
    "007",
    "+5",
    "-1",
    "0x5",
    "5_0",
    "5.0",
    "5, 5",
    "5, 6",
    "5,",
    ",5",
    "",
    "5 5",
    "1e1",
    "20000000",
    "18446744073709551616",
    "99999999999999999999999",
    "5\x0b",
    "\u{665}",
    "5;x",
];

const FIELDS: &[&[u8]] = &[
    b"Host: b",
    b"Host: a b",
    b"Host:",
    b"X-Fold: a\r\n b",
    b"X-Fold: a\r\n\tb",
    b"Host: a\r\n b",
    b"X-Nul: a\0b",
    b"X-Bell: a\x07b",
    b"X-Cr: a\rb",
    b"X-High: \xff\xfe",
    b"X Y: z",
    b": no name",
    b"no colon",
    b"X[]: z",
    b"Connection: close",
    b"Connection: close, keep-alive",
    b"Connection: Transfer-Encoding",
    b"Connection: Content-Length",
    b"Expect: 100-continue",
    b"Expect: nonsense",
    b"Trailer: X-T",
];

const SIZES: &[&[u8]] = &[
    b"",
    b" ",
    b"+5",
    b"-5",
    b"0x5",
    b"5_0",
    b"g",
    b"00000000000000005",
    b"ffffffffffffffff",
    b"10000000000000000",
    b" 5",
    b"5 ",
    b"5\t",
    b"5;",
    b"5;a",
    b"5;a=b",
    b"5;a=\"b\"",
    b"5; a = b",
    b"5 ;a",
    b"5;a=\"\n\"",
    b"5;\nx",
    b"5;a\rb",
    b"5\0",
    b"5,5",
    b"0;a=b",
    b"00",
    b"5\x0b",
];

const INTERESTING: &[u8] = b"\0\r\n\t \x0b\x0c\x7f\x85\xa0\xff:;,/?#%0159aZ\"";

const VERSIONS: &[&[u8]] = &[
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.1 ",
    b"http/1.1",
    b"HTTP/11",
    b"HTTP/1.",
    b"HTTP/1.1x",
    b"HTTP /1.1",
];

/// Applies one random mutation to a request; returns a description.
pub(crate) fn mutate(draft: &mut Draft, dice: &mut Dice) -> &'static str {
    // Without header fields, only the request line can be mutated.
    match dice.below(if draft.lines.len() > 1 { 14 } else { 2 }) {
        0 => {
            let line = pick(dice, ENCODINGS).to_vec();
            draft.insert(dice, line);
            "encoding inserted"
        }
        1 => {
            let length = pick(dice, LENGTHS);
            draft.insert(dice, format!("Content-Length: {length}").into_bytes());
            "length inserted"
        }
        2 => {
            let line = pick(dice, &draft.lines[1..]).clone();
            draft.insert(dice, line);
            "field repeated"
        }
        3 => {
            let line = pick(dice, FIELDS).to_vec();
            draft.insert(dice, line);
            "field inserted"
        }
        4 => {
            let at = index(dice, draft.ends.len());
            draft.ends[at] = *pick(dice, &[b"\n".as_slice(), b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b""]);
            "end of a line changed"
        }
        5 => {
            draft.ends.fill(b"\n");
            "all ends of lines bare"
        }
        6 => {
            let words = *pick(dice, &[b"  ".as_slice(), b"\t", b" \x0b", b"\r", b" x "]);
            let line = &mut draft.lines[0];
            if let Some(at) = line.iter().position(|byte| *byte == b' ') {
                line.splice(at..=at, words.iter().copied());
            }
            "space in the request line changed"
        }
        7 => {
            let version = *pick(dice, VERSIONS);
            let line = &mut draft.lines[0];
            if let Some(at) = line.iter().rposition(|byte| *byte == b' ') {
                line.splice(at + 1.., version.iter().copied());
            }
            "version changed"
        }
        8 => {
            let at = 1 + index(dice, draft.lines.len() - 1);
            draft.lines.remove(at);
            draft.ends.remove(at);
            "field removed"
        }
        9 => {
            let padding = *pick(dice, &[b"\r\n".as_slice(), b"\r\n\r\n", b"\n", b" ", b"\t", b"\0", b"\r"]);
            draft.lines[0].splice(..0, padding.iter().copied());
            "something before the request line"
        }
        10 => {
            let at = 1 + index(dice, draft.lines.len() - 1);
            let padding = *pick(dice, &[b" ".as_slice(), b"\t", b"\x0b", b"\0"]);
            let place = *pick(dice, &["start", "colon", "end"]);
            let line = &mut draft.lines[at];
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
            let into = match place {
                "start" => 0,
                "colon" => colon,
                _ => line.len(),
            };
            line.splice(into..into, padding.iter().copied());
            "space in a field"
        }
        11 | 12 => mutate_body(&mut draft.body, dice),
        _ => {
            let target = *pick(
                dice,
                &[b"\xc3\xa9".as_slice(), b"%00", b"%0d%0a", b"\\", b" ", b"//", b"/./", b"?", b"\x7f", b"\0"],
            );
            let line = &mut draft.lines[0];
            if let Some(at) = line.iter().rposition(|byte| *byte == b' ') {
                line.splice(at..at, target.iter().copied());
            }
            "target changed"
        }
    }
}

fn mutate_body(body: &mut DraftBody, dice: &mut Dice) -> &'static str {
    match body {
        DraftBody::None => {
            *body = DraftBody::Plain(b"unannounced".to_vec());
            "body unannounced"
        }
        DraftBody::Plain(content) => {
            if dice.below(2) == 0 {
                content.truncate(content.len() / 2);
                "body shortened"
            } else {
                content.extend(b"\r\n\r\nmore");
                "body lengthened"
            }
        }
        DraftBody::Chunked(chunks) => {
            let at = index(dice, chunks.len());
            match dice.below(6) {
                0 => {
                    chunks[at].end = *pick(dice, &[b"\n".as_slice(), b"\r", b"", b"\r\n\r\n", b" \r\n"]);
                    "end of a chunk changed"
                }
                1 => {
                    chunks[at].size.extend(*pick(
                        dice,
                        &[b";x".as_slice(), b";x=y", b" ", b";x=\"\r\n\"", b";\n", b";\xff", b"\t;a"],
                    ));
                    "chunk extension"
                }
                2 => {
                    let trailers = *pick(
                        dice,
                        &[b"X-T: 1\r\n".as_slice(), b"Content-Length: 5\r\n", b"bad\r\n", b"X-T: 1\n", b" fold\r\n"],
                    );
                    if let Some(last) = chunks.last_mut() {
                        last.data = trailers.to_vec();
                    }
                    "trailers"
                }
                3 => {
                    chunks.pop();
                    "last chunk missing"
                }
                _ => {
                    chunks[at].size = pick(dice, SIZES).to_vec();
                    if chunks[at].size.starts_with(b"5") {
                        chunks[at].data = b"GET /".to_vec();
                    }
                    "chunk size changed"
                }
            }
        }
    }
}

/// Changes bytes at random positions, regardless of their meaning; returns a description.
pub(crate) fn disturb(bytes: &mut Vec<u8>, dice: &mut Dice) -> &'static str {
    let at = index(dice, bytes.len());
    match dice.below(6) {
        0 if !bytes.is_empty() => {
            bytes[at] ^= 1 << dice.below(8);
            "bit flipped"
        }
        1 if !bytes.is_empty() => {
            bytes[at] = *pick(dice, INTERESTING);
            "byte replaced"
        }
        2 if !bytes.is_empty() => {
            bytes.remove(at);
            "byte removed"
        }
        3 => {
            bytes.insert(at, *pick(dice, INTERESTING));
            "byte inserted"
        }
        4 => {
            bytes.truncate(at);
            "stream cut short"
        }
        _ => {
            bytes.extend(*pick(dice, &[b"\r\n".as_slice(), b"\n", b"x", b"\0\0\0\0", b"GET / HT"]));
            "bytes appended"
        }
    }
}
