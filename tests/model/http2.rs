//! Rules for HTTP/2.

use std::collections::BTreeMap;

use crate::applications::Route;
use crate::endings::lingering_ends;
use crate::frames::{self, Frame, PREFACE, Received};
use crate::rules::{Broken, Result, SLACK, broken};
use crate::sequence::{FILL, Settings};
use crate::stage::{Conversation, Record, longest_life};

/// A request in the client's frames.
#[derive(Debug)]
struct Request {
    route: Route,
    method: &'static str,
    at: u64,
    body: usize,
    /// When the client had sent the whole request.
    complete: Option<u64>,
    /// When the client reset the stream.
    reset: Option<u64>,
}

/// The meaning of the client's frames, up to the first frame after which a server must end the connection.
struct Reading {
    requests: BTreeMap<u32, Request>,
    /// When the client caused a connection error.
    fault: Option<u64>,
    /// The client has sent a frame that a server may treat as a stream error or as a connection error.
    is_doubtful: bool,
    /// The largest initial window of a stream, and the increments for the connection and for each stream.
    window: u32,
    more: BTreeMap<u32, u64>,
}

/// What a frame means for its connection.
enum Meaning {
    Plain,
    Doubtful,
    Fault,
}

fn read(frames: &[(u64, Frame)]) -> Reading {
    let mut reading =
        Reading { requests: BTreeMap::new(), fault: None, is_doubtful: false, window: 65_535, more: BTreeMap::new() };
    let (mut preface, mut has_settings) = (0, false);
    for (at, frame) in frames {
        let last = reading.requests.keys().next_back().copied().unwrap_or(0);
        let meaning = match frame {
            Frame::Preface(from, to) if *from == preface && !has_settings => {
                preface = *to;
                Meaning::Plain
            }
            Frame::Preface(..) => Meaning::Fault,
            _ if preface < PREFACE.len() => Meaning::Fault,
            Frame::Settings(window) => {
                has_settings = true;
                reading.window = reading.window.max(*window);
                Meaning::Plain
            }
            // §3.4: SETTINGS is the first frame.
            _ if !has_settings => Meaning::Doubtful,
            _ => Meaning::Plain,
        };
        let meaning = match (meaning, frame) {
            (Meaning::Fault, _) => Meaning::Fault,
            // §8.1: trailers have no pseudo-fields, and end the stream.
            (_, Frame::Headers(stream, ..)) if reading.requests.contains_key(stream) => Meaning::Doubtful,
            // An earlier stream error may have closed this stream, too.
            (_, Frame::Headers(stream, ..)) if *stream <= last && reading.is_doubtful => Meaning::Doubtful,
            // §5.1.1: stream identifiers increase.
            (_, Frame::Headers(stream, ..)) if *stream <= last => Meaning::Fault,
            (meaning, Frame::Headers(stream, method, route, is_end)) => {
                let complete = is_end.then_some(*at);
                let request = Request { route: *route, method, at: *at, body: 0, complete, reset: None };
                reading.requests.insert(*stream, request);
                meaning
            }
            (meaning, Frame::Data(stream, count, is_end)) => match reading.requests.get_mut(stream) {
                Some(request) if request.complete.is_none() && request.reset.is_none() => {
                    request.body += count * FILL.len();
                    request.complete = is_end.then_some(*at);
                    meaning
                }
                // §5.1: the stream is closed, and the reaction depends on how it was closed.
                _ if *stream <= last => Meaning::Doubtful,
                _ => Meaning::Fault,
            },
            (_, Frame::Window(stream, _) | Frame::Reset(stream)) if *stream > last => Meaning::Fault,
            (meaning, Frame::Window(stream, more)) => {
                *reading.more.entry(*stream).or_default() += u64::from(*more);
                meaning
            }
            (meaning, Frame::Reset(stream)) => {
                if let Some(request) = reading.requests.get_mut(stream) {
                    request.reset.get_or_insert(*at);
                }
                meaning
            }
            (meaning, _) => meaning,
        };
        match meaning {
            Meaning::Plain => {}
            Meaning::Doubtful => reading.is_doubtful = true,
            Meaning::Fault => {
                reading.fault = Some(*at);
                break;
            }
        }
    }
    reading
}

