//! Generates requests, well-formed and malformed.

use proptest::prelude::*;
use proptest::sample::select;

use crate::applications::Route;
use crate::sequence::{DEFAULTS, FILL, Sequence, Settings, Step, fill, pause, send};
use crate::threads;

/// The kind of a request.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Bodyless {
        method: &'static str,
        fields: &'static str,
    },
    /// A body with a declared length, with the numbers of units that are declared and sent.
    Sized {
        declared: usize,
        sent: usize,
        fields: &'static str,
    },
    Chunked {
        chunks: Vec<usize>,
        extension: &'static str,
        end: &'static str,
        fields: &'static str,
    },
    /// These bytes, unchanged.
    Raw(&'static str),
}

/// A request, and how its bytes arrive.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    client: usize,
    route: Route,
    version: &'static str,
    kind: Kind,
    /// The cuts, in thousandths of the bytes, and the pause at each cut.
    cuts: Vec<(usize, u64)>,
    after: Option<Step>,
    pause: u64,
}

/// Header fields that affect the framing or the connection. `Host: a` is always present.
const FIELDS: &[&str] = &[
    "",
    "",
    "",
    "",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "Host: b\r\n",
    "X: y\r\n",
];

/// Malformed or unusual requests; `@` is replaced by the target.
const RAW: &[&str] = &[
    "\r\n\r\nGET @ HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n",
    "GET @ HTTP/1.1\r\n\r\n",
    "GET @ HTTP/1.1\nHost: a\n\n",
    "GET @ HTTP/1.1\rHost: a\r\r",
    "GET @ HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    "GET  @ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET @ HTTP/3.7\r\nHost: a\r\n\r\n",
    "GET @\r\n\r\n",
    "\x16\x03\x01 garbage\r\n\r\n",
    "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 36\r\n\r\n0\r\n\r\n",
    "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\n\r\n",
    "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET @ HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
];

/// Valid and invalid ends of a chunked body.
const CHUNKED_ENDS: &[&str] = &[
    "0\r\n\r\n",
    "0\r\n\r\n",
    "0\r\n\r\n",
    "0\r\nX-Trailer: y\r\n\r\n",
    "00;a=b\r\n\r\n",
    "",
    "0\r\n",
    "zz\r\n\r\n",
    "-1\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhelloGET /smuggled/1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "fffffffffffffffff\r\n",
];

/// Pauses just below and just above each timeout of the server, in milliseconds.
pub(crate) fn pauses() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => select(vec![0, 0, 1, 1, 1, 100]),
        4 => select(vec![900, 1100, 1100, 2000, 2200]),
        2 => select(vec![4900, 5100, 29_000, 31_000, 61_000, 74_000, 76_000]),
        1 => 0u64..100_000,
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    let chunks = prop::collection::vec(select(vec![1, 1, 2, 3, 40, 300, 2000]), 0..4);
    prop_oneof![
        4 => (select(vec!["GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS"]), select(FIELDS))
            .prop_map(|(method, fields)| Kind::Bodyless { method, fields }),
        6 => (select(vec![1, 1, 2, 3, 40, 300, 2000, 600_000]), 0usize..=4, select(FIELDS))
            .prop_map(|(declared, quarters, fields)| {
                // Send at most 3000 units of a body that exceeds all limits: the server does not accept more.
                let sent = if quarters == 4 { declared } else { declared * quarters / 4 };
                Kind::Sized { declared, sent: sent.min(3000), fields }
            }),
        4 => (chunks, select(vec!["", "", ";a=b", ";a=\"\\\"\"", " "]), select(CHUNKED_ENDS), select(FIELDS))
            .prop_map(|(chunks, extension, end, fields)| Kind::Chunked { chunks, extension, end, fields }),
        2 => select(RAW).prop_map(Kind::Raw),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    let client = select(vec![0, 0, 0, 1]);
    let version = select(vec!["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]);
    let cuts = prop::collection::vec((0usize..=1000, pauses()), 0..4);
    let after = prop_oneof![
        24 => Just(None),
        1 => Just(Some(Step::End(0))),
        1 => Just(Some(Step::Reset(0))),
        1 => Just(Some(Step::Stall(0))),
        2 => Just(Some(Step::Read(0))),
        1 => Just(Some(Step::Stop)),
    ];
    (client, select(&Route::ALL[..]), version, kinds(), cuts, after, pauses()).prop_map(
        |(client, route, version, kind, cuts, after, pause)| {
            let after = after.map(|step| match step {
                Step::End(_) => Step::End(client),
                Step::Reset(_) => Step::Reset(client),
                Step::Stall(_) => Step::Stall(client),
                Step::Read(_) => Step::Read(client),
                other => other,
            });
            Message { client, route, version, kind, cuts, after, pause }
        },
    )
}

/// Generated settings, the defaults included.
pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let times = (
        select(vec![1000, 5000, 30_000, 30_000]),
        select(vec![0, 2000, 5000, 75_000, 75_000, 75_000]),
        select(vec![0, 1000, 30_000]),
        select(vec![3000, 30_000]),
        select(vec![5000, 60_000]),
        select(vec![1000, 30_000, 30_000]),
    );
    let sizes = (
        select(vec![100, 20_000, 16 << 20, 16 << 20]),
        select(vec![0, 64, 64 << 10, 64 << 10]),
        select(vec![4096, 256 << 10]),
        select(vec![0, 1024, 65_536]),
    );
    let others = (any::<bool>(), any::<bool>());
    let others = (times, sizes, others).prop_map(|(times, sizes, (half_close, threads))| {
        let (header_timeout, keep_alive, grace, body_idle, write_stall, linger) = times;
        let (body_limit, read_ahead, response_buffer, window) = sizes;
        Settings {
            header_timeout,
            keep_alive,
            grace,
            half_close,
            body_limit,
            read_ahead,
            body_idle,
            write_stall,
            linger,
            response_buffer,
            threads: threads && threads::ARE_THERE,
            window,
        }
    });
    prop_oneof![1 => Just(DEFAULTS), 2 => others]
}

/// Generated sequences.
pub(crate) fn sequences() -> impl Strategy<Value = Sequence> {
    (settings(), prop::collection::vec(messages(), 1..6)).prop_map(|(settings, messages)| {
        let mut steps = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            message.append_to(&mut steps, number);
        }
        Sequence { settings, steps }
    })
}

