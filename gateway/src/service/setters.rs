//! The methods that change the settings of a gateway.
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
    /// A larger declared length is answered with 413 before anything is read. Reading a body that turns out larger
    /// fails with [`InputError::TooLarge`](crate::InputError::TooLarge).
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.settings_mut().body_limit = bytes;
        self
    }

    /// How many bytes of the request body are read before a thread is taken. Default: 64 KiB.
    ///
    /// Memory holds as many bytes while the application reads the rest. A client that waits for `100 Continue` sends
    /// nothing before the application reads. With 0, nothing is read ahead: the body streams from its first byte.
    #[must_use]
    pub fn read_ahead(mut self, bytes: usize) -> Self {
        self.settings_mut().read_ahead = bytes;
        self
    }

    /// Reads request bodies in full before a thread is taken, into memory and then into a temporary file. Default: no.
    ///
    /// A slow upload takes no thread, and `CONTENT_LENGTH` is the true length even if the client declared none. A body
    /// that is broken, too large or too late is answered without calling the application; a body that does not fit the
    /// [`Spool`] is answered with 503.
    ///
    /// A client that sends `Expect: 100-continue` and a length has not sent its body yet. The application is called
    /// first, and may refuse the request, for instance with 401 or 413, so that the client saves the upload. Its first
    /// read sends `100 Continue`, and the body streams, without the spool. The thread waits for the client meanwhile,
    /// so such a body counts as one of the pool's [`uploads`](crate::PoolBuilder::uploads). Further ones, those of a
    /// pool whose uploads could take all threads, those on an executor of your own, and chunked bodies are asked for
    /// and spooled before the call. A length that does not fit the spool is answered with 503 in either case.
    #[must_use]
    pub fn spool(mut self, spool: &Spool) -> Self {
        self.settings_mut().spool = Some(spool.clone());
        self
    }

    /// The timeout for the next bytes of a request body. Default: 30 seconds.
    ///
    /// Then reading fails with [`InputError::TimedOut`](crate::InputError::TimedOut), which becomes 408 if the
    /// application does not handle it. The timeout runs only while the gateway waits for the client.
    #[must_use]
    pub fn body_idle(mut self, wait: Duration) -> Self {
        self.settings_mut().body_idle = wait;
        self
    }

    /// The timeout for a whole request body, however the client spreads its bytes. Default: 10 minutes.
    ///
    /// Time in which the buffer is full, because the application does not read, does not count.
    #[must_use]
    pub fn body_deadline(mut self, wait: Duration) -> Self {
        self.settings_mut().body_deadline = wait;
        self
    }

    /// How many bytes of the response are held for a client that reads slowly, before the application has to wait.
    /// Default: 256 KiB. A single larger chunk passes on its own.
    #[must_use]
    pub fn response_buffer(mut self, bytes: usize) -> Self {
        self.settings_mut().response_buffer = bytes.max(1);
        self
    }

    /// How long an application waits for a client that reads nothing of a full buffer. Default: 60 seconds.
    ///
    /// Then the client counts as gone: the write fails with [`Disconnected`](crate::Disconnected), and the message is
    /// broken off, so that a client that stops reading cannot keep a thread. Progress is detected in steps of at most
    /// 192 KiB (64 KiB of a response on HTTP/2): a client that reads 4 KiB per second is never cut by the default; for
    /// slower clients, set a longer time. A [file](crate::Chunks::file) keeps no thread;
    /// the server limits how long a connection may stall, as [`serve`](crate::serve()) does.
    #[must_use]
    pub fn write_stall(mut self, wait: Duration) -> Self {
        self.settings_mut().write_stall = wait;
        self
    }

    /// How long a request may take, from handing its job to the pool to the last byte of its response. Default: no
    /// limit.
    ///
    /// Then a client that has received nothing gets 504; any other message is broken off. The application's next read
    /// or write fails with [`DeadlineExceeded`](crate::DeadlineExceeded); before that it may ask for
    /// [`Environ::deadline`](crate::Environ::deadline). It keeps its thread until it returns: a thread cannot be
    /// stopped from outside. Reading the body ahead or spooling it does not count, nor does a
    /// [file](crate::Chunks::file), which keeps no thread, nor the sending of bytes that are all there. A body of axum
    /// that makes its bytes while it is sent, which a [handler](crate::Pool::handler) may return, does count.
    #[must_use]
    pub fn deadline(mut self, time: Duration) -> Self {
        self.settings_mut().deadline = Some(time);
        self
    }

    /// The name of the mount in the log, in metrics and reports. Default: the path of the fn or of the application's
    /// type in its crate, such as `users::list`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let settings = self.settings_mut();
        *settings = settings.clone().named(&name.into());
        settings.is_named = true;
        self
    }

    /// `SERVER_NAME`. Default: the local address of the connection, else the request's host, else `localhost`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings_mut().server_name = Some(name.into()).filter(|name: &String| !name.is_empty());
        self
    }

    /// `SERVER_PORT`. Default: the local port of the connection, else that of the request's host, else 80 or 443.
    #[must_use]
    pub fn server_port(mut self, port: u16) -> Self {
        self.settings_mut().server_port = Some(port);
        self
    }

    /// Whether clients speak HTTPS, for `wsgi.url_scheme`. Default: no. The request cannot set it.
    #[must_use]
    pub fn https(mut self, https: bool) -> Self {
        self.settings_mut().https = https;
        self
    }

    /// Whether other processes serve the same application, for `wsgi.multiprocess`. Default: no. A program that is
    /// started several times behind one address sets it, so that the application keeps no state in its process alone.
    #[must_use]
    pub fn multiprocess(mut self, yes: bool) -> Self {
        self.settings_mut().multiprocess = yes;
        self
    }

    /// The prefix that a proxy in front removes from the path: `SCRIPT_NAME` begins with it. Default: none.
    ///
    /// Percent-encoded, as in a URL. A path that still has the prefix, because the proxy does not remove it, is split
    /// after the prefix, on a segment boundary; any other path is left unchanged.
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
    /// `REMOTE_USER` if an outer layer authenticates all clients. It takes precedence over a variable of the request.
    ///
    /// (PEP 3333, "Application Configuration".)
    ///
    /// # Panics
    ///
    /// Panics if the name is empty, begins with `wsgi.` or `gateway.`, or is `SCRIPT_NAME` or `PATH_INFO`, which depend
    /// on the request; and if the value is not native text, in which each character stands for one byte and none is
    /// above U+00FF.
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

    /// Makes the body of the gateway's own responses, which the table of [`Gateway`] lists by status. Default: the
    /// reason phrase, as plain text.
    ///
    /// `page` gets the status, and the headers to add to: their `Content-Type` is `text/plain` unless it sets another.
    /// It cannot change the status or the length. It runs on the runtime and must not block. If it panics or sets a
    /// header that must not be sent, the default is used.
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

    /// Sends the text that applications write to [`Environ::errors`](crate::Environ::errors) to `writer`. Default:
    /// `tracing` events.
    ///
    /// Each event becomes one line, in one call of `write_all`. Control characters are escaped, so that no text can
    /// pass for several events. The writer runs on the thread that writes the error, and may block it.
    #[must_use]
    pub fn error_log(mut self, writer: impl std::io::Write + Send + 'static) -> Self {
        self.settings_mut().error_log = Some(LineSink::new(writer));
        self
    }
}
