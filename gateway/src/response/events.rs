//! Server-Sent Events.
//!
//! Threads: pool; blocks.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{HeaderName, StatusCode};

use crate::error::{CallError, ContractError, Error};
use crate::log_text::Quoted;
use crate::response::request_end::Wait;
use crate::response::start_response::StartResponse;
use crate::response::write::Write;

/// Sends Server-Sent Events: a response that browsers read with `EventSource`.
///
/// An application starts it with [`Events::start`], a [blocking handler](crate::Pool::handler) returns
/// [`Streamed::events`](crate::Streamed::events). Each event is sent at once. If the client has disconnected, the next
/// [`send`](Self::send) returns [`Disconnected`](crate::Disconnected), which is no failure if the application returns
/// it. [`wait`](Self::wait) is the pause between two events: it ends when the client disconnects or the server stops.
/// A [`comment`](Self::comment) each 15 seconds keeps proxies from closing a quiet stream.
///
/// Each client takes a thread for as long as it is connected: use a separate pool, without a queue.
///
/// # Example
///
/// ```
/// use gateway::{Chunks, Environ, Event, Events, StartResponse, wsgi_app};
///
/// #[wsgi_app]
/// fn countdown(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
///     let events = Events::start(start_response)?;
///     for left in (0..3).rev() {
///         events.send(&Event::new(format!("{left} left")).id(left.to_string()))?;
///     }
///     Ok(Chunks::empty())
/// }
/// # let text = gateway::testing::Client::new(countdown).get("/").text();
/// # assert!(text.starts_with("id: 2\ndata: 2 left\n\n"), "{text}");
/// ```
#[derive(Debug)]
pub struct Events<'r> {
    write: Write<'r>,
}

/// One event for [`Events::send`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    data: Option<String>,
}

impl Event {
    /// An event with this data, which may have several lines.
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: Some(data.into()), ..Self::default() }
    }

    /// Sets the name, for which `addEventListener` listens. Without one, it is `message`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the id, which a client that reconnects sends as `Last-Event-ID`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the time after which a client that was disconnected reconnects.
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The event as text, with the empty line that ends it.
    fn text(&self) -> Result<String, ContractError> {
        let mut text = String::new();
        for (field, value) in [("event", &self.name), ("id", &self.id)] {
            let Some(value) = value else { continue };
            // A line end would begin another field, and clients ignore an id with NUL.
            if value.contains(['\r', '\n', '\0']) {
                return Err(ContractError::new(format!(
                    "the {field} {} of an event holds a line end or NUL",
                    Quoted(value)
                )));
            }
            push_lines(&mut text, field, value);
        }
        if let Some(retry) = self.retry {
            push_lines(&mut text, "retry", &retry.as_millis().to_string());
        }
        if let Some(data) = &self.data {
            push_lines(&mut text, "data", data);
        }
        text.push('\n');
        Ok(text)
    }
}

/// Writes a field for each line of the value: each `\r\n`, `\r` and `\n` ends one, as for the parser of the client.
fn push_lines(text: &mut String, field: &str, value: &str) {
    let mut rest = value;
    loop {
        let end = rest.find(['\r', '\n']);
        // Cannot fail: the target is a string.
        let _ = writeln!(text, "{field}: {}", &rest[..end.unwrap_or(rest.len())]);
        let Some(end) = end else { return };
        let line_end = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + line_end..];
    }
}

impl<'r> Events<'r> {
    /// Starts the response, and sends its head, so that the client knows that it is connected.
    ///
    /// # Errors
    ///
    /// Those of [`StartResponse`] and of [`send`](Self::send).
    #[expect(clippy::needless_pass_by_value, reason = "a response is started once")]
    pub fn start(start_response: StartResponse<'r>) -> Result<Self, CallError> {
        Self::on(start_response.with(StatusCode::OK, HeaderMap::from_iter(headers()))?)
    }

    /// Sends events on a response that was started with these [`headers`].
    pub(crate) fn on(write: Write<'r>) -> Result<Self, CallError> {
        write.send("")?;
        Ok(Self { write })
    }

    /// Sends an event.
    ///
    /// # Errors
    ///
    /// * [`Disconnected`](crate::Disconnected) when the client has disconnected.
    /// * [`ContractError`] for a name or an id with a line end or NUL: it could add fields.
    pub fn send(&self, event: &Event) -> Result<(), CallError> {
        self.write.send(event.text().map_err(Error::from)?)
    }

    /// Sends a comment, which clients ignore.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](crate::Disconnected) when the client has disconnected.
    pub fn comment(&self, text: &str) -> Result<(), CallError> {
        let mut lines = String::new();
        push_lines(&mut lines, "", text);
        lines.push('\n');
        self.write.send(lines)
    }

    /// Waits until the client has disconnected or the server stops, for at most `timeout`. As
    /// [`Environ::wait`](crate::Environ::wait).
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gateway::{Event, Streamed, Wait};
    ///
    /// fn clock() -> Streamed {
    ///     Streamed::events(|events| {
    ///         let mut seconds = 0;
    ///         while events.wait(Duration::from_secs(1)) == Wait::Elapsed {
    ///             seconds += 1;
    ///             events.send(&Event::new(seconds.to_string()))?;
    ///         }
    ///         Ok(())
    ///     })
    /// }
    /// # drop(clock());
    /// ```
    pub fn wait(&self, timeout: Duration) -> Wait {
        self.write.wait(timeout)
    }
}

/// The headers of a stream of events. No cache may keep it.
pub(crate) fn headers() -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_begins_a_field_of_data() {
        let text = Event::new("a\nb\r\nc\rd\n\re\r\n").name("n").id("7").retry(Duration::from_millis(1500)).text();
        let lines = ["a", "b", "c", "d", "", "e", ""].map(|line| format!("data: {line}\n")).concat();
        assert_eq!(text.unwrap(), format!("event: n\nid: 7\nretry: 1500\n{lines}\n"));
        assert_eq!(Event::new("").text().unwrap(), "data: \n\n");
        assert_eq!(Event::default().id("").text().unwrap(), "id: \n\n");
    }

    #[test]
    fn a_name_and_an_id_are_one_line() {
        for text in ["a\nb", "a\rb", "a\0b", "\n"] {
            for event in [Event::new("x").name(text), Event::new("x").id(text)] {
                assert!(event.text().unwrap_err().to_string().contains("line end"), "{text:?}");
            }
        }
    }
}
