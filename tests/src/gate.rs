//! Applications that wait until the test lets them continue.

use std::sync::{Arc, Condvar, Mutex};

use gateway::{Application, Chunks, application_fn};
use tokio::sync::Notify;

use crate::bound::{BOUND, within};

/// The test's side of a gate. Dropping it opens the gate.
#[derive(Debug, Default)]
pub struct Gate {
    waiter: Waiter,
}

/// The application's side of a gate.
#[derive(Clone, Debug, Default)]
pub struct Waiter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notifies threads of new calls and new permits.
    changed: Condvar,
    /// Notifies tasks of new calls.
    called: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The number of permits.
    permits: usize,
    calls: Vec<String>,
    /// The number of calls that the test has waited for.
    taken: usize,
}

impl State {
    fn take_call(&mut self) -> Option<String> {
        let call = self.calls.get(self.taken)?.clone();
        self.taken += 1;
        Some(call)
    }
}

impl Waiter {
    /// Records a call for the test, and waits for a permit.
    pub fn pass(&self, call: &str) {
        self.note(call);
        self.wait();
    }

    /// Records a call for the test.
    pub fn note(&self, call: &str) {
        self.shared.state.lock().unwrap().calls.push(call.to_owned());
        self.shared.changed.notify_all();
        self.shared.called.notify_one();
    }

    /// Waits for a permit.
    pub fn wait(&self) {
        let state = self.shared.state.lock().unwrap();
        let (mut state, _) = self.shared.changed.wait_timeout_while(state, BOUND, |state| state.permits == 0).unwrap();
        // The lock is released first, so that a panic does not poison it for the test.
        let is_let_go = state.permits > 0;
        state.permits = state.permits.saturating_sub(1);
        drop(state);
        assert!(is_let_go, "the test does not open the gate");
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// A closed gate, with both sides.
    pub fn pair() -> (Self, Waiter) {
        let gate = Self::default();
        let waiter = gate.waiter();
        (gate, waiter)
    }

    /// The waiter of an application.
    pub fn waiter(&self) -> Waiter {
        self.waiter.clone()
    }

    /// An application that passes the gate with its path, and answers `ok`.
    pub fn application(&self) -> impl Application + use<> {
        let waiter = self.waiter();
        application_fn(move |environ, start_response| {
            waiter.pass(environ.path_info());
            start_response("200 OK", &[("Content-Type", "text/plain")])?;
            Ok(Chunks::new(["ok"]))
        })
    }

    /// Waits for the next call.
    pub async fn begun(&self) -> String {
        let call = async {
            loop {
                if let Some(call) = self.waiter.shared.state.lock().unwrap().take_call() {
                    return call;
                }
                self.waiter.shared.called.notified().await;
            }
        };
        within(call).await
    }

    /// Waits for the next call, and blocks the thread.
    pub fn await_call(&self) -> String {
        let Shared { state, changed, .. } = &*self.waiter.shared;
        let is_waiting = |state: &mut State| state.taken == state.calls.len();
        let (mut state, _) = changed.wait_timeout_while(state.lock().unwrap(), BOUND, is_waiting).unwrap();
        let call = state.take_call();
        drop(state);
        call.expect("the application is called")
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.waiter.shared.state.lock().unwrap().calls.clone()
    }

    /// Lets one call pass, now or later.
    pub fn let_one(&self) {
        self.add_permits(1);
    }

    /// Lets all calls pass, for good.
    pub fn open(&self) {
        self.add_permits(usize::MAX / 2);
    }

    fn add_permits(&self, more: usize) {
        let mut state = self.waiter.shared.state.lock().unwrap();
        state.permits = state.permits.saturating_add(more);
        self.waiter.shared.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
