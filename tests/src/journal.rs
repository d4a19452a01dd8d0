//! A journal of events in order: the events of applications, and those of the log.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use gateway::RequestId;
use gateway::testing::{Request, Response};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::bound::wait_for;

/// An ordered list of events that applications write and tests read. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Journal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty journal, for the test and for its application.
    pub fn pair() -> (Self, Self) {
        let journal = Self::default();
        (journal.clone(), journal)
    }

    /// Adds a line.
    pub fn note(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The number of lines that are equal to `line`.
    pub fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|noted| *noted == line).count()
    }
}

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The level.
    pub level: Level,
    /// The target.
    pub target: String,
    /// The fields of the enclosing span, as `name=value`.
    pub span: String,
    /// The message and the fields.
    pub text: String,
}

/// Runs `run` and returns the warnings and errors that it logged on this thread.
///
/// With the inline executor, that is everything the gateway logs.
pub fn capture_log<R>(run: impl FnOnce() -> R) -> (R, Vec<Logged>) {
    let (result, mut events) = capture_events(run);
    events.retain(|event| event.level <= Level::WARN);
    (result, events)
}

/// Sends a request, and returns its events from all threads, down to the level `INFO`.
pub fn capture_request(request: Request) -> (Response, Vec<Logged>) {
    let capture = Capture::begin();
    let response = request.extension(RequestId::new(capture.id())).send();
    (response, capture.events())
}

/// The events of one request, from all threads, down to the level `INFO`.
#[derive(Debug)]
pub struct Capture {
    id: String,
}

impl Capture {
    /// Captures the events of the request that will have this capture's [`id`](Self::id).
    pub fn begin() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        install();
        let id = format!("captured-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        CAPTURED.lock().unwrap().push((id.clone(), Vec::new()));
        Self { id }
    }

    /// The id of the request.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Logged> {
        let captured = CAPTURED.lock().unwrap();
        captured.iter().find(|(known, _)| *known == self.id).map(|(_, events)| events.clone()).unwrap_or_default()
    }

    /// The events of a request that a server answers, once its access record, which is the last, was written.
    #[track_caller]
    pub fn events_to_the_record(&self) -> Vec<Logged> {
        wait_for("the access record", || {
            Some(self.events()).filter(|events| events.iter().any(|event| event.target == "gateway::access"))
        })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        CAPTURED.lock().unwrap().retain(|(known, _)| *known != self.id);
    }
}

/// One subscriber for the whole process: if subscribers come and go, others miss events.
fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| tracing::subscriber::set_global_default(Collector::default()).expect("no other subscriber"));
}

/// The events of the requests with these names.
static CAPTURED: Mutex<Vec<(String, Vec<Logged>)>> = Mutex::new(Vec::new());

/// [`capture_log`] for a program that logs only warnings and errors.
pub fn capture_failures<R>(run: impl FnOnce() -> R) -> (R, Vec<Logged>) {
    LISTENS_TO.set(Level::WARN);
    let captured = capture_log(run);
    LISTENS_TO.set(Level::INFO);
    captured
}

/// [`capture_log`] down to the level `INFO`.
pub fn capture_events<R>(run: impl FnOnce() -> R) -> (R, Vec<Logged>) {
    install();
    EVENTS.set(Some(Vec::new()));
    let result = run();
    (result, EVENTS.take().unwrap_or_default())
}

thread_local! {
    /// The events of this thread, while they are captured.
    static EVENTS: RefCell<Option<Vec<Logged>>> = const { RefCell::new(None) };
    /// The maximum level that is captured on this thread.
    static LISTENS_TO: Cell<Level> = const { Cell::new(Level::INFO) };
    /// The entered spans of this thread.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the fields of every span until the process ends.
#[derive(Default)]
struct Collector {
    /// The initial fields of the spans.
    spans: Mutex<Vec<String>>,
}

/// The index of a span in `spans`.
fn index(id: u64) -> usize {
    usize::try_from(id).expect("a small number") - 1
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Collector {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The interest must not be cached: the captured level depends on the thread.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= LISTENS_TO.get()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = Text(String::new());
        attributes.record(&mut text);
        let mut spans = self.spans.lock().unwrap();
        spans.push(text.0);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let parent = event.parent().map(Id::into_u64);
        let span = parent.or_else(|| ENTERED.with_borrow(|entered| entered.last().copied()));
        let span = span.map(|id| self.spans.lock().unwrap()[index(id)].clone()).unwrap_or_default();
        let mut text = Text(String::new());
        event.record(&mut text);
        let metadata = event.metadata();
        let target = metadata.target().to_owned();
        let logged = Logged { level: *metadata.level(), target, span, text: text.0 };
        EVENTS.with_borrow_mut(|events| events.iter_mut().for_each(|events| events.push(logged.clone())));
        for (id, events) in CAPTURED.lock().unwrap().iter_mut() {
            if logged.span.contains(&format!("request_id={id} ")) {
                events.push(logged.clone());
            }
        }
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.pop());
    }
}
