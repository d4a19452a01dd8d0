//! The threads of a pool: who is there, who works at what, who sleeps.
//!
//! Exact under the lock of the [`Queue`](super::Queue).
//!
//! Threads: any; under the lock of the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pool::line::LaneId;
use crate::pool::probe::Probe;
use crate::sync::Condvar;

/// A thread's place in its pool. Places are used again, and so are the names of threads, which go by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeatId(usize);

impl SeatId {
    /// Its number in the pool, from 1.
    pub(crate) fn number(self) -> usize {
        self.0 + 1
    }
}

#[derive(Debug)]
pub(crate) struct Crew<H> {
    seats: Vec<Option<Seat<H>>>,
    /// Those who sleep; whoever has slept for the shortest time is last.
    idle: Vec<SeatId>,
    /// How many there are, those included that are being started.
    live: usize,
    /// How many of them have been told to leave, and have not left.
    leaving: usize,
    /// How many are at work.
    busy: usize,
}

/// One thread.
#[derive(Debug)]
pub(crate) struct Seat<H> {
    /// Where it sleeps.
    pub(crate) bell: Arc<Condvar>,
    pub(crate) state: Wakefulness,
    /// It is among the idle.
    is_listed: bool,
    is_leaving: bool,
    /// How many jobs it has had since it slept.
    streak: usize,
    work: Option<Work<H>>,
    /// Tells whether it wants a processor.
    probe: Option<Arc<Probe>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakefulness {
    /// It waits to be called.
    Asleep,
    /// It was called, or started, to take a job.
    OnItsWay,
    Awake,
}

/// What a thread is at.
#[derive(Debug)]
pub(crate) struct Work<H> {
    pub(crate) lane: LaneId,
    pub(crate) since: Instant,
    /// It has taken so long that it is not likely to be done soon.
    pub(crate) is_slow: bool,
    /// It has taken so much longer than jobs do that its thread no longer counts.
    pub(crate) is_long: bool,
    /// Nobody waited for it when it was taken.
    pub(crate) is_void: bool,
    /// What the pool may know of the job, and do to it, while it runs.
    pub(crate) handle: H,
}

impl<H> Crew<H> {
    pub(crate) fn new() -> Self {
        Self { seats: Vec::new(), idle: Vec::new(), live: 0, leaving: 0, busy: 0 }
    }

    /// A place for a thread that is about to be started.
    pub(crate) fn join(&mut self, state: Wakefulness) -> SeatId {
        let seat = Seat {
            bell: Arc::new(Condvar::new()),
            state,
            is_listed: false,
            is_leaving: false,
            streak: 0,
            work: None,
            probe: None,
        };
        self.live += 1;
        match self.seats.iter().position(Option::is_none) {
            Some(free) => {
                self.seats[free] = Some(seat);
                SeatId(free)
            }
            None => {
                self.seats.push(Some(seat));
                SeatId(self.seats.len() - 1)
            }
        }
    }

    /// Tells a thread to leave. Nobody counts on it any more, or calls it.
    pub(crate) fn dismiss(&mut self, id: SeatId) {
        let Some(seat) = self.seat(id) else { return };
        seat.is_listed = false;
        if !std::mem::replace(&mut seat.is_leaving, true) {
            self.leaving += 1;
        }
        self.idle.retain(|idle| *idle != id);
    }

    /// Takes a thread out.
    pub(crate) fn leave(&mut self, id: SeatId) -> Option<Seat<H>> {
        let seat = self.seats.get_mut(id.0)?.take()?;
        self.live -= 1;
        self.leaving -= usize::from(seat.is_leaving);
        self.idle.retain(|idle| *idle != id);
        Some(seat)
    }

    pub(crate) fn seat(&mut self, id: SeatId) -> Option<&mut Seat<H>> {
        self.seats.get_mut(id.0)?.as_mut()
    }

    pub(crate) fn observe_with(&mut self, id: SeatId, probe: Arc<Probe>) {
        if let Some(seat) = self.seat(id) {
            seat.probe = Some(probe);
        }
    }

    /// A thread goes to sleep.
    pub(crate) fn falls_asleep(&mut self, id: SeatId) {
        let Some(seat) = self.seat(id) else { return };
        seat.state = Wakefulness::Asleep;
        seat.streak = 0;
        if !std::mem::replace(&mut seat.is_listed, true) {
            self.idle.push(id);
        }
    }

    /// Calls whoever has slept for the shortest time.
    pub(crate) fn call(&mut self) -> Option<(SeatId, Arc<Condvar>)> {
        let id = self.idle.pop()?;
        let seat = self.seat(id)?;
        seat.state = Wakefulness::OnItsWay;
        seat.is_listed = false;
        Some((id, Arc::clone(&seat.bell)))
    }

    /// Whoever has slept for the longest time, and stays asleep.
    pub(crate) fn longest_asleep(&mut self) -> Option<(SeatId, Arc<Condvar>)> {
        let id = *self.idle.first()?;
        let seat = self.seat(id)?;
        Some((id, Arc::clone(&seat.bell)))
    }

    /// A thread sets to work.
    pub(crate) fn begin(&mut self, id: SeatId, work: Work<H>) {
        if let Some(seat) = self.seat(id) {
            seat.work = Some(work);
            seat.streak += 1;
            self.busy += 1;
        }
    }

    /// A thread is done with what it was at.
    pub(crate) fn end(&mut self, id: SeatId) -> Option<Work<H>> {
        let work = self.seat(id)?.work.take()?;
        self.busy -= 1;
        Some(work)
    }

    /// Whether a thread has found more than one job since it slept.
    pub(crate) fn is_in_demand(&mut self, id: SeatId) -> bool {
        self.seat(id).is_some_and(|seat| seat.streak > 1)
    }

    /// How many threads there are.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// How many there are that have not been told to leave.
    pub(crate) fn staying(&self) -> usize {
        self.live - self.leaving
    }

    /// How many are at work.
    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    /// Where those sleep who do.
    pub(crate) fn bells(&self) -> impl Iterator<Item = &Arc<Condvar>> {
        self.idle.iter().filter_map(|id| Some(&self.seats.get(id.0)?.as_ref()?.bell))
    }

    /// Those who are at work, and what they are at.
    pub(crate) fn working(&self) -> impl Iterator<Item = (SeatId, &Work<H>)> {
        let seats = self.seats.iter().enumerate();
        seats.filter_map(|(at, seat)| Some((SeatId(at), seat.as_ref()?.work.as_ref()?)))
    }

    /// Takes note of those whose work has become slow, and long, at these ages. Says how many they are.
    pub(crate) fn note_ages(&mut self, slow: Duration, long: Duration) -> (usize, usize) {
        let now = Instant::now();
        let works = self.seats.iter_mut().flatten().filter_map(|seat| seat.work.as_mut());
        works.fold((0, 0), |(slow_ones, long_ones), work| {
            let age = now.saturating_duration_since(work.since);
            (work.is_slow, work.is_long) = (age >= slow, age >= long);
            (slow_ones + usize::from(work.is_slow), long_ones + usize::from(work.is_long))
        })
    }

    /// The probes of those who are at work, and not for long.
    pub(crate) fn probes(&self) -> impl Iterator<Item = &Arc<Probe>> {
        let counts = |seat: &&Seat<H>| seat.work.as_ref().is_some_and(|work| !work.is_long);
        self.seats.iter().flatten().filter(counts).filter_map(|seat| seat.probe.as_ref())
    }
}
