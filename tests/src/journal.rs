//! What happened, in order.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

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

    /// Adds a line.
    pub fn note(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How many lines are exactly this.
    pub fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|noted| *noted == line).count()
    }
}

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The level, such as `ERROR`.
    pub level: String,
    /// The target.
    pub target: String,
    /// The message and the fields, as `name=value`.
    pub text: String,
}

/// Runs `run` and gives back what was logged by it, on this thread, at the levels of warning and error.
///
/// With the inline executor, that is everything the gateway logs.
pub fn capture_log<R>(run: impl FnOnce() -> R) -> (R, Vec<Logged>) {
    // One subscriber for the whole process: those that come and go make others miss events.
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| tracing::subscriber::set_global_default(Collector).expect("no other subscriber"));
    EVENTS.set(Some(Vec::new()));
    let result = run();
    (result, EVENTS.take().unwrap_or_default())
}

thread_local! {
    /// What this thread has logged, while it is asked for.
    static EVENTS: RefCell<Option<Vec<Logged>>> = const { RefCell::new(None) };
}

struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let logged = Logged {
            level: event.metadata().level().to_string(),
            target: event.metadata().target().to_owned(),
            text: text.0,
        };
        EVENTS.with_borrow_mut(|events| events.iter_mut().for_each(|events| events.push(logged.clone())));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
