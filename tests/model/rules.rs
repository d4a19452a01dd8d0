//! Rules that every run must obey, whatever its clients do.

use std::fmt;

use crate::answers::{self, Answer, End};
use crate::applications::{Call, Route};
use crate::http2;
use crate::reference::{self, Reading, Request, Tail};
use crate::sequence::{Sequence, Settings};
use crate::stage::{Conversation, Record};

/// The tolerance for times in a run, in milliseconds.
pub(crate) const SLACK: u64 = 20;

/// A rule that a run has broken, with the details.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.how)
    }
}

pub(crate) type Result = std::result::Result<(), Broken>;

pub(crate) fn broken(rule: &'static str, how: impl Into<String>) -> Result {
    Err(Broken { rule, how: how.into() })
}

/// # Errors
///
/// The run broke a rule. The first one is returned.
pub(crate) fn check(sequence: &Sequence, record: &Record) -> Result {
    let settings = &sequence.settings;
    if let Some(panic) = &record.panic {
        return broken("nothing panics but applications", panic);
    }
    for (number, conversation) in record.conversations.iter().enumerate() {
        let Some(conversation) = conversation else { continue };
        let said = |Broken { rule, how }| Broken { rule, how: format!("client {number}: {how}") };
        if !conversation.frames.is_empty() {
            http2::check(settings, record, number, conversation).map_err(said)?;
            continue;
        }
        let calls: Vec<&Call> = record.calls.iter().filter(|call| call.connection == number).collect();
        let reading = reference::read(&conversation.sent);
        let case = Case { settings, record, conversation, reading, calls };
        case.check().map_err(said)?;
    }
    let grace = settings.grace + 1000 + SLACK;
    match record.stopped {
        None => return broken("a stop ends", "the server still runs"),
        Some(at) if at.saturating_sub(record.stopping) > grace => {
            return broken("a stop takes at most its grace and a second", format!("{} ms", at - record.stopping));
        }
        Some(_) => {}
    }
    for (connection, target, read) in &record.bodies {
        let conversation = record.conversations.get(*connection).and_then(Option::as_ref);
        let is_whole = conversation.is_some_and(|conversation| match conversation.frames.is_empty() {
            true => reference::read(&conversation.sent)
                .requests
                .iter()
                .any(|request| request.target == *target && request.is_complete && request.body.len() == *read),
            false => http2::has_body(conversation, target, *read),
        });
        if !is_whole {
            return broken("a body that breaks off is not taken for whole", format!("{target} has read {read} bytes"));
        }
    }
    if record.opened != record.closed {
        return broken("every body is closed once", format!("{} opened, {} closed", record.opened, record.closed));
    }
    if record.threads_left > 0 {
        return broken("no application waits for a connection that has ended", format!("{} do", record.threads_left));
    }
    if record.tasks_left > 0 {
        return broken("no task outlives its connection for long", format!("{} left", record.tasks_left));
    }
    Ok(())
}

/// One connection of a run.
pub(crate) struct Case<'r> {
    pub(crate) settings: &'r Settings,
    pub(crate) record: &'r Record,
    pub(crate) conversation: &'r Conversation,
    pub(crate) reading: Reading,
    calls: Vec<&'r Call>,
}

