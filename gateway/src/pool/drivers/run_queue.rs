//! The tasks that were woken and not polled yet, and the roles of the drivers.
//!
//! A driver that finds no task leads if nobody leads, and else sleeps. The leader waits in the reactor for events; its
//! future is ready as soon as the queue is not empty. One lock guards the queue and the roles, so that no task is
//! stranded: a push finds a leader that waits, or a driver that is awake and looks again, or it calls a driver. A
//! driver that is awake may be in a long poll or job: the watch looks after the rest.
//!
//! Threads: any; `sleep` on drivers, and blocks.

use std::collections::VecDeque;
#[cfg(not(gateway_loom))]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[cfg(gateway_loom)]
use loom::sync::atomic::AtomicBool;

use crate::sync::{Condvar, Mutex, lock, wait, wait_timeout};

/// More tasks than this have to wait before another driver is called while one is awake; before a job, as many.
/// Below that, its wake-up takes longer than the tasks. The watch calls one for tasks that still wait at its tick.
/// Models have few tasks.
const WORTH_A_CALL: usize = if cfg!(gateway_loom) { 1 } else { 6 };

pub(super) struct RunQueue<T> {
    state: Mutex<State<T>>,
    /// Whether the queue is not empty. Stored under the lock, and read before each job without it.
    has_tasks: AtomicBool,
    /// Drivers without a task wait here.
    called: Condvar,
    /// The watch waits here.
    watch_called: Condvar,
}

struct State<T> {
    tasks: VecDeque<T>,
    leader: Leader,
    /// Drivers that poll tasks or run jobs, the leader, and those that were called.
    awake: usize,
    /// Drivers that wait to be called.
    asleep: usize,
    /// Calls that no driver has taken yet.
    calls: usize,
    /// The most drivers that are awake.
    limit: usize,
    /// Tasks that have not ended, queued or not.
    alive: usize,
    /// How often a driver has entered the reactor, and the same at the last tick.
    looks: u64,
    looks_at_tick: u64,
    /// The next driver looks at the reactor before it takes a task.
    has_to_look: bool,
    /// The watch ticks. If not, the next driver that takes a task calls it.
    is_watched: bool,
    /// No driver is needed any more.
    is_closed: bool,
}

/// Whether a driver waits in the reactor.
#[derive(Debug)]
enum Leader {
    None,
    /// A driver is about to wait, or was woken, and looks into the queue next.
    Looking,
    /// A driver waits. The waker makes it look.
    Waiting(Waker),
}

/// What a driver does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// Poll this task.
    Poll(T),
    /// Wait in the reactor until [`poll_lead`](RunQueue::poll_lead) is ready, then call
    /// [`stop_leading`](RunQueue::stop_leading).
    Lead,
    /// Take the events that are there, then call [`stop_leading`](RunQueue::stop_leading).
    Look,
    /// [`sleep`](RunQueue::sleep).
    Sleep,
    /// End.
    End,
}

/// Whom a push has to call, after the lock is released.
#[must_use]
enum Call {
    None,
    Leader(Waker),
    Driver,
}

impl<T> RunQueue<T> {
    pub(super) fn new(drivers: usize) -> Self {
        let state = State {
            tasks: VecDeque::new(),
            leader: Leader::None,
            awake: 0,
            asleep: 0,
            calls: 0,
            limit: drivers,
            alive: 0,
            looks: 0,
            looks_at_tick: 0,
            has_to_look: false,
            is_watched: false,
            is_closed: false,
        };
        let has_tasks = AtomicBool::new(false);
        Self { state: Mutex::new(state), has_tasks, called: Condvar::new(), watch_called: Condvar::new() }
    }

    /// A driver has started, and is awake.
    pub(super) fn join(&self) {
        lock(&self.state).awake += 1;
    }

    /// A driver has become a worker, in a job. Another one is called for the tasks that wait, or to lead, if none is
    /// awake or many wait.
    pub(super) fn leave(&self) {
        self.change(|state| {
            state.awake -= 1;
            // Somebody has to lead, even if no task waits.
            if matches!(state.leader, Leader::None) || !state.tasks.is_empty() { state.call() } else { Call::None }
        });
    }

    /// A task has begun. The drivers stay until it has ended, even if the queue is closed.
    pub(super) fn begin_task(&self) {
        lock(&self.state).alive += 1;
    }

    pub(super) fn end_task(&self) {
        self.end_if_done(|state| state.alive -= 1);
    }

    /// Queues a task.
    pub(super) fn push(&self, task: T) {
        self.change(|state| {
            state.tasks.push_back(task);
            self.has_tasks.store(true, Ordering::Relaxed);
            state.call()
        });
    }