/// Bytes, or a number of repetitions of [`FILL`].
enum Part {
    Bytes(Vec<u8>),
    Units(usize),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Units(count) => count * FILL.len(),
        }
    }
}

impl Message {
    fn parts(&self, number: usize) -> Vec<Part> {
        let target = format!("{}/{number}", self.route.path());
        let version = self.version;
        match &self.kind {
            Kind::Bodyless { method, fields } => {
                vec![Part::Bytes(format!("{method} {target} {version}\r\nHost: a\r\n{fields}\r\n").into_bytes())]
            }
            Kind::Sized { declared, sent, fields } => {
                let length = declared * FILL.len();
                let head = format!("POST {target} {version}\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n");
                vec![Part::Bytes(head.into_bytes()), Part::Units(*sent)]
            }
            Kind::Chunked { chunks, extension, end, fields } => {
                let head = format!("POST {target} {version}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{fields}\r\n");
                let mut parts = vec![Part::Bytes(head.into_bytes())];
                for chunk in chunks {
                    let size = format!("{:x}{extension}\r\n", chunk * FILL.len());
                    parts.extend([Part::Bytes(size.into_bytes()), Part::Units(*chunk), Part::Bytes(b"\r\n".to_vec())]);
                }
                parts.push(Part::Bytes(end.as_bytes().to_vec()));
                parts
            }
            Kind::Raw(text) => vec![Part::Bytes(text.replace('@', &target).into_bytes())],
        }
    }

    /// Appends the steps of the request. Cuts in the fill are between units, so that the bytes after a cut look like a
    /// request.
    fn append_to(&self, steps: &mut Vec<Step>, number: usize) {
        let parts = self.parts(number);
        let length: usize = parts.iter().map(Part::len).sum();
        let mut cuts: Vec<(usize, u64)> = self.cuts.iter().map(|(at, pause)| (at * length / 1000, *pause)).collect();
        // Half of the pauses are directly after the head, where the server takes most of its decisions.
        if let Some(cut) = cuts.first_mut()
            && cut.0 % 2 == 0
        {
            cut.0 = parts[0].len();
        }
        cuts.sort_unstable();
        let mut cuts = cuts.into_iter().peekable();
        let mut at = 0;
        for part in parts {
            let (start, end) = (at, at + part.len());
            let mut done = 0;
            loop {
                let cut = cuts.next_if(|(cut, _)| *cut < end || *cut == end && end == length);
                let upto = cut.map_or(end, |(cut, _)| cut.max(start)) - start;
                match &part {
                    Part::Bytes(bytes) if upto > done => {
                        steps.push(send(self.client, &bytes[done..upto]));
                        done = upto;
                    }
                    Part::Units(_) if upto / FILL.len() > done => {
                        steps.push(fill(self.client, upto / FILL.len() - done));
                        done = upto / FILL.len();
                    }
                    _ => {}
                }
                match cut {
                    Some((_, time)) if time > 0 => steps.push(pause(time)),
                    Some(_) => {}
                    None => break,
                }
            }
            at = end;
        }
        steps.extend(self.after.clone());
        steps.extend((self.pause > 0).then(|| pause(self.pause)));
    }
}
