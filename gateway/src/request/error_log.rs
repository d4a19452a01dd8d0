//! The error stream of an application; WSGI's `wsgi.errors`.

use std::fmt;
use std::io;

use tracing::Span;

/// Text for the operator: what is written here becomes `tracing` events, at the error level with the target
/// `gateway::wsgi_errors`, in the span of the request.
///
/// One call is one event: `write!` and `writeln!` format first. Nothing of it ever reaches the client. `flush` has
/// nothing to do.
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
/// Works from any thread, also after the request has ended.
#[derive(Clone, Debug)]
pub struct ErrorLog {
    span: Span,
}

impl ErrorLog {
    /// The log of the request that is running on this thread.
    pub(crate) fn current() -> Self {
        Self { span: Span::current() }
    }

    fn event(&self, text: &str) {
        self.span.in_scope(|| tracing::error!(target: "gateway::wsgi_errors", "{text}"));
    }
}

impl io::Write for ErrorLog {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.event(&String::from_utf8_lossy(buffer));
        Ok(buffer.len())
    }

    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.event(&arguments.to_string());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
