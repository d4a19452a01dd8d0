//! Code around the rest of a thread's life, for an interpreter that keeps something for each of its threads.
//!
//! Threads: pool.

use std::sync::OnceLock;

/// What threads of all pools do before a job, once. There is one interpreter in a process, and so one hook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadHook {
    /// Whether the hook has to run on this thread, and has not.
    pub(crate) is_due: fn() -> bool,
    /// Calls the rest of the thread's life.
    pub(crate) around: fn(&mut (dyn FnMut() + Send)),
}

static HOOK: OnceLock<ThreadHook> = OnceLock::new();

impl ThreadHook {
    /// Sets the hook of this process. Without effect if there is one.
    #[cfg(feature = "python")]
    pub(crate) fn set(self) {
        let _ = HOOK.set(self);
    }

    /// The hook, if it is due on this thread.
    pub(super) fn due() -> Option<Self> {
        HOOK.get().copied().filter(|hook| (hook.is_due)())
    }
}
