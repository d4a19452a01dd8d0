//! HTTP/2 frames (RFC 9113), restricted to the frames that these clients send and the servers answer with.

pub(crate) use gateway_tests::frames::PREFACE;
use gateway_tests::frames::frame;

use crate::applications::Route;
use crate::sequence::FILL;

/// A frame, or the preface, that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The bytes of the preface in this range, without the SETTINGS frame that must follow.
    Preface(usize, usize),
    /// SETTINGS, with the initial window of each stream.
    Settings(u32),
    SettingsAck,
    /// A request on a stream; `true` sets `END_STREAM`.
    Headers(u32, &'static str, Route, bool),
    /// This number of repetitions of [`FILL`] on a stream; `true` sets `END_STREAM`.
    Data(u32, usize, bool),
    /// `WINDOW_UPDATE` for one stream, or for the connection.
    Window(u32, u32),
    Ping,
    /// `RST_STREAM`: the client cancels a stream.
    Reset(u32),
    /// GOAWAY: the client announces that it closes the connection.
    GoAway,
    /// A frame of an undefined type.
    Unknown(u32),
}

/// The target of the request on a stream.
pub(crate) fn target(route: Route, stream: u32) -> String {
    format!("{}/{stream}", route.path())
}

/// A literal field in HPACK, without the dynamic table and without Huffman coding.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(name.len()).expect("short")];
    bytes.extend(name.bytes());
    bytes.push(u8::try_from(value.len()).expect("short"));
    bytes.extend(value.bytes());
    bytes
}

impl Frame {
    pub(crate) fn encoded(&self) -> Vec<u8> {
        match *self {
            Self::Preface(from, to) => PREFACE[from..to].to_vec(),
            Self::Settings(window) => {
                let mut payload = vec![0, 4];
                payload.extend(window.to_be_bytes());
                frame(4, 0, 0, &payload)
            }
            Self::SettingsAck => frame(4, 1, 0, &[]),
            Self::Headers(stream, method, route, is_end) => {
                let fields = [
                    field(":method", method),
                    field(":scheme", "http"),
                    field(":authority", "a"),
                    field(":path", &target(route, stream)),
                ];
                frame(1, 4 | u8::from(is_end), stream, &fields.concat())
            }
            Self::Data(stream, count, is_end) => {
                // No frame exceeds the default SETTINGS_MAX_FRAME_SIZE.
                let bytes = FILL.repeat(count);
                let mut pieces: Vec<&[u8]> = bytes.chunks(16_384).collect();
                if pieces.is_empty() {
                    pieces.push(&[]);
                }
                let last = pieces.len() - 1;
                let encoded = pieces
                    .iter()
                    .enumerate()
                    .map(|(at, piece)| frame(0, u8::from(is_end && at == last), stream, piece));
                encoded.collect::<Vec<_>>().concat()
            }
            Self::Window(stream, more) => frame(8, 0, stream, &more.to_be_bytes()),
            Self::Ping => frame(6, 0, 0, b"pingpong"),
            Self::Reset(stream) => frame(3, 0, stream, &[0, 0, 0, 8]),
            Self::GoAway => frame(7, 0, 0, &[0; 8]),
            Self::Unknown(stream) => frame(0xfa, 0, stream, b"?"),
        }
    }
}

/// A frame that a server sends, with the number of bytes up to the end of each frame.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) at_end: usize,
}

impl Received {
    /// The status at the start of a head, if it is one of the seven in the static table of HPACK; otherwise 0.
    pub(crate) fn status(&self) -> u16 {
        match self.payload.iter().find(|byte| **byte & 0xe0 != 0x20) {
            Some(byte @ 0x88..=0x8e) => [200, 204, 206, 304, 400, 404, 500][usize::from(byte - 0x88)],
            _ => 0,
        }
    }
}

/// Parses the frames in a server's bytes. A partial frame at the end is omitted.
pub(crate) fn received(bytes: &[u8]) -> Vec<Received> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(&[a, b, c, kind, flags, d, e, f, g]) = bytes[at..].first_chunk::<9>() {
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("24 bits");
        let Some(payload) = bytes.get(at + 9..at + 9 + length) else { break };
        at += 9 + length;
        let stream = u32::from_be_bytes([d & 0x7f, e, f, g]);
        frames.push(Received { kind, flags, stream, payload: payload.to_vec(), at_end: at });
    }
    frames
}
