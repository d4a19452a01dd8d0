//! Models of the drivers, in which loom tries every order of events: see `models`.
//!
//! Threads: loom's.

use loom::thread;

use super::driver_slot::DriverSlot;
use super::run_queue::{Next, RunQueue};
use super::steps::{Step, Steps};
use crate::models::{assert_outcomes, block_on};
use crate::sync::{Arc, Mutex, lock};

/// Takes the steps of a driver, with numbers as tasks.
fn drive<T, J>(queue: &RunQueue<T>, slot: &DriverSlot<T, J>, mut poll: impl FnMut(T), mut run: impl FnMut(J)) {
    let mut steps = Steps::default();
    loop {
        match steps.next(slot, queue) {
            Step::Run(job) => run(job),
            Step::Other(Next::Poll(task)) => poll(task),
            Step::Other(Next::Lead) => {
                block_on(|cx| queue.poll_lead(cx));
                queue.stop_leading();
            }
            Step::Other(Next::Look) => queue.stop_leading(),
            Step::Other(Next::Sleep) => queue.sleep(),
            Step::Other(Next::End) | Step::Held => return,
        }
    }
}

/// The same without jobs.
fn drive_tasks<T>(queue: &RunQueue<T>, poll: impl FnMut(T)) {
    drive(queue, &DriverSlot::<T, ()>::new(), poll, |()| ());
}

/// A lost call would be a deadlock: the waits have no timeout.
#[test]
fn every_task_is_polled_and_all_drivers_end() {
    assert_outcomes(&[vec![1, 2]], || {
        let queue = Arc::new(RunQueue::new(2));
        let polled = Arc::new(Mutex::new(Vec::new()));
        let drivers = [(); 2].map(|()| {
            let (queue, polled) = (Arc::clone(&queue), Arc::clone(&polled));
            queue.join();
            thread::spawn(move || drive_tasks(&queue, |task| lock(&polled).push(task)))
        });
        queue.push(1);
        queue.push(2);
        queue.close();
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
        let mut polled = lock(&polled).clone();
        polled.sort_unstable();
        polled
    });
}

/// A driver has a task in hand when it runs a job: another driver polls the task.
#[test]
fn a_task_that_waits_behind_a_job_is_polled_by_another_driver() {
    assert_outcomes(&[()], || {
        let queue = Arc::new(RunQueue::new(2));
        let (is_polled, polled) = (Arc::new(Mutex::new(false)), Arc::new(crate::sync::Condvar::new()));
        let wait = |is_polled: &Mutex<bool>, polled: &crate::sync::Condvar| {
            let mut is_polled = lock(is_polled);
            while !*is_polled {
                is_polled = crate::sync::wait(polled, is_polled);
            }
        };
        let drivers = [(); 2].map(|()| {
            let (queue, is_polled, polled) = (Arc::clone(&queue), Arc::clone(&is_polled), Arc::clone(&polled));
            queue.join();
            thread::spawn(move || {
                let slot = DriverSlot::new();
                let poll = |task| {
                    if task == 1 {
                        slot.put_task(2).unwrap();
                        slot.put_job(()).unwrap();
                    } else {
                        *lock(&is_polled) = true;
                        polled.notify_all();
                    }
                };
                // The job lasts until the other task was polled.
                drive(&queue, &slot, poll, |()| wait(&is_polled, &polled));
            })
        });
        queue.push(1);
        wait(&is_polled, &polled);
        queue.close();
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    });
}

/// A driver is in a poll that ends only after another task was polled: the watch calls a driver that sleeps.
#[test]
fn a_task_behind_a_long_poll_is_polled_by_another_driver() {
    assert_outcomes(&[()], || {
        let queue = Arc::new(RunQueue::new(2));
        // How many tasks have begun.
        let (begun, changed) = (Arc::new(Mutex::new(0)), Arc::new(crate::sync::Condvar::new()));
        let wait_for = |begun: &Mutex<u8>, changed: &crate::sync::Condvar, number| {
            let mut begun = lock(begun);
            while *begun < number {
                begun = crate::sync::wait(changed, begun);
            }
        };
        let drivers = [(); 2].map(|()| {
            let (queue, begun, changed) = (Arc::clone(&queue), Arc::clone(&begun), Arc::clone(&changed));
            queue.join();
            thread::spawn(move || {
                drive_tasks(&queue, |task| {
                    *lock(&begun) += 1;
                    changed.notify_all();
                    if task == 1 {
                        wait_for(&begun, &changed, 2);
                    }
                });
            })
        });
        queue.push(1);
        wait_for(&begun, &changed, 1);
        queue.push(2);
        queue.tick(false);
        wait_for(&begun, &changed, 2);
        queue.close();
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    });
}

