//! The queue of a pool: where the runtime hands jobs over, and where threads take them.
//!
//! One lock holds three parts: the [`Line`], which says whose turn it is; the [`Crew`], which says who is there; and
//! [`Waking`], which says how many of them should be awake. What they decide is done here, but for starting threads, which the
//! caller is told to do.
//!
//! No job is stranded: while there is a line and a thread that could take it, someone is at work and will be back for it, or on
//! its way, or watches with a timer.
//!
//! Threads: any; `next` on the pool, and blocks.

mod state;
#[cfg(all(test, not(gateway_loom)))]
mod tests;
#[cfg(all(test, gateway_loom))]
mod loom_tests;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use self::state::State;
pub(crate) use self::state::{Call, Entry, Limits};
use crate::catch_panic::fence;
use crate::log;
use crate::pool::crew::{SeatId, Wakefulness, Work};
use crate::pool::line::{COMMON, LaneId, Share};
use crate::pool::meter::Meter;
use crate::pool::probe::Probe;
use crate::pool::waking::{LOOK, Waking};
use crate::sync::{Countdown, Mutex, MutexGuard, lock, wait, wait_timeout};

/// What a queue carries.
pub(crate) trait Item {
    /// What the pool may know of an item, and do to it, while it runs.
    type Handle;

    fn handle(&self) -> Self::Handle;

    /// Nobody waits for it any more.
    fn is_obsolete(&self) -> bool;

    /// Tells whoever waits for an item that it has to wait in line, whatever its [`Entry`] was.
    fn delay(handle: &Self::Handle);
}

pub(crate) struct Queue<T: Item> {
    state: Mutex<State<T>>,
}

/// So many threads are reserved already, which leaves too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reserved(pub(crate) usize);

/// How a pool is doing, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Census {
    pub(crate) limits: Limits,
    pub(crate) threads: usize,
    pub(crate) busy: usize,
    pub(crate) queued: usize,
    pub(crate) reserved: usize,
    pub(crate) completed: u64,
    pub(crate) would_have_shed: u64,
    /// How long a job takes, of late.
    pub(crate) service: Duration,
    /// Whether a job that comes by the lane in question would be let in.
    pub(crate) has_room: bool,
    pub(crate) closed: bool,
}

