//! What the thread of a driver knows of itself.
//!
//! Threads: drivers.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::job::Job;
use crate::pool::drivers::run_queue::RunQueue;
use crate::pool::drivers::task::{self, WokenTask};
use crate::pool::drivers::{Shared, SharedSlot};
use crate::pool::thread_table::WorkerId;
use crate::pool::threads::Threads;

/// How often one poll may read from its socket or write to it, while others wait.
const MOST_TRANSFERS: u32 = 64;

/// A driver, as its own thread sees it.
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) id: WorkerId,
    pub(super) slot: SharedSlot,
    pub(super) doing: Doing,
}

/// What the driver does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It polls a task.
    Polling {
        /// How often the poll may still read or write.
        transfers: u32,
        /// The poll has made a job, which runs once it has returned.
        has_job: bool,
    },
    /// It is in the reactor. Events wake many tasks, which all go to the run queue.
    Leading,
    /// It runs a job, or looks for something to do.
    Other,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// This thread is a driver from now on.
pub(super) fn enter(local: Local) {
    LOCAL.set(Some(local));
}

/// This thread is no driver any more. Returns whether it was in the reactor, which it is only after a panic.
pub(super) fn leave() -> bool {
    LOCAL.take().is_some_and(|local| local.doing == Doing::Leading)
}

pub(super) fn begin_poll() {
    set(Doing::Polling { transfers: MOST_TRANSFERS, has_job: false });
}

/// Returns whether the poll has had its share of reads and writes.
pub(super) fn end_poll() -> bool {
    let ended = with(|local| std::mem::replace(&mut local.doing, Doing::Other));
    matches!(ended, Some(Doing::Polling { transfers: 0, .. }))
}

pub(super) fn set(doing: Doing) {
    with(|local| local.doing = doing);
}

/// Takes a woken task of these drivers into the slot, if this thread is one of them and its slot is free.
pub(super) fn put_task(task: WokenTask, queue: &Arc<RunQueue<WokenTask>>) -> Result<(), WokenTask> {
    let mut task = Some(task);
    with(|local| {
        task = task.take().and_then(|task| {
            // A job may wake a connection of another pool, whose drivers alone poll it.
            let is_ours = Arc::ptr_eq(&local.shared.queue, queue);
            let may_take = is_ours && local.doing != Doing::Leading;
            if may_take { local.slot.put_task(task).err() } else { Some(task) }
        });
    });
    task.map_or(Ok(()), Err)
}

/// The driver of these threads that may run a job after its poll, if this thread is one.
pub(crate) fn driver_of(threads: &Arc<Threads>) -> Option<WorkerId> {
    with(|local| {
        let may_take = matches!(local.doing, Doing::Polling { has_job: false, .. });
        (may_take && Arc::ptr_eq(&local.shared.threads, threads)).then_some(local.id)
    })?
}

/// Whether no task waits for this driver.
pub(crate) fn is_alone() -> bool {
    with(|local| !local.shared.queue.has_tasks()).unwrap_or(false)
}

/// Keeps the job until the poll has returned, unless this thread drives no more.
pub(crate) fn put_job(job: Job) -> Result<(), Job> {
    let mut job = Some(job);
    with(|local| {
        if let Doing::Polling { has_job, .. } = &mut local.doing {
            *has_job = true;
            job = job.take().and_then(|job| local.slot.put_job(job).err());
        }
    });
    job.map_or(Ok(()), Err)
}

/// Counts a read from a socket, or a write. Once the poll has had its share, wakes its task, which is polled again
/// after the others. Ready at once on threads of a runtime, which bounds its polls itself.
pub(crate) fn take_turn(cx: &Context<'_>) -> Poll<()> {
    let is_over = with(|local| match &mut local.doing {
        Doing::Polling { transfers: 0, .. } => true,
        Doing::Polling { transfers, .. } => {
            *transfers -= 1;
            false
        }
        Doing::Leading | Doing::Other => false,
    });
    if is_over != Some(true) {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Spawns a task on the drivers if this thread is one, else on its runtime.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    match with(|local| Arc::clone(&local.shared)) {
        Some(shared) => task::start(&shared.queue, Handle::current(), future).detach(),
        None => drop(tokio::spawn(future)),
    }
}

/// The reactor that this thread drives, if it is a driver.
pub(crate) fn reactor() -> Option<Handle> {
    with(|local| local.shared.reactor.handle())
}

/// `None` on other threads, and at the end of this one.
fn with<R>(run: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.try_with(|local| local.borrow_mut().as_mut().map(run)).ok().flatten()
}
