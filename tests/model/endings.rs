//! Rules for the end of a connection on HTTP/1.

use crate::answers::{Answer, End};
use crate::applications::Route;
use crate::reference::Tail;
use crate::rules::{Case, Result, SLACK, broken};
use crate::sequence::Settings;
use crate::stage::{Conversation, longest_life};

/// How long a client must be silent before a server stops reading after an answer.
const SILENCE: u64 = 4900;

/// # Errors
///
/// The server ended its side, but did not drop the connection within the linger timeout.
pub(crate) fn lingering_ends(settings: &Settings, conversation: &Conversation) -> Result {
    let Some(ended) = conversation.wire.ended else { return Ok(()) };
    match conversation.wire.dropped {
        Some(dropped) if dropped.at <= ended + settings.linger + 1000 + SLACK => Ok(()),
        dropped => broken("lingering ends", format!("its side was ended at {ended} ms, and {dropped:?}")),
    }
}

impl Case<'_> {
    /// Every connection ends in bounded time after the last action of its client.
    pub(crate) fn the_connection_ends(&self) -> Result {
        match self.conversation.wire.dropped {
            Some(dropped) if dropped.at <= self.last_step() + longest_life(self.settings) => {
                lingering_ends(self.settings, self.conversation)
            }
            dropped => broken("every connection ends in bounded time", format!("{dropped:?}")),
        }
    }

    /// A connection that waits for a request, or for the rest of a head, ends in time, whatever the spacing of its
    /// bytes.
    pub(crate) fn waiting_ends_in_time(&self, answers: &[Answer]) -> Result {
        let Conversation { opened, ended, wire, .. } = self.conversation;
        let Settings { header_timeout, keep_alive, .. } = *self.settings;
        let keep_alive = if keep_alive == 0 { header_timeout } else { keep_alive };
        let over = wire.over().unwrap_or(u64::MAX);
        let count = answers.len();
        let (mut start, mut before) = (0, *opened);
        for (answer, request) in answers.iter().zip(&self.reading.requests) {
            let begun = self.sent_at(self.begun(start)).unwrap_or(0).max(before);
            let whole = self.sent_at(request.head.end).unwrap_or(0);
            if whole > begun + header_timeout + 1000 + SLACK {
                return broken("a head has its time", format!("{} was answered after {whole} ms", request.target));
            }
            (start, before) = (request.end, self.received_at(answer.at_end));
        }
        let is_closing = answers.last().is_some_and(|last| last.closes || last.end != End::Complete);
        let is_owed = count > 0 && self.complete_at(count - 1).is_none_or(|complete| complete > over);
        let is_kept = count > 0 && self.is_kept(count - 1);
        if is_closing || is_owed || is_kept || ended.is_some() || !self.takes_all() {
            return Ok(());
        }
        let before = answers.last().map_or(*opened, |last| self.received_at(last.at_end));
        let start = if count == 0 { 0 } else { self.reading.requests[count - 1].end };
        let until = match self.sent_at(self.begun(start)).filter(|begun| *begun < over) {
            Some(begun) => {
                let until = begun.max(before) + header_timeout;
                let request = self.reading.requests.get(count);
                // The application has the request, or the server refused it. A head that completes within the
                // one-second allowance may cross with the close, and is then answered.
                let is_whole = request
                    .and_then(|request| self.sent_at(request.head.end))
                    .is_some_and(|at| at <= until + 1000 + SLACK);
                if is_whole || matches!(self.reading.tail, Tail::Broken(_)) {
                    return Ok(());
                }
                until
            }
            // No answer is due on this connection, so a shutdown ends it at once.
            None => {
                let wait = if count == 0 { header_timeout } else { keep_alive };
                (before + wait).min(self.record.stop_asked.max(before))
            }
        };
        // The server has one second to close.
        match over <= until + 1000 + SLACK {
            true => Ok(()),
            false => {
                broken("a connection that waits for a request ends in time", format!("at {over} ms, not {until} ms"))
            }
        }
    }

    /// If no answer announces the close of the connection, the server closes it only for a known reason.
    pub(crate) fn the_end_has_a_reason(&self, answers: &[Answer]) -> Result {
        let Some(over) = self.conversation.wire.over() else { return Ok(()) };
        match self.has_reason(answers, over) {
            true => Ok(()),
            false => broken(
                "a connection ends for a reason, and says so before",
                format!("it ended at {over} ms after {} answers, the last {:?}", answers.len(), answers.last()),
            ),
        }
    }

    fn has_reason(&self, answers: &[Answer], over: u64) -> bool {
        let Conversation { opened, ended, reset, stalls, .. } = self.conversation;
        let was = |at: &Option<u64>| at.is_some_and(|at| at <= over);
        // If `half_close` is set, a client may end its side and wait for the answer to a complete request.
        let waits = self.settings.half_close && self.complete_at(answers.len()).is_some();
        if was(ended) && !waits || was(reset) || self.record.stop_asked <= over {
            return true;
        }
        let stalled = |(start, end): &(u64, Option<u64>)| {
            end.unwrap_or(over).min(over).saturating_sub(*start) + SLACK >= self.settings.write_stall
        };
        if stalls.iter().any(stalled) {
            return true;
        }
        let count = answers.len();
        if let Some(last) = answers.last()
            && (last.closes || last.end != End::Complete || self.closes(count - 1))
        {
            return true;
        }
        // The model does not know how long a handler keeps a body.
        if count > 0 && self.is_kept(count - 1) {
            let ended = answers.last().map_or(0, |last| self.received_at(last.at_end));
            if over.saturating_sub(ended) + SLACK >= self.settings.header_timeout {
                return true;
            }
        }
        // An application that fails after the start of its answer aborts the answer, whether or not the client reads
        // it.
        if self.route(count) == Some(Route::EchoStream)
            && let Some(request) = self.reading.requests.get(count)
            && request.body.len() as u64 > self.settings.body_limit
        {
            return true;
        }
        // An application that has begun to read may continue to read during its answer. If it stops reading, the
        // connection ends without an announcement.
        if self.settings.threads && count > 0 && self.route(count - 1) == Some(Route::Some) {
            return true;
        }
        if let Tail::Broken(at) | Tail::BrokenBody(at) = self.reading.tail
            && count >= self.reading.requests.len().saturating_sub(1)
            && self.sent_at(at + 1).is_some_and(|sent| sent <= over)
        {
            return true;
        }
        let Settings { header_timeout, keep_alive, body_idle, .. } = *self.settings;
        let keep_alive = if keep_alive == 0 { header_timeout } else { keep_alive };
        let ended = answers.last().map_or(*opened, |last| self.received_at(last.at_end));
        let heard = self.last_heard(over);
        // The body of a request that was already answered is still incomplete.
        let is_owed = count > 0
            && self.reading.requests.get(count - 1).is_some()
            && self.complete_at(count - 1).is_none_or(|complete| complete > over);
        if is_owed {
            let wait = header_timeout.min(keep_alive).min(body_idle);
            return over.saturating_sub(heard.max(ended)) + SLACK >= wait;
        }
        let start =
            if count == 0 { 0 } else { self.reading.requests.get(count - 1).map_or(usize::MAX, |last| last.end) };
        match self.reading.requests.get(count) {
            // The head is complete, and the request has no answer.
            Some(request) if self.sent_at(request.head.end).is_some_and(|sent| sent <= over) => {
                let is_here = self.complete_at(count).is_some_and(|complete| complete <= over);
                let route = Route::of(&request.target);
                let aborts = matches!(route, Some(Route::FailLate | Route::AsyncFailLate));
                aborts
                    || !request.refusals.is_empty()
                    || !is_here && over.saturating_sub(heard) + SLACK >= body_idle.min(20_000)
            }
            _ => match self.sent_at(self.begun(start)).filter(|sent| *sent <= over) {
                // A partial head. The timeout of the first head starts when the connection opens.
                Some(_) if count == 0 => over.saturating_sub(ended) + SLACK >= header_timeout,
                Some(sent) => over.saturating_sub(sent.max(ended)) + SLACK >= header_timeout,
                None => {
                    let wait = if count == 0 { header_timeout } else { keep_alive };
                    over.saturating_sub(ended) + SLACK >= wait
                }
            },
        }
    }

    pub(crate) fn route(&self, at: usize) -> Option<Route> {
        self.reading.requests.get(at).and_then(|request| Route::of(&request.target))
    }

    /// The handler keeps the body of this request unread.
    pub(crate) fn is_kept(&self, at: usize) -> bool {
        self.route(at) == Some(Route::AsyncKeep) && self.reading.requests[at].has_body
    }

    pub(crate) fn closes(&self, at: usize) -> bool {
        self.reading.requests.get(at).is_some_and(|request| request.closes)
    }

    /// After an answer to an incomplete request, the server continues to read for a limited time, so that no reset
    /// destroys the answer.
    pub(crate) fn no_answer_is_lost(&self, answers: &[Answer]) -> Result {
        let Conversation { ended, reset, wire, .. } = self.conversation;
        let (Some(dropped), Some(last)) = (wire.dropped, answers.last()) else { return Ok(()) };
        let is_owed = self.complete_at(answers.len() - 1).is_none_or(|complete| complete > dropped.at)
            && answers.len() <= self.reading.requests.len();
        let resets = dropped.unread > 0 || wire.refused.is_some();
        let is_done = ended.is_some() || reset.is_some() || self.record.stop_asked <= dropped.at || !self.takes_all();
        let end = self.received_at(last.at_end);
        let silent = dropped.at.saturating_sub(end.max(self.last_heard(dropped.at)));
        let lingered = dropped.at.saturating_sub(end);
        let is_kept = self.is_kept(answers.len() - 1);
        let is_patient = is_kept && lingered + SLACK >= self.settings.header_timeout
            || silent >= SILENCE
            || lingered + SLACK >= self.settings.linger;
        if is_owed && resets && !is_done && last.end == End::Complete && !is_patient {
            let how = format!(
                "the server read on for {lingered} ms after {last:?}, and the client was silent for {silent} ms"
            );
            return broken("no answer is lost by a reset", how);
        }
        Ok(())
    }
}
