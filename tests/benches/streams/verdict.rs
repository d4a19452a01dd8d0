//! Compares the responses of a server with the reference.

use std::fmt;

use crate::answer::{Answer, Saw};
use crate::application::{PART, Route, digest};
use crate::reference::{Body, End, Reading, Request};
use crate::session::Session;

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The application was called; the text is its report on the body.
    Accepted(String),
    Refused(u16),
    /// The connection closed, or the read timed out.
    Unanswered,
}

/// A fault of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There are more responses than requests, or a response belongs to bytes that are no request.
    Beyond(String),
    /// The application received a different body.
    Body(String),
    /// The next request on the connection received a response that belongs to another request.
    Poisoned(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond(what) => write!(f, "answer beyond the requests: {what}"),
            Self::Body(what) => write!(f, "body differs: {what}"),
            Self::Poisoned(what) => write!(f, "connection poisoned: {what}"),
        }
    }
}

/// The state of the connection after the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The probe was answered.
    Usable,
    /// The server closed the connection, before the probe or after it.
    Closed,
    /// The stream ended within a request, and the probe became a part of that request.
    Within,
}

#[derive(Debug)]
pub(crate) struct Verdict {
    /// The outcomes of the requests in the stream, without the probe.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) fault: Option<Fault>,
    pub(crate) after: After,
    pub(crate) answers: usize,
}

/// Compares the responses with the requests in order.
pub(crate) fn judge(session: &Session, stream: u64) -> Verdict {
    let (reading, answers) = (&session.reading, &session.answers);
    let mut outcomes = vec![Outcome::Unanswered; reading.requests.len()];
    let mut fault = None;
    let mut is_over = false;
    for (at, answer) in answers.iter().enumerate() {
        let found = match reading.requests.get(at) {
            _ if is_over => Some(format!("{} after the last request", show(answer))),
            None if may_refuse(reading) && answer.saw.is_none() => {
                is_over = true;
                None
            }
            None => Some(format!("{} where there is no request", show(answer))),
            Some(request) => {
                is_over = request.body == Body::Broken || request.method == b"CONNECT" && answer.status / 100 == 2;
                match hold(request, answer, stream) {
                    Ok(outcome) => {
                        outcomes[at] = outcome;
                        None
                    }
                    Err(Mismatch::Other(what)) => Some(what),
                    Err(Mismatch::Body(outcome, what)) => {
                        outcomes[at] = outcome;
                        fault.get_or_insert(Fault::Body(what));
                        None
                    }
                }
            }
        };
        if let Some(what) = found {
            let is_own = answer.saw.as_ref().is_some_and(|saw| saw.path == format!("/probe/{stream}.p").as_bytes());
            let is_poisoned = !is_own && session.probed_after.is_some_and(|before| at >= before);
            fault.get_or_insert(if is_poisoned { Fault::Poisoned(what) } else { Fault::Beyond(what) });
            break;
        }
    }
    let is_probe = |request: &Request| request.path.starts_with(b"/probe/");
    let after = match (session.probed_after, reading.requests.last()) {
        (Some(_), Some(last)) if is_probe(last) => match outcomes.last() {
            Some(Outcome::Accepted(_)) => After::Usable,
            _ => After::Closed,
        },
        (Some(_), _) if reading.end == End::Within => After::Within,
        _ => After::Closed,
    };
    if reading.requests.last().is_some_and(is_probe) {
        outcomes.pop();
    }
    Verdict { outcomes, fault, after, answers: answers.len() }
}

/// Whether the server may send one more response that refuses the bytes after the last request.
fn may_refuse(reading: &Reading) -> bool {
    reading.most_answers() > reading.requests.len()
}

enum Mismatch {
    Other(String),
    Body(Outcome, String),
}

/// Compares a response with its request.
fn hold(request: &Request, answer: &Answer, stream: u64) -> Result<Outcome, Mismatch> {
    let Some(saw) = &answer.saw else {
        return Ok(match answer.status {
            // The route fails on purpose with status 500; status 0 is a response by HTTP/0.9.
            500 if Route::of(&request.path) == Route::Fails => Outcome::Accepted("fails".to_owned()),
            0 | 200..400 => Outcome::Accepted("?".to_owned()),
            status => Outcome::Refused(status),
        });
    };
    let own = (request.method.as_slice(), mark(&request.path, &request.query, stream));
    let seen = (saw.method.as_bytes(), mark(&saw.path, &saw.query, stream));
    // Some servers convert the method to upper case.
    if !own.0.eq_ignore_ascii_case(seen.0) || own.1 != seen.1 {
        return Err(Mismatch::Other(format!("{} for a request of {}", show(answer), text(&request.path))));
    }
    let accepted = Outcome::Accepted(saw.body.clone());
    let expected = match (&request.body, Route::of(&saw.path)) {
        (_, Route::Unread | Route::Fails) => "-".to_owned(),
        (Body::Broken, Route::Part) => return Ok(accepted),
        (Body::Broken, Route::Whole) => "no end of the body".to_owned(),
        (Body::Whole(body), Route::Part) => digest(&body[..body.len().min(PART)]),
        (Body::Whole(body), Route::Whole) => digest(body),
    };
    if saw.body == expected {
        return Ok(accepted);
    }
    Err(Mismatch::Body(accepted, format!("{} was read of {}, instead of {expected}", saw.body, text(&request.path))))
}

/// The part of the target that identifies a request in a stream, in a form that does not depend on how a server
/// normalises targets.
fn mark(path: &[u8], query: &[u8], stream: u64) -> (bool, Option<u8>) {
    let whole = [path, b"?", query].concat();
    let find = |what: &[u8]| whole.windows(what.len()).position(|window| window == what);
    let number = format!("/{stream}.");
    let place = find(number.as_bytes()).and_then(|at| whole.get(at + number.len()).copied());
    (find(b"smuggled").is_some(), place)
}

fn show(answer: &Answer) -> String {
    match &answer.saw {
        Some(Saw { method, path, body, .. }) => format!("{} of {method} {} {body}", answer.status, text(path)),
        None => answer.status.to_string(),
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
