//! HTTP/2's frames, as far as clients here send them and servers answer (RFC 9113).

pub(crate) use gateway_tests::frames::PREFACE;
use gateway_tests::frames::frame;

use crate::applications::Route;
use crate::sequence::FILL;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The preface, without the settings that have to follow, from one byte to another.
    Preface(usize, usize),
    /// The settings, with the window that each stream begins with.
    Settings(u32),
    SettingsAck,
    /// A request on a stream; `true` is its end.
    Headers(u32, &'static str, Route, bool),
    /// So many times [`FILL`] on a stream; `true` is its end.
    Data(u32, usize, bool),
    /// More room, on a stream or for all of them.
    Window(u32, u32),
    Ping,
    /// The client does not want a stream any more.
    Reset(u32),
    /// The client is about to go.
    GoAway,
    /// A frame of a kind that no document defines.
    Unknown(u32),
}

/// The target of the request on a stream.
pub(crate) fn target(route: Route, stream: u32) -> String {
    format!("{}/{stream}", route.path())
}

/// A field in the simplest form of HPACK: no table, no code.
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
                // No frame is larger than every server takes.
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

/// What a server sends, with the number of bytes up to its end.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) at_end: usize,
}

impl Received {
    /// The status that a head begins with, where it is one of the seven that HPACK has a number for; else 0.
    pub(crate) fn status(&self) -> u16 {
        match self.payload.iter().find(|byte| **byte & 0xe0 != 0x20) {
            Some(byte @ 0x88..=0x8e) => [200, 204, 206, 304, 400, 404, 500][usize::from(byte - 0x88)],
            _ => 0,
        }
    }
}

/// The frames in a server's bytes; part of one at the end is left out.
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
