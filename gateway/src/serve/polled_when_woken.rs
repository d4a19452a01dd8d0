//! A future that is polled only after its own waker was woken.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

use crate::sync::{Mutex, lock};

pin_project! {
    /// Polls a future only after its own waker was woken, not at every poll of the task.
    ///
    /// The task of a connection is polled twice per request. A timer and a channel would register the same waker each
    /// time, at the cost of an atomic operation or a lock.
    pub(super) struct PolledWhenWoken<F> {
        #[pin]
        future: F,
        wakeup: Arc<Wakeup>,
        // A copy of the waker in `wakeup`, compared without its lock.
        task: Option<Waker>,
    }
}

/// The waker of the inner future, which wakes the task.
struct Wakeup {
    /// The waker was woken since the last poll of the future.
    is_woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl<F: Future> PolledWhenWoken<F> {
    pub(super) fn new(future: F) -> Self {
        // The first poll registers the waker.
        let wakeup = Wakeup { is_woken: AtomicBool::new(true), task: Mutex::new(None) };
        Self { future, wakeup: Arc::new(wakeup), task: None }
    }
}

impl<F: Future> Future for PolledWhenWoken<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if !this.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *this.task = Some(cx.waker().clone());
            *lock(&this.wakeup.task) = Some(cx.waker().clone());
        }
        // The task is stored before the flag is read: a wake after the read finds this task. Otherwise a wake between
        // the two would wake the previous task, and be lost.
        if !this.wakeup.is_woken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // `swap(AcqRel)` synchronises with every wake since the last poll. It clears the flag before the poll: a wake
        // during the poll sets it again, and the task is polled again.
        this.wakeup.is_woken.swap(false, Ordering::AcqRel);
        this.future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(this.wakeup))))
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The flag is set before the task is read: a poll that stores a new task after this read finds the flag.
        self.is_woken.swap(true, Ordering::AcqRel);
        let task = lock(&self.task).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(all(test, not(gateway_loom)))]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts its wakes.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Counter {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_future_is_polled_once_for_each_wake_and_wakes_the_last_poller() {
        let (mut polls, wakers) = (0, Mutex::new(None));
        let mut polled = pin!(PolledWhenWoken::new(poll_fn(|cx| {
            polls += 1;
            *wakers.lock().unwrap() = Some(cx.waker().clone());
            if polls == 3 { Poll::Ready(polls) } else { Poll::<usize>::Pending }
        })));
        let wake = || wakers.lock().unwrap().take().unwrap().wake();
        let [first, second] = [(); 2].map(|()| Arc::<Counter>::default());
        let [first_task, second_task] = [&first, &second].map(|counter| Waker::from(Arc::clone(counter)));
        let mut poll = |task| polled.as_mut().poll(&mut Context::from_waker(task));

        assert_eq!([&first_task; 3].map(&mut poll), [Poll::Pending; 3]);
        wake();
        assert_eq!((first.count(), second.count()), (1, 0));
        // One poll of the future, by the first task after the wake. Then the task changes.
        assert_eq!([&first_task, &second_task, &second_task].map(&mut poll), [Poll::Pending; 3]);
        wake();
        assert_eq!((first.count(), second.count()), (1, 1));
        assert_eq!(poll(&second_task), Poll::Ready(3));
    }

    /// A wake between two polls is not lost when the task changes.
    #[test]
    fn a_wake_of_the_old_task_is_observed_by_the_new_one() {
        let mut waker = None;
        let polled = poll_fn(|cx| match waker.replace(cx.waker().clone()) {
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
        });
        let mut polled = pin!(PolledWhenWoken::new(polled));
        let tasks = [(); 2].map(|()| Waker::from(Arc::<Counter>::default()));
        let polls = tasks.map(|task| polled.as_mut().poll(&mut Context::from_waker(&task)));
        assert_eq!(polls, [Poll::Pending, Poll::Ready(())]);
    }
}