impl<T: Item> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State::new(limits)) }
    }

    /// A place for a thread that is about to be started without a job. It goes to sleep first.
    pub(crate) fn join(&self) -> SeatId {
        lock(&self.state).crew.join(Wakefulness::Asleep)
    }

    /// Lets a job in, or gives it back: there is no room, or the queue is closed. Jobs that nobody waits for any more keep no
    /// place.
    pub(crate) fn push(&self, lane: LaneId, job: T) -> Result<(Entry, Call), T> {
        let mut state = lock(&self.state);
        let obsolete = state.make_room(lane);
        let admitted = state.admit(lane, job);
        drop(state);
        // Outside the lock, and behind the fence: what the jobs free is not our business.
        if let Err(panicked) = fence(|| drop(obsolete)) {
            log::error!(error = %panicked, "a job panicked when it was dropped");
        }
        admitted
    }

    /// Gives up the job in hand, if any, and waits for the next. `None` tells the thread to leave. Calls `on_end` when the job is
    /// given up, outside the lock.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn next(&self, id: SeatId, meter: &mut Meter, on_end: impl Fn()) -> Option<(T, Call)> {
        // Once, and before the lock, under which others wait.
        let mut now = Instant::now();
        let computed = meter.ends(now);
        let mut state = lock(&self.state);
        if let Some(ended) = state.end(id, now) {
            if let Some(part) = computed {
                state.waking.computed(part);
            }
            if state.look_is_due(now) {
                state = self.look(state);
                now = Instant::now();
            }
            let taken = state.take(id, now);
            let is_in_demand = state.is_in_demand(id);
            // Outside the lock, and before any wait: nothing of a job is kept by the thread that ran it.
            drop(state);
            drop(ended);
            on_end();
            if taken.is_some() {
                meter.begins(now);
                return taken;
            }
            if is_in_demand {
                // Whoever would bring the next job may be waiting for this very processor. To let it go first costs less than to sleep and
                // to be woken again. Once: this is no spinning.
                std::thread::yield_now();
            }
            state = lock(&self.state);
        }
        loop {
            let now = Instant::now();
            if let Some(taken) = state.take(id, now) {
                meter.begins(now);
                return Some(taken);
            }
            if state.is_to_leave() {
                state.crew.dismiss(id);
                return None;
            }
            state = self.sleep(state, id)?;
        }
    }

    /// Sleeps until something has changed. `None` if the thread was idle for too long, and is not needed.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<T>>, id: SeatId) -> Option<MutexGuard<'a, State<T>>> {
        let bell = state.rest(id)?;
        if state.watcher == Some(id) {
            let (woken, timed_out) = wait_timeout(&bell, state, LOOK);
            state = woken;
            if timed_out && state.watcher == Some(id) {
                state.watcher = None;
                if state.line.is_ready() {
                    if state.look_is_due(Instant::now()) {
                        state = self.look(state);
                    } else {
                        state.note_ages();
                    }
                    // Nobody has come for the line since: whether or not it seemed to pay, it gets another thread.
                    match state.call_if(Waking::allows_another) {
                        Call::Wake(other) => other.notify_one(),
                        Call::Nobody | Call::Hire(_) => {}
                    }
                }
            }
            return Some(state);
        }
        match state.limits.idle_timeout.filter(|_| state.crew.staying() > state.limits.min) {
            None => Some(wait(&bell, state)),
            Some(timeout) => {
                let (mut state, timed_out) = wait_timeout(&bell, state, timeout);
                let is_idle =
                    state.crew.staying() > state.limits.min && state.is_asleep(id) && state.watcher != Some(id);
                if timed_out && is_idle {
                    state.crew.dismiss(id);
                    return None;
                }
                Some(state)
            }
        }
    }

    /// Counts who of those at work is runnable, outside the lock, unless it is known that few would be, and draws the conclusions.
    fn look<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        /// As many as are asked, at some microseconds each. Of threads that wait for each other a single one runs, which a small
        /// sample misses, and so takes all for blocked.
        const SAMPLE: usize = 256;

        /// Of one processor's time, looking may take so small a part.
        const SHARE: u32 = 32;

        // Nobody else looks meanwhile.
        state.until_look = Some(Countdown::new(Duration::from_secs(1)));
        let begun = Instant::now();
        state.note_ages();
        let busy = state.crew.busy() - state.waking.long();
        let runnable = if state.waking.jobs_block() {
            Some(0)
        } else {
            let sample: Vec<Arc<Probe>> = state.crew.probes().take(SAMPLE).cloned().collect();
            drop(state);
            let asked = sample.len();
            let runnable: Option<usize> = sample.iter().map(|probe| probe.is_runnable().map(usize::from)).sum();
            state = lock(&self.state);
            // Of the sample, or none could be asked.
            runnable.filter(|_| asked > 0 || busy == 0).map(|count| (count * busy).div_ceil(asked.max(1)))
        };
        let allowed = state.waking.allowed();
        state.waking.look(runnable);
        let pause = state.waking.pause().max(begun.elapsed().saturating_mul(SHARE));
        state.until_look = Some(Countdown::new(pause));
        if state.waking.allowed() >= allowed {
            return state;
        }
        let delayed = state.delayed();
        drop(state);
        delayed.iter().for_each(T::delay);
        lock(&self.state)
    }

    /// Takes out a thread that the system has refused. None is asked for again for a while, as it would be refused, too.
    pub(crate) fn refused(&self, id: SeatId) -> (Vec<T>, Call) {
        let mut state = lock(&self.state);
        state.hires_again = Some(Instant::now() + Duration::from_secs(1));
        let delayed = state.delayed();
        drop(state);
        delayed.iter().for_each(T::delay);
        self.leave(id)
    }

    /// Takes a thread out of the count. Without any thread left, gives back the jobs that nobody will run.
    pub(crate) fn leave(&self, id: SeatId) -> (Vec<T>, Call) {
        let mut state = lock(&self.state);
        // One that was killed in the middle of a job has not given it up.
        let ended = state.end(id, Instant::now());
        let Some(seat) = state.crew.leave(id) else { return (Vec::new(), Call::Nobody) };
        if seat.state == Wakefulness::OnItsWay {
            state.waking.arrived();
        }
        if seat.state != Wakefulness::Asleep {
            state.waking.rests();
        }
        if state.watcher == Some(id) {
            state.watcher = None;
        }
        let call = state.call();
        if state.crew.live() > 0 {
            drop(state);
            drop(ended);
            return (Vec::new(), call);
        }
        let waiting = std::mem::take(&mut state.waiting_for_end);
        let orphans = state.line.take_out(|_| true);
        drop(state);
        drop(ended);
        waiting.into_iter().for_each(Waker::wake);
        (orphans, Call::Nobody)
    }

    /// What this thread is to be looked at by.
    pub(crate) fn observe_with(&self, id: SeatId, probe: Arc<Probe>) {
        lock(&self.state).crew.observe_with(id, probe);
    }

    /// A lane of its own.
    pub(crate) fn open_lane(&self, share: Share) -> Result<LaneId, Reserved> {
        let mut state = lock(&self.state);
        let reserved = state.line.reserved();
        // Somebody has to run the rest.
        if share.reserved > 0 && reserved.saturating_add(share.reserved) >= state.limits.max {
            return Err(Reserved(reserved));
        }
        let lane = state.line.open(share);
        if share.reserved > 0 {
            let delayed = state.delayed();
            drop(state);
            delayed.iter().for_each(T::delay);
        }
        Ok(lane)
    }

    pub(crate) fn close_lane(&self, lane: LaneId) -> Call {
        let mut state = lock(&self.state);
        state.line.close(lane);
        state.call()
    }

    /// Sets other limits, unless more is reserved than that. Threads beyond the most leave as soon as they are idle;
    /// [`refill`](Queue::refill) tells of those that are to be started.
    pub(crate) fn resize(&self, min: usize, max: usize, places: usize) -> Result<Call, Reserved> {
        let mut state = lock(&self.state);
        let reserved = state.line.reserved();
        if reserved > 0 && reserved >= max {
            return Err(Reserved(reserved));
        }
        (state.limits.min, state.limits.max, state.limits.places) = (min, max, places);
        state.line.resize(max, places);
        state.waking.resize(max);
        state.crew.bells().for_each(|bell| bell.notify_one());
        let call = state.call();
        let delayed = state.delayed();
        drop(state);
        delayed.iter().for_each(T::delay);
        Ok(call)
    }

    /// A thread to start because there are fewer than there should be.
    pub(crate) fn refill(&self) -> Option<SeatId> {
        let mut state = lock(&self.state);
        let is_short = !state.closed && state.crew.staying() < state.limits.min;
        is_short.then(|| state.crew.join(Wakefulness::Asleep))
    }

    /// Lets nothing in any more. What is queued still runs, then the threads leave.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.watcher = None;
        while let Some((_, bell)) = state.crew.call() {
            state.waking.woken();
            bell.notify_one();
        }
    }

    /// Takes all jobs off the line. They are given back, to be dropped.
    pub(crate) fn clear(&self) -> Vec<T> {
        lock(&self.state).line.take_out(|_| true)
    }

    /// How the pool is doing, as seen from a lane.
    pub(crate) fn census(&self, lane: LaneId) -> Census {
        self.survey(lane, |_, _| ()).0
    }

    /// How the pool is doing, as seen from a lane, and what `look` makes of each job that runs; all of one moment.
    pub(crate) fn survey<R>(&self, lane: LaneId, look: impl Fn(SeatId, &Work<T::Handle>) -> R) -> (Census, Vec<R>) {
        let state = lock(&self.state);
        let running = state.crew.working().map(|(id, work)| look(id, work)).collect();
        let census = Census {
            limits: state.limits.clone(),
            threads: state.crew.live(),
            busy: state.crew.busy(),
            queued: state.line.queued(),
            reserved: state.line.reserved(),
            completed: state.completed,
            would_have_shed: state.would_have_shed,
            service: state.waking.service(),
            has_room: state.takes_jobs() && (state.limits.report_only || state.line.has_room(lane)),
            closed: state.closed,
        };
        (census, running)
    }

    pub(crate) fn max_threads(&self) -> usize {
        lock(&self.state).limits.max
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// What `look` makes of each job that runs, under the lock.
    pub(crate) fn running<R>(&self, look: impl Fn(SeatId, &Work<T::Handle>) -> R) -> Vec<R> {
        self.survey(COMMON, look).1
    }

    /// Waits until the last thread has left.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.crew.live() == 0 {
            return Poll::Ready(());
        }
        if !state.waiting_for_end.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting_for_end.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