/// The server's frames on one stream.
#[derive(Debug, Default)]
struct Answer {
    status: Option<u16>,
    body: Vec<u8>,
    at: u64,
    /// When the server sent `END_STREAM`, and when it sent `RST_STREAM` instead.
    ended: Option<u64>,
    reset: Option<u64>,
}

/// Whether the client has sent a complete body of this length to this target.
pub(crate) fn has_body(conversation: &Conversation, target: &str, length: usize) -> bool {
    let reading = read(&conversation.frames);
    let is_request = |(stream, request): (&u32, &Request)| {
        frames::target(request.route, *stream) == target && request.complete.is_some() && request.body == length
    };
    // After a stream error, the body may end elsewhere.
    reading.is_doubtful || reading.requests.iter().any(is_request)
}

/// # Errors
///
/// The run broke a rule. The first one is returned.
pub(crate) fn check(settings: &Settings, record: &Record, number: usize, conversation: &Conversation) -> Result {
    let reading = read(&conversation.frames);
    let case = Case { settings, record, conversation, reading };
    case.only_requests_are_called(number)?;
    let frames = frames::received(&conversation.wire.received);
    let answers = case.answers(&frames)?;
    for (stream, answer) in &answers {
        case.an_answer_is_meant(*stream, answer)?;
    }
    case.windows_are_kept(&answers)?;
    case.pings_are_answered(&frames)?;
    case.requests_are_answered(&answers)?;
    case.the_connection_ends(&answers)?;
    case.the_end_has_a_reason(&answers)
}

struct Case<'r> {
    settings: &'r Settings,
    record: &'r Record,
    conversation: &'r Conversation,
    reading: Reading,
}

