//! The drivers, single-stepped: no thread runs, and nothing watches unless the test does.
//!
//! Threads: the test's.

use std::sync::atomic::AtomicU64;

use tokio::sync::Notify;

use super::*;
use crate::pool::builder::PoolBuilder;
use crate::pool::drivers::run_queue::Next;
use crate::pool::drivers::steps::{MOST_IN_A_ROW, POLLS_PER_LOOK, Step, Steps};
use crate::pool::drivers::watch::Watch;
use crate::pool::queue::Queue;

/// A driver whose tasks are numbers, and whose jobs are letters.
struct Stepped {
    queue: Arc<RunQueue<u32>>,
    slot: DriverSlot<u32, char>,
    steps: Steps,
}

impl Stepped {
    fn join(queue: &Arc<RunQueue<u32>>) -> Self {
        queue.join();
        Self { queue: Arc::clone(queue), slot: DriverSlot::new(), steps: Steps::default() }
    }

    fn next(&mut self) -> Step<u32, char> {
        self.steps.next(&self.slot, &self.queue)
    }
}

const LEAD: Step<u32, char> = Step::Other(Next::Lead);
const LOOK: Step<u32, char> = Step::Other(Next::Look);

fn poll(task: u32) -> Step<u32, char> {
    Step::Other(Next::Poll(task))
}

/// Before a driver runs a job, the task that it has in hand goes to where another driver finds it.
#[test]
fn no_task_waits_behind_a_job() {
    let queue = Arc::new(RunQueue::new(2));
    let (mut driver, mut other) = (Stepped::join(&queue), Stepped::join(&queue));
    assert_eq!(driver.slot.put_task(1), Ok(()));
    assert_eq!(driver.slot.put_job('a'), Ok(()));
    assert_eq!(driver.next(), Step::Run('a'));
    assert_eq!(other.next(), poll(1));
    assert_eq!(driver.next(), LEAD);
}

/// A connection whose responses wake it, and whose next requests are there, keeps no other one waiting.
#[test]
fn the_slot_of_a_driver_does_not_come_first_for_ever() {
    let queue = Arc::new(RunQueue::new(1));
    let mut driver = Stepped::join(&queue);
    queue.push(2);
    for _ in 0..MOST_IN_A_ROW {
        assert_eq!(driver.slot.put_task(1), Ok(()));
        assert_eq!(driver.next(), poll(1));
        assert_eq!(driver.slot.put_job('a'), Ok(()));
        assert_eq!(driver.next(), Step::Run('a'));
    }
    assert_eq!(driver.slot.put_task(1), Ok(()));
    assert_eq!(driver.next(), poll(2));
    assert_eq!(driver.next(), poll(1), "behind the others");
    assert_eq!(driver.slot.put_task(1), Ok(()));
    queue.push(2);
    assert_eq!(driver.next(), poll(1), "it comes first again");
}

/// Events are taken even if the run queue is never empty, unless another driver is in the reactor.
#[test]
fn the_reactor_is_looked_at_after_so_many_polls() {
    let queue = Arc::new(RunQueue::new(2));
    let mut driver = Stepped::join(&queue);
    for after in [LOOK, poll(1)] {
        for _ in 0..POLLS_PER_LOOK {
            queue.push(1);
            assert_eq!(driver.next(), poll(1));
        }
        queue.push(1);
        assert_eq!(driver.next(), after, "nobody has stopped leading since the first round");
    }
    queue.stop_leading();
    queue.push(1);
    assert_eq!(driver.next(), poll(1), "the other one has looked");
    driver.steps.count_long_poll();
    queue.push(1);
    assert_eq!(driver.next(), LOOK);
}

/// The watch sees that the driver goes on.
#[test]
fn each_poll_and_each_job_is_a_turn() {
    let queue = Arc::new(RunQueue::new(1));
    let mut driver = Stepped::join(&queue);
    assert_eq!(driver.slot.put_task(1), Ok(()));
    assert_eq!(driver.next(), poll(1));
    assert!(driver.slot.has_turned());
    assert_eq!(driver.slot.put_job('a'), Ok(()));
    assert_eq!(driver.next(), Step::Run('a'));
    assert!(driver.slot.has_turned());
    assert_eq!(driver.next(), LEAD);
    assert!(!driver.slot.has_turned());
}

/// A job holds its driver when its response has just woken the connection.
#[test]
fn the_task_of_a_held_driver_goes_to_the_others() {
    other_driver_finds_the_task(|shared, driver| shared.release(driver));
}

/// So does the task of a driver whose poll lasts.
#[test]
fn the_watch_takes_the_task_of_a_driver_that_does_not_go_on() {
    other_driver_finds_the_task(|shared, _| Watch::default().tick(shared));
}

/// What the watch does to a driver with a task in its slot leads to a poll of that task.
fn other_driver_finds_the_task(watch: impl FnOnce(&Arc<Shared>, WorkerId)) {
    let threads = Threads {
        queue: Queue::new(PoolBuilder::default().limits()),
        name: "stepped".to_owned(),
        stack_size: 0,
        thread_left: Notify::new(),
        shed: AtomicU64::new(0),
        drivers: Mutex::default(),
    };
    threads.queue.want_drivers(1);
    let driver = threads.queue.join_driver().unwrap();
    let shared = Arc::new(Shared {
        threads: Arc::new(threads),
        queue: Arc::new(RunQueue::new(2)),
        reactor: Reactor::new().unwrap(),
        slots: Mutex::default(),
    });
    let Shared { queue, reactor, .. } = &*shared;
    let slot = SharedSlot::new(DriverSlot::new());
    shared.enlist(driver, &slot);
    queue.join();
    let _task = task::start(queue, reactor.handle(), std::future::pending::<()>());
    let Next::Poll(woken) = queue.next() else { panic!("the task is not queued") };
    assert!(slot.put_task(woken).is_ok());
    watch(&shared, driver);
    queue.join();
    let next = match queue.next() {
        Next::Look => {
            queue.stop_leading();
            queue.next()
        }
        next => next,
    };
    assert!(matches!(next, Next::Poll(_)), "the task is lost");
}
