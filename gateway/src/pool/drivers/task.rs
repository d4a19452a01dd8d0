//! A task that drivers poll: a connection, a stream of HTTP/2, or the pump of a request body.
//!
//! Threads: woken and cancelled on any; polled and dropped on drivers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_task::{Builder, ScheduleInfo, WithInfo};
use tokio::runtime::Handle;

use crate::catch_panic::catch_panic;
use crate::log;
use crate::pool::drivers::local;
use crate::pool::drivers::run_queue::RunQueue;

/// A task that was woken, to be polled once by one driver. It knows the program's runtime, for the timers, sockets and
/// tasks of handlers.
pub(crate) type WokenTask = async_task::Runnable<Handle>;

/// A task on the drivers, as its maker sees it. Dropping it cancels the task; awaiting it returns the task's output,
/// or `None` if no driver will poll it.
pub(crate) type DrivenTask<T> = async_task::FallibleTask<T, Handle>;

/// Has the drivers poll a new task. Its output is that of the future, or `T::default()` after a panic, which ends this
/// task alone.
pub(super) fn start<T>(
    queue: &Arc<RunQueue<WokenTask>>,
    runtime: Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> DrivenTask<T>
where
    T: Default + Send + 'static,
{
    queue.begin_task();
    let future = CaughtFuture { future: Some(Box::pin(future)), queue: Arc::clone(queue) };
    let queue = Arc::clone(queue);
    let schedule = move |task: WokenTask, info: ScheduleInfo| {
        // To the end of the queue: no connection waits while another one is polled twice.
        let left = if info.woken_while_running { Err(task) } else { local::put_task(task, &queue) };
        if let Err(task) = left {
            queue.push(task);
        }
    };
    let (woken, task) = Builder::new().metadata(runtime).spawn(|_| future, WithInfo(schedule));
    woken.schedule();
    task.fallible()
}

/// A future whose panics, in a poll or in its drop, are caught: `async_task` would end the process in a drop. Counts in
/// the run queue until it is dropped, which it is after the poll that ends it, and by a driver.
struct CaughtFuture<T> {
    /// `None` while it is dropped.
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    queue: Arc<RunQueue<WokenTask>>,
}

impl<T: Default> Future for CaughtFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.future else { return Poll::Ready(T::default()) };
        catch_panic(|| future.as_mut().poll(cx)).unwrap_or_else(|panicked| {
            log::error!(error = %panicked, "a connection panicked");
            Poll::Ready(T::default())
        })
    }
}

impl<T> Drop for CaughtFuture<T> {
    fn drop(&mut self) {
        log::panic_of!(drop(self.future.take()), "a connection panicked when it was dropped");
        self.queue.end_task();
    }
}