    /// The next task, or what to do while there is none.
    pub(super) fn next(&self) -> Next<T> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.has_to_look) && state.begin_look() {
            return Next::Look;
        }
        if let Some(task) = state.tasks.pop_front() {
            self.has_tasks.store(!state.tasks.is_empty(), Ordering::Relaxed);
            // Seldom: the watch ticks for a while after the last poll.
            if !std::mem::replace(&mut state.is_watched, true) {
                self.watch_called.notify_one();
            }
            return Next::Poll(task);
        }
        if !state.is_needed() {
            state.awake -= 1;
            return Next::End;
        }
        if state.begin_look() {
            return Next::Lead;
        }
        // Counted here, not when it sleeps: a push in between calls it.
        state.awake -= 1;
        state.asleep += 1;
        Next::Sleep
    }

    /// Waits for a call, or for the end.
    pub(super) fn sleep(&self) {
        let mut state = lock(&self.state);
        while state.calls == 0 && state.is_needed() {
            state = wait(&self.called, state);
        }
        state.asleep -= 1;
        match state.calls.checked_sub(1) {
            // Counted as awake by the call.
            Some(calls) => state.calls = calls,
            // The queue was closed.
            None => state.awake += 1,
        }
    }

    /// Leads at once for one look at the reactor, if nobody leads.
    pub(super) fn try_lead(&self) -> bool {
        lock(&self.state).begin_look()
    }

    /// The future of the leader: ready as soon as the queue is not empty.
    pub(super) fn poll_lead(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        // The last look before the wait, in the critical section that stores the waker: a later push finds it.
        if !state.tasks.is_empty() || !state.is_needed() {
            return Poll::Ready(());
        }
        state.leader = Leader::Waiting(cx.waker().clone());
        Poll::Pending
    }

    /// The leader has left the reactor.
    pub(super) fn stop_leading(&self) {
        self.change(|state| {
            state.leader = Leader::None;
            state.call()
        });
    }

    /// Whether tasks wait, as far as this driver knows: it has queued the last ones itself, most often.
    pub(super) fn has_tasks(&self) -> bool {
        self.has_tasks.load(Ordering::Relaxed)
    }

    /// This driver is about to run a job, in which it sees to nothing else. Another one is called if enough tasks wait,
    /// and nobody sees to them.
    pub(super) fn hand_over(&self) {
        // Race: a push after this look. As after the lock below, it finds this driver awake, and calls nobody: the
        // watch does, if the job lasts.
        if !self.has_tasks() {
            return;
        }
        self.change(
            |state| {
                if state.tasks.len() < WORTH_A_CALL || state.awake > 1 { Call::None } else { state.call_driver() }
            },
        );
    }

    /// A tick of the watch. `has_turned`: a driver has begun a poll or a job since the last one.
    ///
    /// If none has, all that are awake are in a long poll or job, and nobody sees to the rest. If one has, it may have
    /// found tasks all the time, and so nobody the events: a poll may take nearly as long as a tick. And tasks that
    /// wait at a tick, however few, are worth a call.
    pub(super) fn tick(&self, has_turned: bool) {
        self.change(|state| {
            let has_leader = !matches!(state.leader, Leader::None);
            let has_looked = has_leader || state.looks != state.looks_at_tick;
            state.looks_at_tick = state.looks;
            let is_attended = has_looked && (has_turned || has_leader && state.tasks.is_empty());
            state.has_to_look |= !is_attended && !has_leader;
            if is_attended && state.tasks.is_empty() { Call::None } else { state.call_driver() }
        });
    }

    /// The watch waits without a timer until a driver polls. Returns `false` at the end of the drivers.
    pub(super) fn await_poll(&self) -> bool {
        let mut state = lock(&self.state);
        while !state.is_watched && state.is_needed() {
            state = wait(&self.watch_called, state);
        }
        state.is_needed()
    }

    /// The watch waits until its next tick. Returns `false` at the end of the drivers.
    pub(super) fn await_tick(&self, interval: Duration) -> bool {
        let state = lock(&self.state);
        if !state.is_needed() {
            return false;
        }
        wait_timeout(&self.watch_called, state, interval).0.is_needed()
    }

    /// The watch pauses, unless a driver polls or runs a job. Returns whether it pauses.
    pub(super) fn pause_watch(&self) -> bool {
        let mut state = lock(&self.state);
        let waits = usize::from(matches!(state.leader, Leader::Waiting(_)));
        // In the critical section of the check: a driver that takes a task later finds that nobody watches.
        state.is_watched = state.awake > waits || !state.tasks.is_empty();
        !state.is_watched
    }

    /// Ends the drivers, once all tasks have ended.
    pub(super) fn close(&self) {
        self.end_if_done(|state| state.is_closed = true);
    }

    /// After a change, has all drivers look, and end, if none is needed.
    fn end_if_done(&self, change: impl FnOnce(&mut State<T>)) {
        let leader = {
            let mut state = lock(&self.state);
            change(&mut state);
            if state.is_needed() { return } else { state.wake_leader() }
        };
        self.called.notify_all();
        self.watch_called.notify_one();
        if let Some(waker) = leader {
            waker.wake();
        }
    }

    /// Changes the state, then makes the call that the change asks for, after the lock is released.
    fn change(&self, change: impl FnOnce(&mut State<T>) -> Call) {
        let call = change(&mut lock(&self.state));
        match call {
            Call::None => {}
            Call::Leader(waker) => waker.wake(),
            Call::Driver => self.called.notify_one(),
        }
    }
}

impl<T> State<T> {
    /// Makes this driver the leader, if there is none.
    fn begin_look(&mut self) -> bool {
        let leads = matches!(self.leader, Leader::None);
        if leads {
            self.leader = Leader::Looking;
            self.looks += 1;
        }
        leads
    }

    /// Whether there will be tasks to poll.
    fn is_needed(&self) -> bool {
        !self.is_closed || self.alive > 0
    }

    /// Decides who is called for the tasks in the queue.
    fn call(&mut self) -> Call {
        if let Some(waker) = self.wake_leader() {
            return Call::Leader(waker);
        }
        let has_someone = self.awake > 0 && self.tasks.len() <= WORTH_A_CALL;
        if has_someone { Call::None } else { self.call_driver() }
    }

    fn call_driver(&mut self) -> Call {
        if self.asleep <= self.calls || self.awake >= self.limit {
            return Call::None;
        }
        // Counted as awake from now on, so that one push after another does not call all drivers.
        self.calls += 1;
        self.awake += 1;
        Call::Driver
    }

    fn wake_leader(&mut self) -> Option<Waker> {
        match std::mem::replace(&mut self.leader, Leader::Looking) {
            Leader::Waiting(waker) => Some(waker),
            other => {
                self.leader = other;
                None
            }
        }
    }
}