impl Case<'_> {
    fn check(&self) -> Result {
        let answers = answers::read(&self.conversation.wire.received, |at| {
            self.reading.requests.get(at).is_some_and(|request| request.method == "HEAD")
        });
        let answers = match answers {
            Ok(answers) => answers,
            Err(how) => return broken("what comes back is HTTP", how),
        };
        self.only_requests_are_called()?;
        self.answers_are_to_requests(&answers)?;
        for (at, answer) in answers.iter().enumerate() {
            if let Some(request) = self.reading.requests.get(at) {
                self.an_answer_is_meant(at, request, answer)?;
            }
            let is_last = at + 1 == answers.len();
            if answer.end != End::Complete && !is_last {
                return broken("nothing follows an answer that is not complete", format!("{answer:?}"));
            }
            if answer.closes && (!is_last || self.calls.len() > at + 1) {
                return broken("nothing follows an answer that says to close", format!("{answer:?}"));
            }
        }
        self.the_connection_ends()?;
        self.waiting_ends_in_time(&answers)?;
        self.the_end_has_a_reason(&answers)?;
        self.requests_are_answered(&answers)?;
        self.no_answer_is_lost(&answers)
    }

    /// No byte of a body, and no byte after ambiguous bytes, is treated as a request.
    fn only_requests_are_called(&self) -> Result {
        for (at, call) in self.calls.iter().enumerate() {
            match self.reading.requests.get(at) {
                None => return broken("no byte of a body is a request", format!("{call:?} was called")),
                Some(request) if request.target != call.target => {
                    return broken("requests are called in order", format!("{call:?} instead of {}", request.target));
                }
                Some(request) if self.sent_at(request.head.end).is_none_or(|sent| sent > call.at) => {
                    return broken("a request is called once its head is there", format!("{call:?}"));
                }
                Some(_) => {}
            }
            if at > 0 && self.reading.requests[at - 1].closes {
                return broken("nothing follows a request that ends the connection", format!("{call:?}"));
            }
        }
        Ok(())
    }

    /// There are never more answers than requests, and answers are in the order of the requests. Ambiguous bytes may
    /// get one answer at the end.
    fn answers_are_to_requests(&self, answers: &[Answer]) -> Result {
        for (at, answer) in answers.iter().enumerate() {
            let request = self.reading.requests.get(at);
            let Some(id) = &answer.id else {
                let is_refusable = match request {
                    Some(request) => !request.refusals.is_empty(),
                    None => at == self.reading.requests.len() && self.has_ambiguous_bytes(),
                };
                if !is_refusable || answer.status < 400 {
                    return broken("never more answers than requests", format!("{answer:?} answers none"));
                }
                continue;
            };
            if request.is_none_or(|request| request.target != *id) {
                return broken("answers come in the order of their requests", format!("{answer:?} is number {at}"));
            }
            let is_read = Route::of(id).is_some_and(Route::reads_at_all);
            let limit = self.settings.body_limit;
            let asks = request.is_some_and(|request| {
                let is_refused = Route::of(id).is_some_and(Route::is_blocking) && request.declared > Some(limit);
                request.expects && is_read && !is_refused
            });
            if answer.interim > usize::from(asks) {
                return broken(
                    "100 Continue is for a client that waits for it and a body that is read",
                    format!("{answer:?}"),
                );
            }
        }
        Ok(())
    }

    fn has_ambiguous_bytes(&self) -> bool {
        matches!(self.reading.tail, Tail::Broken(_) | Tail::PartialHead(_))
    }

    /// Whether a body was completed only after the server's body timeout. The answer may then report the timeout,
    /// although a client that did not read receives the answer later. The async routes wait for 20 seconds.
    fn came_late(&self, at: usize, request: &Request) -> bool {
        let Some((head, complete)) = self.sent_at(request.head.end).zip(self.complete_at(at)) else { return false };
        complete >= head + self.settings.body_idle.min(20_000)
    }

    /// An answer that looks complete is the application's own; an answer that the application did not complete is
    /// visibly aborted.
    fn an_answer_is_meant(&self, at: usize, request: &Request, answer: &Answer) -> Result {
        let wrong = |rule| broken(rule, format!("{} {} got {answer:?}", request.method, request.target));
        let Some(route) = Route::of(&request.target) else { return Ok(()) };
        let answered = self.received_at(answer.head_end);
        let is_complete = self.complete_at(at).is_some_and(|complete| complete <= answered);
        let is_broken = matches!(self.reading.tail, Tail::BrokenBody(_)) && at + 1 == self.reading.requests.len();
        let too_large = request.declared.unwrap_or(request.body.len() as u64) > self.settings.body_limit;
        let may_be = match answer.status {
            200 => !(route.is_blocking() && too_large && request.declared.is_some()),
            400 => request.refusals.contains(&400) || is_broken || !is_complete,
            408 => !is_complete || self.came_late(at, request),
            413 => too_large,
            500 => matches!(route, Route::Fail | Route::Panic),
            501 => request.refusals.contains(&501),
            503 => self.record.stop_asked <= answered,
            _ => false,
        };
        if !may_be {
            return wrong("a status has its reason");
        }
        if self.settings.keep_alive == 0 && !answer.closes {
            return wrong("without keep-alive, each answer says to close");
        }
        if answer.status != 200 || request.method == "HEAD" {
            return Ok(());
        }
        let wire = &self.conversation.wire;
        let looks_complete = match answer.end {
            End::Complete => true,
            End::WithConnection if !request.http10 => return wrong("an answer on HTTP/1.1 has a length"),
            End::WithConnection if !answer.closes => {
                return wrong("an answer without a length says that it ends the connection");
            }
            // An orderly shutdown and a drop of the connection count alike.
            End::WithConnection => {
                !wire.reset && wire.dropped.is_some_and(|dropped| dropped.unread == 0) && self.takes_all()
            }
            End::Partial => false,
        };
        let Some(meant) = route.answer(&request.target, &request.body) else {
            return if looks_complete { wrong("an answer that failed is visibly aborted") } else { Ok(()) };
        };
        if looks_complete && answer.body != meant {
            return wrong("an answer that looks complete is what was meant");
        }
        if looks_complete
            && is_broken
            && matches!(route, Route::Read | Route::Echo | Route::AsyncRead | Route::AsyncEcho)
        {
            return wrong("a body that is broken is not taken for complete");
        }
        if !meant.starts_with(&answer.body) {
            return wrong("what is sent of an answer is what was meant");
        }
        Ok(())
    }

    /// A complete request on an open connection is answered as soon as its application has an answer.
    fn requests_are_answered(&self, answers: &[Answer]) -> Result {
        let at = answers.len();
        let (Some(request), Some(complete)) = (self.reading.requests.get(at), self.complete_at(at)) else {
            return Ok(());
        };
        if answers.last().is_some_and(|last| last.closes || last.end != End::Complete) || at > 0 && self.closes(at - 1)
        {
            return Ok(());
        }
        // A body that its handler keeps blocks the next request.
        if at > 0 && self.is_kept(at - 1) {
            return Ok(());
        }
        let before = answers.last().map_or(self.conversation.opened, |last| self.received_at(last.at_end));
        let due = complete.max(before) + Route::of(&request.target).map_or(0, Route::duration) + 100;
        let Conversation { ended, reset, stalls, wire, .. } = self.conversation;
        let is_gone = |at: &Option<u64>| at.is_some_and(|at| at <= due);
        let gave_up = is_gone(reset) || is_gone(ended) && !self.settings.half_close;
        let stalled = stalls.iter().any(|(start, end)| *start <= due && end.is_none_or(|end| end + SLACK >= before));
        let over = wire.over().unwrap_or(u64::MAX);
        let Record { stop_asked, .. } = *self.record;
        // Within the grace period, the server completes a request that an application has, and a partial head.
        let start = if at == 0 { 0 } else { self.reading.requests[at - 1].end };
        let begun = self.sent_at(self.begun(start)).unwrap_or(u64::MAX);
        let in_time = self.sent_at(request.head.end).is_some_and(|sent| sent < begun + self.settings.header_timeout);
        let has_begun = begun < stop_asked && before < stop_asked && in_time;
        let is_graced = has_begun && due < stop_asked.saturating_add(self.settings.grace);
        // An answer that fails may be aborted before its first byte.
        let aborts = matches!(Route::of(&request.target), Some(Route::FailLate | Route::AsyncFailLate));
        let is_cut = match stop_asked <= due.min(over) {
            true => !is_graced || aborts,
            false => over <= due,
        };
        if gave_up || stalled || is_cut {
            return Ok(());
        }
        broken("a complete request is answered", format!("{} was not by {due} ms", request.target))
    }

    /// The number of bytes up to the first byte of a head after this offset. Empty lines do not start a head.
    pub(crate) fn begun(&self, start: usize) -> usize {
        let rest = self.conversation.sent.get(start..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        start.saturating_add(blank + 1)
    }

    /// The client has always read.
    pub(crate) fn takes_all(&self) -> bool {
        self.conversation.stalls.is_empty()
    }

    /// When the client had sent this number of bytes.
    pub(crate) fn sent_at(&self, count: usize) -> Option<u64> {
        self.conversation.stamps.iter().find(|(_, sent)| *sent >= count).map(|(at, _)| *at)
    }

    /// When the client had received this number of bytes, or `u64::MAX`.
    pub(crate) fn received_at(&self, count: usize) -> u64 {
        let stamps = &self.conversation.wire.stamps;
        stamps.iter().find(|(_, received)| *received >= count).map_or(u64::MAX, |(at, _)| *at)
    }

    /// When the client had sent the whole request.
    pub(crate) fn complete_at(&self, at: usize) -> Option<u64> {
        let request = self.reading.requests.get(at).filter(|request| request.is_complete)?;
        self.sent_at(request.end)
    }

    /// When the client last sent a byte, up to this time.
    pub(crate) fn last_heard(&self, by: u64) -> u64 {
        let stamps = &self.conversation.stamps;
        stamps.iter().rev().map(|(at, _)| *at).find(|at| *at <= by).unwrap_or(self.conversation.opened)
    }

    /// The time of the client's last step.
    pub(crate) fn last_step(&self) -> u64 {
        let Conversation { opened, stamps, ended, reset, stalls, .. } = self.conversation;
        let stalls = stalls.iter().map(|(start, end)| end.unwrap_or(*start));
        let stamps = stamps.last().map(|(at, _)| *at);
        stalls.chain(stamps).chain(*ended).chain(*reset).max().unwrap_or(*opened).max(*opened)
    }
}
