//! The access log: one line for each request, when its response has ended.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, OriginalUri, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use clap::ValueEnum;
use gateway::Forwarded;
use gateway::serve::MalformedHead;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body::{Frame, SizeHint};
use httpdate::HttpDate;
use serde_json::json;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// The maximum number of queued lines. Further lines are lost; their requests are not.
const LINES: usize = 65_536;

/// The format of a line.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// The combined format of Apache and nginx.
    Combined,
    /// A JSON object.
    Json,
}

/// Lines go to the log while the guard exists. A separate thread writes them, so that a full pipe or a slow disk blocks
/// no request.
#[derive(Clone)]
pub(crate) struct AccessLog {
    format: Format,
    lines: NonBlocking,
}

impl AccessLog {
    /// Appends to a file, or writes to stdout.
    pub(crate) fn open(format: Format, file: Option<&Path>) -> anyhow::Result<(Self, WorkerGuard)> {
        let builder = NonBlockingBuilder::default().buffered_lines_limit(LINES);
        let (lines, guard) = match file {
            Some(path) => {
                // Append: several processes may write to it.
                let file = OpenOptions::new().append(true).create(true).open(path);
                builder.finish(file.with_context(|| format!("cannot open the access log {}", path.display()))?)
            }
            None => builder.finish(io::stdout()),
        };
        Ok((Self { format, lines }, guard))
    }

    /// Logs a request that the server has refused itself, of which little is known.
    pub(crate) fn malformed(&self, head: &MalformedHead) {
        let mut record = Record::empty(self.clone());
        record.client = head.peer.map(|peer| peer.ip().to_canonical());
        (record.status, record.is_complete) = (head.status, true);
    }

    /// Logs the requests of a router.
    pub(crate) fn around(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), record))
    }
}

async fn record(State(log): State<AccessLog>, request: Request, next: Next) -> Response {
    let mut record = Record::new(&request, log);
    let response = next.run(request).await;
    record.status = response.status();
    response.map(|body| Body::new(RecordedBody { record, body }))
}

/// What nginx logs for a client that has disconnected before it has a response.
const CLIENT_GONE: u16 = 499;

/// A request and its response. The line is written when it is dropped, however the request has ended.
struct Record {
    log: AccessLog,
    time: SystemTime,
    begun: Instant,
    client: Option<IpAddr>,
    /// `None` if it could not be parsed.
    line: Option<RequestLine>,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    status: StatusCode,
    /// The length of the body as far as the server has taken it.
    bytes: u64,
    is_complete: bool,
}

struct RequestLine {
    method: Method,
    target: String,
    version: Version,
}

impl RequestLine {
    fn new(request: &Request) -> Self {
        // A nest rewrites the URI.
        let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri);
        let (method, version) = (request.method().clone(), request.version());
        let target = match uri.path_and_query() {
            // On HTTP/2 the URI has the scheme and the host, too, which the client has not sent as a target.
            Some(path) if version >= Version::HTTP_2 => path.to_string(),
            _ => uri.to_string(),
        };
        Self { method, target, version }
    }
}

impl Record {
    fn new(request: &Request, log: AccessLog) -> Self {
        // The client that a trusted proxy names, or otherwise the peer; neither is known on a Unix socket.
        let forwarded = request.extensions().get::<Forwarded>().and_then(|forwarded| forwarded.client);
        let peer =
            request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
        let mut record = Self::empty(log);
        record.client = forwarded.or(peer);
        record.line = Some(RequestLine::new(request));
        let field = |name: HeaderName| request.headers().get(name).cloned();
        (record.referer, record.user_agent) = (field(header::REFERER), field(header::USER_AGENT));
        record
    }

    /// Of a request of which nothing is known.
    fn empty(log: AccessLog) -> Self {
        Self {
            log,
            time: SystemTime::now(),
            begun: Instant::now(),
            client: None,
            line: None,
            referer: None,
            user_agent: None,
            status: StatusCode::from_u16(CLIENT_GONE).unwrap_or_default(),
            bytes: 0,
            is_complete: false,
        }
    }

    fn text(&self) -> String {
        match self.log.format {
            Format::Combined => self.combined(),
            Format::Json => self.json(),
        }
    }

    /// The combined format of Apache's `mod_log_config`. The user is unknown: the application authenticates.
    fn combined(&self) -> String {
        let date = Date::of(self.time);
        let client = self.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
        let line = self.line.as_ref().map_or_else(
            || "-".to_owned(),
            |RequestLine { method, target, version }| format!("{method} {} {version:?}", quoted(target.as_bytes())),
        );
        let (status, bytes) = (self.status.as_u16(), self.bytes);
        let [referer, user_agent] = [&self.referer, &self.user_agent]
            .map(|value| value.as_ref().map_or_else(|| "-".to_owned(), |value| quoted(value.as_bytes())));
        format!("{client} - - [{}] \"{line}\" {status} {bytes} \"{referer}\" \"{user_agent}\"\n", date.combined())
    }

    fn json(&self) -> String {
        let line = self.line.as_ref();
        let object = json!({
            "time": Date::of(self.time).iso(),
            "client": self.client,
            "method": line.map(|line| line.method.as_str()),
            "target": line.map(|line| &line.target),
            "protocol": line.map(|line| format!("{:?}", line.version)),
            "status": self.status.as_u16(),
            "bytes": self.bytes,
            "complete": self.is_complete,
            "duration_ms": (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            "referer": self.referer.as_ref().map(text),
            "user_agent": self.user_agent.as_ref().map(text),
        });
        format!("{object}\n")
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // A line that cannot be written is lost: the request has its response.
        let _ = self.log.lines.write_all(self.text().as_bytes());
    }
}

/// Text of a client between quotation marks, on one line and in ASCII, escaped as by Apache.
fn quoted(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text {
        match *byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => quoted.push(char::from(*byte)),
            _ => quoted.extend(format!("\\x{byte:02x}").chars()),
        }
    }
    quoted
}

/// The value of a header, for JSON. Bytes that are no UTF-8 are escaped as in the combined format.
fn text(value: &HeaderValue) -> String {
    let mut text = String::new();
    for part in value.as_bytes().utf8_chunks() {
        text.push_str(part.valid());
        text.extend(part.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// A moment as text, in UTC: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
struct Date(String);

impl Date {
    fn of(time: SystemTime) -> Self {
        Self(HttpDate::from(time).to_string())
    }

    /// Day, month, year, and time of day.
    fn parts(&self) -> (&str, &str, &str, &str) {
        let mut words = self.0.split(' ').skip(1);
        let mut next = || words.next().unwrap_or_default();
        (next(), next(), next(), next())
    }

    fn combined(&self) -> String {
        let (day, month, year, time) = self.parts();
        format!("{day}/{month}/{year}:{time} +0000")
    }

    fn iso(&self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (day, month, year, time) = self.parts();
        let month = MONTHS.iter().position(|name| *name == month).map_or(0, |at| at + 1);
        format!("{year}-{month:02}-{day}T{time}Z")
    }
}

/// A body that counts, and whose drop ends the record.
struct RecordedBody {
    record: Record,
    body: Body,
}

impl HttpBody for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.record.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(None) => self.record.is_complete = true,
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RecordedBody {
    fn drop(&mut self) {
        // hyper does not poll for the end of a body of known length, and polls no body of a response to HEAD.
        let is_head = self.record.line.as_ref().is_some_and(|line| line.method == Method::HEAD);
        self.record.is_complete |= is_head || self.body.is_end_stream();
    }
}
