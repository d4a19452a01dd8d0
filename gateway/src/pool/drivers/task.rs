//! A task that drivers poll: a connection.
//!
//! Threads: woken and cancelled on any; polled on drivers.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use futures_task::{ArcWake, waker_ref};
use tokio::runtime::{EnterGuard, Handle};

use crate::catch_panic::catch_panic;
use crate::log;
use crate::pool::drivers::local;
use crate::pool::drivers::run_queue::RunQueue;
use crate::pool::drivers::task_state::TaskState;

/// What a driver polls. It states its own end.
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Task {
    state: TaskState,
    /// `None` once it has ended. Only the driver that polls the task takes the lock: it is never contended.
    future: Mutex<Option<TaskFuture>>,
    is_cancelled: AtomicBool,
    /// The program's runtime, for timers, sockets and tasks of handlers.
    runtime: Handle,
    queue: Arc<RunQueue<Arc<Self>>>,
}

impl Task {
    /// Queues a new task.
    pub(super) fn start(queue: &Arc<RunQueue<Arc<Self>>>, runtime: Handle, future: TaskFuture) -> Arc<Self> {
        let task = Arc::new(Self {
            state: TaskState::queued(),
            future: Mutex::new(Some(future)),
            is_cancelled: AtomicBool::new(false),
            runtime,
            queue: Arc::clone(queue),
        });
        queue.begin_task();
        queue.push(Arc::clone(&task));
        task
    }

    pub(super) fn queue(&self) -> &Arc<RunQueue<Arc<Self>>> {
        &self.queue
    }

    /// Has a driver drop the future, unless it has ended.
    pub(super) fn cancel(self: &Arc<Self>) {
        // Before the wake, whose poll reads it.
        self.is_cancelled.store(true, Ordering::Release);
        Self::wake_by_ref(self);
    }

    /// Enters the program's runtime.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Whether both have the same runtime.
    pub(super) fn has_runtime_of(&self, other: &Self) -> bool {
        self.runtime.id() == other.runtime.id()
    }

    /// Polls the future once, with its runtime [entered](Self::enter). A panic ends this task alone.
    pub(super) fn poll(self: &Arc<Self>) {
        self.state.begin();
        let waker = waker_ref(self);
        let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let poll = |future: &mut TaskFuture| {
            let polled = catch_panic(|| future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            polled.unwrap_or_else(|panicked| {
                // As timers do once the program's runtime has ended.
                if !self.is_cancelled.load(Ordering::Acquire) {
                    log::error!(error = %panicked, "a connection panicked");
                }
                false
            })
        };
        if self.is_cancelled.load(Ordering::Acquire) || !future.as_mut().is_some_and(poll) {
            self.state.finish();
            if let Some(ended) = future.take() {
                log::panic_of!(drop(ended), "a connection panicked when it was dropped");
                self.queue.end_task();
            }
            return;
        }
        drop(future);
        if self.state.end() {
            // To the end of the queue: no connection waits while another one is polled twice.
            self.queue.push(Arc::clone(self));
        }
    }
}

/// Nobody can wake the task any more: it will never end by itself.
impl Drop for Task {
    fn drop(&mut self) {
        let future = self.future.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(future) = future.take() {
            log::panic_of!(drop(future), "a connection panicked when it was dropped");
            self.queue.end_task();
        }
    }
}

impl ArcWake for Task {
    fn wake(self: Arc<Self>) {
        if self.state.wake()
            && let Err(task) = local::put_task(self)
        {
            task.queue.push(Arc::clone(&task));
        }
    }

    fn wake_by_ref(task: &Arc<Self>) {
        if task.state.wake()
            && let Err(task) = local::put_task(Arc::clone(task))
        {
            task.queue.push(Arc::clone(&task));
        }
    }
}
