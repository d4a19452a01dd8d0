//! The kinds of requests of the soak, and how often each is sent.

use std::time::Duration;

use crate::client::{get, post, post_head};
use crate::dice::Dice;

/// Requests of one kind. Their mount has the same name in the figures of the server.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) mount: &'static str,
    pub(super) clients: u32,
    /// Each client sends a request in each period.
    pub(super) period: Duration,
    /// For how long a request sleeps on a thread, in milliseconds: what the load takes at least.
    pub(super) holds: u32,
    pub(super) way: Way,
}

/// How a client sends a request, and what it does then.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// It sends the request and reads the response.
    Exchange(fn(&mut Dice) -> Vec<u8>),
    /// It resets the connection after the head of the response.
    Leave,
    /// It takes nothing of the response but the head, until the server has given up.
    Stall,
    /// It closes the connection when it has sent the request.
    Vanish,
    /// It sends the body in small pieces, over two seconds.
    SlowUpload,
    /// It closes the connection after half of the body.
    CutUpload,
    /// It sends half of the body, and waits for the response.
    StalledUpload,
    /// As `Exchange`, with HTTP/2, all clients on one connection.
    Http2(fn(&mut Dice) -> &'static str),
    /// It resets the stream of HTTP/2 after the head of the response.
    Reset,
}

/// More than all buffers between the application and the client.
const ENDLESS: &str = "stream?50000000";

pub(super) const KINDS: [Kind; 21] = [
    kind("fast", 4, 40, 0, Way::Exchange(|_| get("/fast/ok"))),
    kind("slow", 56, 160, 20, Way::Exchange(|_| get("/slow/sleep?20"))),
    kind("fails", 1, 200, 0, Way::Exchange(|_| get("/fails/fail"))),
    kind("panics", 1, 200, 0, Way::Exchange(|_| get("/panics/panic"))),
    kind("breaks", 1, 200, 0, Way::Exchange(|_| get("/breaks/break"))),
    kind("large", 3, 200, 0, Way::Exchange(large)),
    kind("leaves", 2, 200, 0, Way::Leave),
    kind("stalls", 2, 4_000, 1_000, Way::Stall),
    kind("vanishes", 4, 200, 20, Way::Vanish),
    kind("uploads", 20, 2_500, 0, Way::SlowUpload),
    kind("uploads", 1, 200, 0, Way::Exchange(|_| post("/uploads/upload", 200_000))),
    // The head alone: the limit is 1 MiB.
    kind("uploads", 1, 1_000, 0, Way::Exchange(|_| post_head("/uploads/upload", 2_000_000))),
    kind("cuts", 4, 500, 0, Way::CutUpload),
    kind("waits", 4, 2_000, 0, Way::StalledUpload),
    kind("late", 1, 200, 60, Way::Exchange(|_| get("/late/sleep?60"))),
    kind("refused", 1, 200, 0, Way::Exchange(|_| get("/refused?number=none"))),
    kind("http2", 8, 160, 15, Way::Http2(http2)),
    kind("resets", 2, 200, 0, Way::Reset),
    kind("flask", 4, 160, 0, Way::Exchange(flask)),
    kind("flask-leaves", 1, 500, 0, Way::Leave),
    kind("django", 3, 160, 0, Way::Exchange(django)),
];

const fn kind(mount: &'static str, clients: u32, period: u64, holds: u32, way: Way) -> Kind {
    Kind { mount, clients, period: Duration::from_millis(period), holds, way }
}

impl Kind {
    /// The target of the ways that have no choice.
    pub(super) fn target(&self) -> String {
        match (self.way, self.mount) {
            (Way::Vanish, mount) => format!("/{mount}/sleep?20"),
            (Way::SlowUpload | Way::CutUpload | Way::StalledUpload, mount) => format!("/{mount}/upload"),
            (_, "flask-leaves") => "/flask-leaves/endless".to_owned(),
            (_, mount) => format!("/{mount}/{ENDLESS}"),
        }
    }
}

fn large(dice: &mut Dice) -> Vec<u8> {
    match dice.below(3) {
        0 => get("/large/bytes?1000000"),
        1 => get("/large/stream?1000000"),
        _ => get("/large/file?1000000"),
    }
}

/// Three of four sleep.
fn http2(dice: &mut Dice) -> &'static str {
    match dice.below(40) {
        0 => "/http2/fail",
        1 => "/http2/panic",
        2 => "/http2/break",
        3..6 => "/http2/stream?100000",
        6..10 => "/http2/bytes?10000",
        _ => "/http2/sleep?20",
    }
}

fn flask(dice: &mut Dice) -> Vec<u8> {
    match dice.below(10) {
        0 => get("/flask/crash"),
        1 => get("/flask/break"),
        2 => form("/flask/upload", 20_000),
        _ => get(&format!("/flask/page?title={}", dice.below(1_000_000))),
    }
}

fn django(dice: &mut Dice) -> Vec<u8> {
    match dice.below(10) {
        0 => get("/django/crash"),
        1..5 => get(&format!("/django/notes?text={}", dice.below(1_000_000))),
        _ => get("/django/notes"),
    }
}

/// A form with a file of this length.
fn form(target: &str, length: usize) -> Vec<u8> {
    const HEAD: &str = "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"name\"\r\n\r\n";
    const END: &str = "\r\n--limit--\r\n";
    let all = HEAD.len() + length + END.len();
    let mut request = format!(
        "POST {target} HTTP/1.1\r\nHost: load.test\r\nContent-Type: multipart/form-data; boundary=limit\r\n\
         Content-Length: {all}\r\n\r\n{HEAD}"
    )
    .into_bytes();
    request.resize(request.len() + length, b'x');
    request.extend(END.bytes());
    request
}
