//! The methods of a gateway that set something.
//!
//! Threads: the program's.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;

use crate::Gateway;
use crate::body::spool::Spool;
use crate::latin1;
use crate::observe::line_sink::LineSink;
use crate::response::error_page::ErrorPage;

/// # Settings
impl Gateway {
    /// The largest request body, in bytes. Default: 16 MiB.
    ///
    /// A larger declared length is answered with 413 before anything is read. A body that turns out larger fails to
    /// read with [`InputError::TooLarge`](crate::InputError::TooLarge).
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.settings_mut().body_limit = bytes;
        self
    }

    /// How much of the request body is read before a thread is taken, in bytes. Default: 64 KiB.
    ///
    /// It is also how much is held in memory while the application reads the rest. Clients that wait for `100 Continue`
    /// send nothing before the application reads. With 0, nobody does: the body streams from its first byte.
    #[must_use]
    pub fn read_ahead(mut self, bytes: usize) -> Self {
        self.settings_mut().read_ahead = bytes;
        self
    }

    /// Reads request bodies whole before a thread is taken, into memory and then into a temporary file. Default: no.
    ///
    /// However slow the upload, it takes no thread, and `CONTENT_LENGTH` is the true length even if the client declared
    /// none. A body that is broken, too large or too late is answered without asking the application, and one that
    /// finds no room in the [`Spool`] with 503. `100 Continue` goes out once these limits have been checked.
    #[must_use]
    pub fn spool(mut self, spool: &Spool) -> Self {
        self.settings_mut().spool = Some(spool.clone());
        self
    }

    /// How long to wait for the next bytes of a request body. Default: 30 seconds.
    ///
    /// Then reading fails with [`InputError::TimedOut`](crate::InputError::TimedOut), which is 408 if the application
    /// does not cope. The clock runs only while the client is waited for.
    #[must_use]
    pub fn body_idle(mut self, wait: Duration) -> Self {
        self.settings_mut().body_idle = wait;
        self
    }

    /// How long to wait for a request body in all, however the client spreads its bytes. Default: 10 minutes.
    ///
    /// Time in which there is no room for more, because the application does not read, does not count.
    #[must_use]
    pub fn body_deadline(mut self, wait: Duration) -> Self {
        self.settings_mut().body_deadline = wait;
        self
    }

    /// How much of the response is held for a client that reads slowly, in bytes, before the application has to wait.
    /// Default: 256 KiB. One chunk larger than that passes on its own.
    #[must_use]
    pub fn response_buffer(mut self, bytes: usize) -> Self {
        self.settings_mut().response_buffer = bytes.max(1);
        self
    }

    /// How long an application waits for a client that takes nothing of a full buffer. Default: 60 seconds.
    ///
    /// Then the client counts as gone: the write fails with [`Disconnected`](crate::Disconnected), and the message is
    /// broken off. So a client that stops reading cannot keep a thread. A [file](crate::Chunks::file) keeps none
    /// anyway; how long a connection may stand still is the server's to say, as [`serve`](crate::serve()) does.
    #[must_use]
    pub fn write_stall(mut self, wait: Duration) -> Self {
        self.settings_mut().write_stall = wait;
        self
    }

    /// How long a request may take, from the hand-over to the pool to the last byte of its response. Default: as long
    /// as it takes.
    ///
    /// Then a client that has nothing yet gets 504, and any other sees its message broken off. The application learns
    /// of it at its next read or write, which fails with [`DeadlineExceeded`](crate::DeadlineExceeded), and may ask for
    /// [`Environ::deadline`](crate::Environ::deadline) before. It keeps its thread until it returns: a thread cannot be
    /// ended from outside. What the body takes to be read ahead or spooled does not count, nor does a
    /// [file](crate::Chunks::file), which keeps no thread.
    #[must_use]
    pub fn deadline(mut self, time: Duration) -> Self {
        self.settings_mut().deadline = Some(time);
        self
    }

    /// What the mount is called in figures and reports. Default: the type of the application, which under `#[wsgi_app]`
    /// is the name of the fn.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let settings = self.settings_mut();
        *settings = settings.clone().named(&name.into());
        self
    }

    /// `SERVER_NAME`. Default: the address that the request came in at, else its host, else `localhost`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings_mut().server_name = Some(name.into()).filter(|name: &String| !name.is_empty());
        self
    }

    /// `SERVER_PORT`. Default: the port that the request came in at, else that of its host, else 80 or 443.
    #[must_use]
    pub fn server_port(mut self, port: u16) -> Self {
        self.settings_mut().server_port = Some(port);
        self
    }

    /// Whether clients speak HTTPS, for `wsgi.url_scheme`. Default: no. The request itself is never believed.
    #[must_use]
    pub fn https(mut self, https: bool) -> Self {
        self.settings_mut().https = https;
        self
    }

    /// Where clients find the mount, if a proxy in front takes a prefix off the path: `SCRIPT_NAME` begins with it.
    /// Default: nothing.
    ///
    /// Percent-encoded, as in a URL. A path that still has the prefix, because the proxy leaves it there, is split
    /// behind it, on a segment boundary; any other path is left as it is.
    ///
    /// # Panics
    ///
    /// Panics if the prefix does not begin with a slash.
    #[must_use]
    pub fn script_name(mut self, prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        assert!(prefix.is_empty() || prefix.starts_with('/'), "the script name {prefix:?} has to begin with a slash");
        self.settings_mut().script_name = prefix.to_owned();
        self
    }

    /// Sets a variable in the environ of every request, such as a configuration value of the application, or
    /// `REMOTE_USER` where an outer layer has authenticated everybody. It wins over a variable of the request.
    ///
    /// (PEP 3333, "Application Configuration".)
    ///
    /// # Panics
    ///
    /// Panics if the name is empty, begins with `wsgi.` or `gateway.`, or is one of the two halves of the path, which
    /// are not the deployer's to set; and if the value is not native text: every character stands for one byte, so none
    /// is above U+00FF.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        assert!(
            !(name.is_empty() || name.starts_with("wsgi.") || name.starts_with("gateway.")),
            "the variable {name:?} cannot be set; choose a name that is not empty, nor in `wsgi.` or `gateway.`"
        );
        assert!(
            !matches!(&*name, "SCRIPT_NAME" | "PATH_INFO"),
            "the variable {name:?} depends on the request; `Gateway::script_name` says where the mount is"
        );
        assert!(
            latin1::is_native(&value),
            "the value {value:?} of the variable {name:?} holds a character above U+00FF"
        );
        let variables = &mut self.settings_mut().variables;
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
        self
    }

    /// Makes the body of the gateway's own answers, those that the table above calls by their status. Default: the
    /// reason phrase, as plain text.
    ///
    /// `page` gets the status, and the headers to add to: their `Content-Type` is `text/plain` unless it sets another.
    /// Status and length are not its to choose. It runs on the runtime and must not block; one that panics, or sets a
    /// header that must not be sent, is replaced by the default.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Gateway, testing::{Client, Inline}};
    /// use http::{HeaderValue, header};
    ///
    /// # let broken = gateway::application_fn(|_, _| Err(gateway::Error::new("no")));
    /// let gateway = Gateway::new(broken).error_page(|status, headers| {
    ///     headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    ///     format!("<h1>{status}</h1>").into()
    /// });
    /// # let response = Client::of(gateway.executor(Inline::new())).get("/");
    /// # assert_eq!(response.text(), "<h1>500 Internal Server Error</h1>");
    /// ```
    #[must_use]
    pub fn error_page(mut self, page: impl Fn(StatusCode, &mut HeaderMap) -> Bytes + Send + Sync + 'static) -> Self {
        self.settings_mut().error_page = ErrorPage::new(page);
        self
    }

    /// Sends what applications write to [`Environ::errors`](crate::Environ::errors) to `writer`. Default: `tracing`
    /// events.
    ///
    /// Each event becomes one line, in one call of `write_all`: control characters are escaped, so that no text can
    /// pass for more than the one event it is. The writer is called on the thread that writes the error, and may block
    /// it.
    #[must_use]
    pub fn error_log(mut self, writer: impl std::io::Write + Send + 'static) -> Self {
        self.settings_mut().error_log = Some(LineSink::new(writer));
        self
    }
}
