//! A hook around the rest of a thread's life, for an interpreter that keeps a state for each of its threads.
//!
//! Threads: pool.

use std::sync::OnceLock;

/// Runs once on each thread of all pools: on a worker before a job from the queue, on a driver once the hook is free. A
/// process has one interpreter, hence one hook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadHook {
    /// Whether the hook has to run on this thread and has not run yet.
    pub(crate) is_due: fn() -> bool,
    /// Whether `around` is likely to begin without a wait.
    pub(crate) is_free: fn() -> bool,
    /// Calls its argument, which is the rest of the thread's life.
    pub(crate) around: fn(&mut (dyn FnMut() + Send)),
}

static HOOK: OnceLock<ThreadHook> = OnceLock::new();

impl ThreadHook {
    /// Sets the hook of this process. Without effect if one is set.
    #[cfg(feature = "python")]
    pub(crate) fn set(self) {
        let _ = HOOK.set(self);
    }

    /// The hook, if it is due on this thread, and does not keep it from its connections.
    pub(super) fn due_on_driver() -> Option<Self> {
        Self::due().filter(|hook| (hook.is_free)())
    }

    /// The hook, if it is due on this thread.
    pub(super) fn due() -> Option<Self> {
        HOOK.get().copied().filter(|hook| (hook.is_due)())
    }
}