/// A driver that is held leaves while the other one sleeps: that one leads, although no task waits.
#[test]
fn somebody_leads_after_a_driver_has_left() {
    assert_outcomes(&[()], || {
        let queue = Arc::new(RunQueue::<()>::new(2));
        let (leads, changed) = (Arc::new(Mutex::new(false)), Arc::new(crate::sync::Condvar::new()));
        queue.join();
        queue.join();
        assert_eq!(queue.next(), Next::Lead);
        let (other, leads_then, has_changed) = (Arc::clone(&queue), Arc::clone(&leads), Arc::clone(&changed));
        let driver = thread::spawn(move || {
            loop {
                match other.next() {
                    Next::Lead => {
                        *lock(&leads_then) = true;
                        has_changed.notify_all();
                        block_on(|cx| other.poll_lead(cx));
                        other.stop_leading();
                    }
                    // Unless the first one has left the reactor.
                    Next::Sleep => other.sleep(),
                    _ => return,
                }
            }
        });
        queue.stop_leading();
        queue.leave();
        let mut has_led = lock(&leads);
        while !*has_led {
            has_led = crate::sync::wait(&changed, has_led);
        }
        drop(has_led);
        queue.close();
        driver.join().unwrap();
    });
}

/// A driver takes a task while the watch is about to pause: either it goes on, or it is called.
#[test]
fn a_poll_is_watched() {
    assert_outcomes(&[true, false], || {
        let queue = Arc::new(RunQueue::new(1));
        queue.join();
        queue.push(());
        assert_eq!(queue.next(), Next::Poll(()));
        // The driver leads, and an event pushes a task.
        let driven = Arc::clone(&queue);
        let driver = thread::spawn(move || {
            assert_eq!(driven.next(), Next::Lead);
            let pushed = Arc::clone(&driven);
            let event = thread::spawn(move || pushed.push(()));
            block_on(|cx| driven.poll_lead(cx));
            driven.stop_leading();
            assert_eq!(driven.next(), Next::Poll(()));
            event.join().unwrap();
        });
        let pauses = queue.pause_watch();
        driver.join().unwrap();
        assert!(queue.await_poll());
        pauses
    });
}

/// The response of a job wakes its connection while the watch takes its driver away: the task goes to the run queue
/// once, in any order of the two threads at the slot, its closing, and the list of slots.
#[test]
fn the_task_in_the_slot_of_a_held_driver_is_not_lost() {
    assert_outcomes(&[1], || {
        let queue = Arc::new(RunQueue::new(1));
        let slot = Arc::new(DriverSlot::<(), ()>::new());
        let slots = Arc::new(Mutex::new(vec![Arc::clone(&slot)]));
        let (listed, watched) = (Arc::clone(&slots), Arc::clone(&queue));
        let watch = thread::spawn(move || {
            let listed = lock(&listed).pop();
            listed.map(|slot| slot.close(&watched));
        });
        // The driver: its job has answered, and it finds that it drives no more.
        if slot.put_task(()).is_err() {
            queue.push(());
        }
        lock(&slots).pop();
        slot.close(&queue);
        watch.join().unwrap();
        queue.join();
        std::iter::from_fn(|| (queue.next() == Next::Poll(())).then_some(())).count()
    });
}

/// The watch takes a job away from a poll that lasts, or closes the slot, while the poll hands the job over, or
/// returns: one of them has it.
#[test]
fn the_job_of_a_long_poll_runs_once() {
    assert_outcomes(&["the driver", "the watch", "the poll"], || {
        let slot = Arc::new(DriverSlot::<(), ()>::new());
        let watched = Arc::clone(&slot);
        let watch = thread::spawn(move || {
            let taken = watched.take().is_ok_and(|(_, job)| job.is_some());
            taken || watched.close(&RunQueue::new(1)).is_some()
        });
        let is_returned = slot.put_job(()).is_err();
        let is_taken = slot.take().is_ok_and(|(_, job)| job.is_some());
        match (is_returned, is_taken, watch.join().unwrap()) {
            (false, true, false) => "the driver",
            (false, false, true) => "the watch",
            (true, false, false) => "the poll",
            other => panic!("not once: {other:?}"),
        }
    });
}
