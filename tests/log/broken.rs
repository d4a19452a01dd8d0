//! A subscriber and a metrics recorder that panic where a test requests it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata as MetricMetadata, SharedString, Unit,
};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// The methods that panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaks {
    Nothing,
    /// Each event.
    Events,
    /// Each method of the subscriber, except those that return its interest.
    Everything,
    /// The methods that return the subscriber's interest.
    Interest,
    /// The exit and the close of a span, which guards call when they are dropped.
    Guards,
    /// Only the events with this target.
    Target(&'static str),
    /// Each metric.
    Metrics,
}

impl Breaks {
    /// Whether this method panics for this target.
    fn covers(self, method: &str, target: Option<&str>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Events => method == "event",
            Self::Everything => !["enabled", "register_callsite", "metric"].contains(&method),
            Self::Interest => ["enabled", "register_callsite"].contains(&method),
            Self::Guards => ["exit", "try_close"].contains(&method),
            Self::Target(broken) => method == "event" && target == Some(broken),
            Self::Metrics => method == "metric",
        }
    }
}

static BREAKS: Mutex<Breaks> = Mutex::new(Breaks::Nothing);

/// The panics so far: the method, and the kind of thread.
static BROKE: Mutex<BTreeSet<(&'static str, &'static str)>> = Mutex::new(BTreeSet::new());

/// Serialises the tests, because a process has only one subscriber.
static TURN: Mutex<()> = Mutex::new(());

const TEXT: &str = "the log is broken";

/// Keeps the log broken until it is dropped.
pub(crate) struct Broken {
    _turn: MutexGuard<'static, ()>,
}

impl Broken {
    pub(crate) fn new(breaks: Breaks) -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            tracing::subscriber::set_global_default(Log::default()).expect("no other subscriber");
            metrics::set_global_recorder(Recorder).expect("no other recorder");
            let others = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if info.payload().downcast_ref::<&str>() != Some(&TEXT) {
                    others(info);
                }
            }));
        });
        // A failed test leaves no state that affects the next one.
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        BROKE.lock().unwrap().clear();
        *BREAKS.lock().unwrap() = breaks;
        Self { _turn: turn }
    }

    /// Whether this method has panicked on a thread of this kind.
    pub(crate) fn broke(&self, method: &'static str, thread: &'static str) -> bool {
        BROKE.lock().unwrap().contains(&(method, thread))
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        *BREAKS.lock().unwrap() = Breaks::Nothing;
    }
}

/// Panics if `method` is configured to panic.
fn may_break(method: &'static str, target: Option<&str>) {
    if !BREAKS.lock().unwrap().covers(method, target) {
        return;
    }
    let thread = std::thread::current();
    let kind = if thread.name().is_some_and(|name| name.starts_with("unlucky-")) { "pool" } else { "runtime" };
    BROKE.lock().unwrap().insert((method, kind));
    std::panic::panic_any(TEXT);
}

/// Receives the events of the gateway. Libraries such as h2 do not use the gateway's log.
#[derive(Default)]
struct Log {
    spans: AtomicU64,
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("gateway") && !metadata.target().starts_with("gateway_tests")
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) {
            may_break("register_callsite", Some(metadata.target()));
        }
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if is_ours(metadata) {
            may_break("enabled", Some(metadata.target()));
        }
        is_ours(metadata) && *metadata.level() <= Level::TRACE
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        may_break("new_span", None);
        Id::from_u64(1 + self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        may_break("record", None);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        may_break("event", Some(event.metadata().target()));
    }

    fn enter(&self, _: &Id) {
        may_break("enter", None);
    }

    fn exit(&self, _: &Id) {
        may_break("exit", None);
    }

    fn clone_span(&self, id: &Id) -> Id {
        may_break("clone_span", None);
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        may_break("try_close", None);
        true
    }
}

/// Each of its metrics may panic.
struct Recorder;

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &MetricMetadata<'_>) -> Counter {
        Counter::from_arc(std::sync::Arc::new(Figure))
    }

    fn register_gauge(&self, _: &Key, _: &MetricMetadata<'_>) -> Gauge {
        may_break("metric", None);
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &MetricMetadata<'_>) -> Histogram {
        Histogram::from_arc(std::sync::Arc::new(Figure))
    }
}

struct Figure;

impl CounterFn for Figure {
    fn increment(&self, _: u64) {
        may_break("metric", None);
    }

    fn absolute(&self, _: u64) {
        may_break("metric", None);
    }
}

impl HistogramFn for Figure {
    fn record(&self, _: f64) {
        may_break("metric", None);
    }
}