impl Case<'_> {
    fn only_requests_are_called(&self, number: usize) -> Result {
        let mut called: Vec<&str> = Vec::new();
        for call in self.record.calls.iter().filter(|call| call.connection == number) {
            let mut requests = self.reading.requests.iter();
            let is_request = requests.any(|(stream, request)| {
                frames::target(request.route, *stream) == call.target && request.at <= call.at
            });
            if !is_request || called.contains(&call.target.as_str()) {
                return broken("no byte of a body is a request", format!("{call:?} was called on HTTP/2"));
            }
            called.push(&call.target);
        }
        Ok(())
    }

    fn answers(&self, frames: &[Received]) -> std::result::Result<BTreeMap<u32, Answer>, Broken> {
        let mut answers: BTreeMap<u32, Answer> = BTreeMap::new();
        for frame in frames {
            let at = self.received_at(frame.at_end);
            let answer = match frame.stream {
                0 => continue,
                // §5.4.2: a server may reset a stream that the client never opened.
                stream if frame.kind == 3 && !self.reading.requests.contains_key(&stream) => continue,
                stream if !self.reading.requests.contains_key(&stream) => {
                    broken("never more answers than requests", format!("{frame:?} answers none"))?;
                    continue;
                }
                stream => answers.entry(stream).or_default(),
            };
            let is_over = answer.ended.is_some() || answer.reset.is_some();
            match frame.kind {
                0 | 1 if is_over => broken("nothing follows the end of a stream", format!("{frame:?}"))?,
                1 if answer.status.is_some() => {
                    broken("never more answers than requests", format!("{frame:?} is another one"))?;
                }
                1 => (answer.status, answer.at) = (Some(frame.status()), at),
                0 => answer.body.extend_from_slice(&frame.payload),
                3 => answer.reset = Some(at),
                _ => {}
            }
            if frame.kind <= 1 && frame.flags & 1 == 1 {
                answer.ended = Some(at);
            }
        }
        Ok(answers)
    }

    fn an_answer_is_meant(&self, stream: u32, answer: &Answer) -> Result {
        let Some(request) = self.reading.requests.get(&stream) else { return Ok(()) };
        let wrong = |rule| {
            let body = answer.body[..answer.body.len().min(40)].escape_ascii();
            let Answer { status, ended, reset, .. } = answer;
            let count = answer.body.len();
            broken(
                rule,
                format!("stream {stream}: {status:?}, ended {ended:?}, reset {reset:?}, {count} bytes: {body}"),
            )
        };
        let is_failing = matches!(request.route, Route::Fail | Route::Panic);
        match answer.status {
            Some(500) if is_failing => return Ok(()),
            Some(500) => return wrong("a status has its reason"),
            Some(200) if is_failing => return wrong("a status has its reason"),
            Some(200) if request.method != "HEAD" => {}
            _ => return Ok(()),
        }
        let body = FILL.repeat(request.body / FILL.len());
        match request.route.answer(&frames::target(request.route, stream), &body) {
            None if answer.ended.is_some() => wrong("an answer that failed is visibly aborted"),
            Some(_) if self.reading.is_doubtful => Ok(()),
            Some(meant) if answer.ended.is_some() && answer.body != meant => {
                wrong("an answer that looks complete is what was meant")
            }
            Some(meant) if !meant.starts_with(&answer.body) => wrong("what is sent of an answer is what was meant"),
            _ => Ok(()),
        }
    }

    fn windows_are_kept(&self, answers: &BTreeMap<u32, Answer>) -> Result {
        let room = |stream: u32, first: u64| first + self.reading.more.get(&stream).copied().unwrap_or(0);
        let sent = |answer: &Answer| answer.body.len() as u64;
        let first = u64::from(self.reading.window);
        let exceeds = answers.iter().find(|(stream, answer)| sent(answer) > room(**stream, first));
        if let Some((stream, answer)) = exceeds {
            return broken("a window is not exceeded", format!("{} bytes on stream {stream}", answer.body.len()));
        }
        let all: u64 = answers.values().map(sent).sum();
        match all > room(0, 65_535) {
            true => broken("a window is not exceeded", format!("{all} bytes on the connection")),
            false => Ok(()),
        }
    }

    fn pings_are_answered(&self, frames: &[Received]) -> Result {
        let answered = frames.iter().filter(|frame| frame.kind == 6 && frame.flags & 1 == 1).count();
        let over = self.conversation.wire.over().unwrap_or(u64::MAX);
        // The pings that the client sent well before the connection ended.
        let due =
            self.conversation.frames.iter().filter(|(at, frame)| *frame == Frame::Ping && at + 100 < over).count();
        let all = self.conversation.frames.iter().filter(|(_, frame)| *frame == Frame::Ping).count();
        if answered > all || self.is_plain() && answered < due {
            return broken("each PING is answered once", format!("{answered} of {due}"));
        }
        Ok(())
    }

    /// The client has obeyed the protocol, has always read, and has neither ended its side nor reset the connection.
    fn is_plain(&self) -> bool {
        let Conversation { ended, reset, stalls, frames, .. } = self.conversation;
        let leaves = frames.iter().any(|(_, frame)| *frame == Frame::GoAway);
        let is_faultless = self.reading.fault.is_none() && !self.reading.is_doubtful;
        is_faultless && ended.is_none() && reset.is_none() && stalls.is_empty() && !leaves
    }

    fn requests_are_answered(&self, answers: &BTreeMap<u32, Answer>) -> Result {
        if !self.is_plain() {
            return Ok(());
        }
        let over = self.conversation.wire.over().unwrap_or(u64::MAX);
        for (stream, request) in &self.reading.requests {
            let Some(complete) = request.complete else { continue };
            let due = complete + request.route.duration() + 200;
            let stop = self.record.stop_asked;
            // A request that began before the shutdown is completed within the grace period.
            let is_graced = complete < stop && due < stop.saturating_add(self.settings.grace) && request.at + 2 < over;
            let is_due = request.reset.is_none() && (due < over.min(stop) || stop <= due && is_graced);
            let has = answers.get(stream).is_some_and(|answer| answer.status.is_some() || answer.reset.is_some());
            if is_due && !has {
                return broken("a complete request is answered", format!("stream {stream} was not by {due} ms"));
            }
        }
        Ok(())
    }

    /// The time of the last event of any request, whether there was a request, and whether all requests have ended.
    fn last_of_requests(&self, answers: &BTreeMap<u32, Answer>, with_uploads: bool) -> (u64, bool, bool) {
        let mut last = self.conversation.opened;
        let (mut is_any, mut all_ended) = (false, true);
        let over = self.conversation.wire.over().unwrap_or(u64::MAX);
        for (stream, request) in self.reading.requests.iter().filter(|(_, request)| request.at <= over) {
            let answer = answers.get(stream);
            // When the server has passed a complete answer to h2, h2 holds it until the window opens. A reset then does
            // not count as a new event.
            let reset = request.reset.filter(|_| with_uploads || answer.is_none());
            let ended = answer.and_then(|answer| answer.ended.or(answer.reset)).or(reset);
            is_any = true;
            all_ended &= ended.is_some();
            last = last.max(request.at).max(ended.unwrap_or(0));
            // Frames on a reset stream do not count. Frames after an answer may count.
            if answer.is_none() || with_uploads && answer.is_none_or(|answer| answer.reset.is_none()) {
                last = last.max(request.complete.unwrap_or(0).min(over));
            }
        }
        (last, is_any, all_ended)
    }

    /// Frames that belong to no request do not keep a connection open: it ends in bounded time after its last request.
    fn the_connection_ends(&self, answers: &BTreeMap<u32, Answer>) -> Result {
        let Settings { header_timeout, keep_alive, .. } = *self.settings;
        let keep_alive = if keep_alive == 0 { header_timeout } else { keep_alive };
        let (last, is_any, all_ended) = self.last_of_requests(answers, true);
        let wait = if is_any { keep_alive.max(header_timeout) } else { header_timeout };
        // The connection has one second to end by itself.
        let (rule, longest) = match (is_any, all_ended) {
            (false, _) => ("a connection without a request ends in time", wait + 1000 + 100),
            (true, true) => ("an idle connection ends in time", wait + 1000 + 100),
            (true, false) => ("every connection ends in bounded time", longest_life(self.settings)),
        };
        let stalls = !self.conversation.stalls.is_empty();
        let longest = longest + if stalls { self.settings.write_stall + 5000 } else { 0 };
        let last = if all_ended { last } else { self.conversation.frames.last().map_or(last, |(at, _)| last.max(*at)) };
        match (self.conversation.wire.over(), self.conversation.wire.dropped) {
            (Some(over), Some(_)) if over <= last + longest => lingering_ends(self.settings, self.conversation),
            (over, dropped) => broken(rule, format!("{over:?}, {dropped:?}, the last request at {last} ms")),
        }
    }

    fn the_end_has_a_reason(&self, answers: &BTreeMap<u32, Answer>) -> Result {
        let Some(over) = self.conversation.wire.over() else { return Ok(()) };
        let Settings { header_timeout, keep_alive, write_stall, .. } = *self.settings;
        let keep_alive = if keep_alive == 0 { header_timeout } else { keep_alive };
        if !self.is_plain() || self.record.stop_asked <= over {
            return Ok(());
        }
        let (last, is_any, all_ended) = self.last_of_requests(answers, false);
        let wait = match (is_any, all_ended) {
            (false, _) => header_timeout,
            (true, true) => keep_alive,
            (true, false) => keep_alive.min(write_stall).min(self.settings.body_idle).min(20_000),
        };
        match over.saturating_sub(last) + SLACK >= wait {
            true => Ok(()),
            false => broken(
                "a connection ends for a reason, and says so before",
                format!("HTTP/2 ended at {over} ms, the last request at {last} ms"),
            ),
        }
    }

    fn received_at(&self, count: usize) -> u64 {
        let stamps = &self.conversation.wire.stamps;
        stamps.iter().find(|(_, received)| *received >= count).map_or(u64::MAX, |(at, _)| *at)
    }
}
