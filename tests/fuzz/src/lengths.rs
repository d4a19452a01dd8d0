//! A declared length, any bytes beside it, and the end of the message on the wire (HTTP-01 to HTTP-04, HTTP-09 to
//! HTTP-14, ERR-04, ERR-05).
//!
//! Threads: the caller's.

use std::sync::{LazyLock, Mutex, PoisonError};

use arbitrary::{Arbitrary, Unstructured};
use gateway::testing::Inline;
use gateway::{Chunks, Environ, Gateway, StartResponse, application_fn};

use crate::answer::parse_all;
use crate::server::{App, Pieces, exchange, serving};

/// What the application does with its first request.
#[derive(Debug, Clone, Arbitrary)]
struct Script {
    status: u8,
    declared: Option<u8>,
    is_head: bool,
    is_http10: bool,
    written: Vec<u8>,
    /// Writes go on after one that failed.
    ignores_errors: bool,
    chunks: Vec<u8>,
    kind: Kind,
    /// The iteration fails at its end.
    fails: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Kind {
    Iterator,
    List,
    Known,
}

const STATUSES: [u16; 5] = [200, 404, 204, 304, 205];

impl Script {
    fn status(&self) -> u16 {
        STATUSES[usize::from(self.status) % STATUSES.len()]
    }
}

static SCRIPT: Mutex<Option<Script>> = Mutex::new(None);
/// One run at a time: the application has its script from `SCRIPT`.
static TURN: Mutex<()> = Mutex::new(());

/// Bytes by which a part is known: each has its position.
fn bytes(from: &mut usize, count: u8) -> Vec<u8> {
    let part = (*from..*from + usize::from(count)).map(|at| b'a' + u8::try_from(at % 26).unwrap_or_default());
    let part = part.collect();
    *from += usize::from(count);
    part
}

fn respond<'r>(environ: &mut Environ, start_response: &StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
    let script = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(script) = script.filter(|_| environ.path_info() == "/first") else {
        start_response("200 OK", &[])?;
        return Ok(Chunks::new(["second"]));
    };
    let length = script.declared.map(|length| length.to_string());
    let fields: Vec<_> = length.iter().map(|length| ("Content-Length", &**length)).collect();
    let write = start_response(&format!("{} X", script.status()), &fields)?;
    let mut at = 0;
    for count in &script.written {
        let sent = write.send(bytes(&mut at, *count));
        if !script.ignores_errors {
            sent?;
        }
    }
    let chunks: Vec<Vec<u8>> = script.chunks.iter().map(|count| bytes(&mut at, *count)).collect();
    let failure = || gateway::Error::from(std::io::Error::other("the application fails"));
    Ok(match script.kind {
        Kind::Known if !script.fails => Chunks::known(chunks)?,
        Kind::List if !script.fails => Chunks::new(chunks),
        _ => {
            let end = script.fails.then(|| Err(failure()));
            Chunks::new(chunks.into_iter().map(Ok).chain(end))
        }
    })
}

static APP: LazyLock<App> = LazyLock::new(|| {
    let app = application_fn(|environ, start_response: StartResponse<'_>| respond(environ, &start_response));
    serving(Gateway::new(app).executor(Inline::new()))
});

pub(crate) fn check(input: &[u8]) {
    let Ok(script) = Script::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    *SCRIPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(script.clone());
    let method = if script.is_head { "HEAD" } else { "GET" };
    let version = if script.is_http10 { "1.0" } else { "1.1" };
    let requests = format!("{method} /first HTTP/{version}\r\nHost: h\r\n\r\nGET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    let received = exchange(&APP, requests.as_bytes(), Pieces::whole());
    let answers = parse_all(&received.bytes, &[script.is_head]);
    let (first, others) = answers.split_first().unwrap_or_else(|| panic!("no answer to {script:?}"));

    let mut offered = Vec::new();
    for count in script.written.iter().chain(&script.chunks) {
        let mut at = offered.len();
        offered.extend(bytes(&mut at, *count));
    }
    let written: usize = script.written.iter().map(|count| usize::from(*count)).sum();
    let declared = script.declared.map(usize::from);
    let has_body = !script.is_head && !matches!(script.status(), 204 | 205 | 304);
    let is_whole = first.is_complete && !(first.ends_with_connection && received.is_reset);
    if first.status == 500 && script.status() != 500 {
        // A failure that was known before a byte was sent.
        assert!(is_whole, "{script:?}");
        let contradicts = declared.is_some_and(|declared| declared != offered.len());
        assert!(script.fails || contradicts, "{first:?} {script:?}");
        assert!(script.written.is_empty(), "the head was sent: {script:?}");
    } else {
        assert_eq!(first.status, script.status(), "{script:?}");
        if !has_body {
            assert!(first.body.is_empty() && is_whole, "{script:?}");
        } else if is_whole {
            let wanted = &offered[..declared.unwrap_or(offered.len()).min(offered.len())];
            assert_eq!(first.body, wanted, "{script:?}");
            assert!(declared.is_none_or(|declared| declared <= offered.len()), "{script:?}");
            // A message is whole only if nothing failed before its last byte.
            assert!(!script.fails || declared.is_some_and(|declared| declared <= offered.len()), "{script:?}");
        } else {
            assert!(offered.starts_with(&first.body), "{script:?}");
            let is_long = declared.is_some_and(|declared| written > declared);
            let is_short = declared.is_some_and(|declared| offered.len() < declared);
            assert!(script.fails || is_long || is_short, "{first:?} {script:?}");
        }
        // HTTP-04.
        match first.status {
            204 => assert_eq!(first.value("content-length"), None, "{script:?}"),
            205 => assert_eq!(first.value("content-length"), Some(&b"0"[..]), "{script:?}"),
            _ => {}
        }
        assert!(has_body || first.value("transfer-encoding").is_none(), "{script:?}");
    }
    // The next request has its own answer, or none if the connection had to end.
    assert!(others.len() < 2, "{script:?}");
    if let [second] = others {
        assert!(is_whole && !script.is_http10, "{script:?}");
        assert_eq!((second.status, &*second.body, second.is_complete), (200, &b"second"[..], true), "{script:?}");
    } else {
        let closes = first.value("connection") == Some(b"close");
        assert!(script.is_http10 || !is_whole || closes, "no second answer after {first:?}: {script:?}");
    }
}
