//! The error stream of an application; WSGI's `wsgi.errors`.
//!
//! Threads: any; blocks if the writer of the mount blocks.

use std::fmt;
use std::io;

#[cfg(feature = "python")]
use crate::environ::id::RequestId;
use crate::log::{self, Level, Span};
use crate::observe::line_sink::LineSink;

/// Text for the operator. Each write becomes a `tracing` event, without its last line end, at the error level with the
/// target `gateway::wsgi_errors`, in the span of the request; or a line of the mount's
/// [own log](crate::Gateway::error_log), if it has one.
///
/// One call is one event: `write!` and `writeln!` format first. The client never gets the text. `flush` only flushes
/// the mount's own log.
///
/// # Example
///
/// ```
/// # use std::io::Write as _;
/// # use gateway::{Environ, StartResponse, wsgi_app};
/// # #[wsgi_app]
/// # fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
/// writeln!(environ.errors(), "the cache is {} % full", 93)?;
/// # start_response("200 OK", &[])?;
/// # Ok(["ok"])
/// # }
/// # assert_eq!(gateway::testing::Client::new(app).get("/").text(), "ok");
/// ```
///
/// # Threads
///
/// Any thread, also after the request has ended. Blocks if the mount's own log does.
#[derive(Clone, Debug)]
pub struct ErrorLog {
    span: Span,
    sink: Option<LineSink>,
}

impl ErrorLog {
    /// A log with events in `span`, or lines in `sink`.
    pub(crate) fn new(span: Span, sink: Option<LineSink>) -> Self {
        Self { span, sink }
    }

    /// A log for a request of which only the id is known.
    #[cfg(feature = "python")]
    pub(crate) fn of(id: &RequestId, sink: Option<LineSink>) -> Self {
        Self::new(log::span!(ERROR, "request", request_id = %id), sink)
    }

    fn event(&self, text: &str) -> io::Result<()> {
        self.event_at(Level::ERROR, text)
    }

    /// An event at a level, without the end of its last line; a mount's own log has no levels.
    pub(crate) fn event_at(&self, level: Level, text: &str) -> io::Result<()> {
        if let Some(sink) = &self.sink {
            return sink.line(text);
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        self.span.in_scope(|| match level {
            Level::ERROR => log::error!(target: "gateway::wsgi_errors", "{text}"),
            Level::WARN => log::warn!(target: "gateway::wsgi_errors", "{text}"),
            Level::INFO => log::info!(target: "gateway::wsgi_errors", "{text}"),
            _ => log::debug!(target: "gateway::wsgi_errors", "{text}"),
        });
        Ok(())
    }
}

impl io::Write for ErrorLog {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.event(&String::from_utf8_lossy(buffer))?;
        Ok(buffer.len())
    }

    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.event(&arguments.to_string())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.as_ref().map_or(Ok(()), |sink| sink.call(|writer| writer.flush()))
    }
}
