//! Events and spans of `tracing`, with panics of the subscriber caught.
//!
//! A subscriber is the program's code, and may panic: `tracing_subscriber::fmt` does if it can write neither to its
//! writer nor to stderr. The panic would unwind through the caller: the accept loop, a connection's task, the access
//! record's `Drop`, a thread of the pool. So only this file calls `tracing`, and it calls every method of a subscriber
//! in `catch_panic`. The event is lost; the panic hook has reported the panic.
//!
//! Threads: any.

use std::fmt;
use std::pin::pin;
use std::sync::LazyLock;

use tracing::span::Id;

use crate::catch_panic::catch_panic;

pub(crate) use tracing::Level;
pub(crate) use tracing::dispatcher::has_been_set;
pub(crate) use tracing::field::{Empty, display};

/// Calls the subscriber. `None` if it panicked.
pub(crate) fn contain<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch_panic(call).ok()
}

/// Whether a span of this level may be recorded, by a subscriber or, without one, by a logger of the `log` facade.
/// Checked first, so that a request pays for no span if nobody takes its level.
pub(crate) fn may_be_enabled(level: Level) -> bool {
    level <= tracing::level_filters::LevelFilter::current() || !has_been_set() && is_logged(level)
}

/// Whether the program has a logger of the `log` facade that takes this level.
fn is_logged(level: Level) -> bool {
    let level = match level {
        Level::ERROR => ::log::Level::Error,
        Level::WARN => ::log::Level::Warn,
        Level::INFO => ::log::Level::Info,
        Level::DEBUG => ::log::Level::Debug,
        _ => ::log::Level::Trace,
    };
    level <= ::log::max_level().min(::log::STATIC_MAX_LEVEL)
}

/// Whether errors reach a logger of the `log` facade in a program without a subscriber, as the feature `log` of
/// `tracing` makes them do. axum's default features turn it on. It cannot be queried, but only with it does a disabled
/// span keep its metadata.
pub(crate) fn is_passed_on() -> bool {
    // Asked once, as the span itself is passed on.
    static IS_ON: LazyLock<bool> = LazyLock::new(|| {
        contain(|| tracing::error_span!("request")).is_some_and(|span| span.is_disabled() && !span.is_none())
    });
    is_logged(Level::ERROR) && *IS_ON
}

/// Runs `run` without a subscriber.
#[cfg(test)]
pub(crate) fn without_subscriber<R>(run: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), run)
}

macro_rules! error {
    ($($event:tt)+) => { $crate::log::contain(|| ::tracing::error!($($event)+)).unwrap_or_default() };
}

macro_rules! warning {
    ($($event:tt)+) => { $crate::log::contain(|| ::tracing::warn!($($event)+)).unwrap_or_default() };
}

macro_rules! info {
    ($($event:tt)+) => { $crate::log::contain(|| ::tracing::info!($($event)+)).unwrap_or_default() };
}

macro_rules! debug {
    ($($event:tt)+) => { $crate::log::contain(|| ::tracing::debug!($($event)+)).unwrap_or_default() };
}

/// Runs foreign code that serves no request any more, such as a destructor or a waker. Its panic is caught and logged.
macro_rules! panic_of {
    ($code:expr, $message:literal) => {
        if let Err(panicked) = $crate::catch_panic::catch_panic(|| $code) {
            $crate::log::error!(error = %panicked, $message);
        }
    };
}

/// Drops the values one by one, each in its own `catch_panic`. A list drops its other elements while the panic of the
/// first unwinds, and a second panic then ends the process.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>, message: &'static str) {
    for value in values {
        if let Err(panicked) = catch_panic(|| drop(value)) {
            error!(error = %panicked, "{message}");
        }
    }
}

/// Whether an event would be recorded.
macro_rules! enabled {
    ($($event:tt)+) => { $crate::log::contain(|| ::tracing::enabled!($($event)+)).unwrap_or_default() };
}

/// A [`Span`] of a level, given by its name in `tracing::Level`.
macro_rules! span {
    ($level:ident, $($span:tt)+) => {
        if $crate::log::may_be_enabled($crate::log::Level::$level) {
            let made = $crate::log::contain(|| ::tracing::span!($crate::log::Level::$level, $($span)+));
            made.map_or_else($crate::log::Span::none, $crate::log::Span::of)
        } else {
            $crate::log::Span::none()
        }
    };
}

// A macro cannot be defined as `warn`, which is the name of an attribute.
pub(crate) use {debug, enabled, error, info, panic_of, span, warning as warn};

/// A span of `tracing` whose subscriber may panic.
pub(crate) struct Span {
    inner: tracing::Span,
}

impl Span {
    pub(crate) fn of(inner: tracing::Span) -> Self {
        Self { inner }
    }

    /// A span that records nothing.
    pub(crate) fn none() -> Self {
        Self::of(tracing::Span::none())
    }

    /// The current span of this thread.
    pub(crate) fn current() -> Self {
        contain(tracing::Span::current).map_or_else(Self::none, Self::of)
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.inner.is_disabled()
    }

    /// Records the value of a field.
    pub(crate) fn record(&self, field: &str, value: impl tracing::field::Value) {
        if !self.inner.is_none() {
            contain(|| {
                self.inner.record(field, value);
            });
        }
    }

    /// Enters the span until the guard is dropped.
    #[must_use = "the span is left at once"]
    pub(crate) fn enter(&self) -> Entered<'_> {
        if self.inner.is_none() {
            return Entered(None);
        }
        let entered = contain(|| self.inner.enter());
        if entered.is_none() {
            // `tracing_subscriber`'s registry pushes the span on the thread's stack before a layer above it panics.
            // Left there, the span would be the parent of all later spans of this thread.
            contain(|| self.inner.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
        }
        Entered(entered)
    }

    /// Runs `run` in the span.
    pub(crate) fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        run()
    }
}

/// The guard of an entered span.
pub(crate) struct Entered<'s>(Option<tracing::span::Entered<'s>>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(entered) = self.0.take() {
            contain(|| drop(entered));
        }
    }
}

impl Clone for Span {
    fn clone(&self) -> Self {
        if self.inner.is_none() {
            return Self::none();
        }
        contain(|| self.inner.clone()).map_or_else(Self::none, Self::of)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.inner.is_none() {
            let inner = std::mem::replace(&mut self.inner, tracing::Span::none());
            contain(|| drop(inner));
        }
    }
}

/// For `parent:` of an event.
impl From<&Span> for Option<Id> {
    fn from(span: &Span) -> Self {
        span.inner.id()
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Enters a span around each poll of a future. With `tracing::Instrument`, a panic of the subscriber would unwind out
/// of the poll.
pub(crate) async fn in_span<F: Future>(span: Span, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| span.in_scope(|| future.as_mut().poll(cx))).await
}
