//! An application that waits until the test lets it go on.

use std::sync::{Arc, Condvar, Mutex};

use gateway::{Application, Chunks, application_fn};
use tokio::sync::mpsc;

/// Holds back the calls of [`Gate::application`].
#[derive(Debug)]
pub struct Gate {
    state: Arc<State>,
    begun: mpsc::UnboundedReceiver<String>,
    begin: mpsc::UnboundedSender<String>,
}

#[derive(Debug, Default)]
struct State {
    /// How many may pass.
    permits: Mutex<usize>,
    changed: Condvar,
}

impl State {
    fn pass(&self) {
        let permits = self.permits.lock().unwrap();
        let mut permits = self.changed.wait_while(permits, |permits| *permits == 0).unwrap();
        *permits -= 1;
    }

    fn add(&self, more: usize) {
        let mut permits = self.permits.lock().unwrap();
        *permits = permits.saturating_add(more);
        self.changed.notify_all();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A gate that is closed.
    pub fn new() -> Self {
        let (begin, begun) = mpsc::unbounded_channel();
        Self { state: Arc::default(), begun, begin }
    }

    /// An application that says which path it was called for, passes the gate, and answers `ok`.
    pub fn application(&self) -> impl Application + use<> {
        let (state, begin) = (Arc::clone(&self.state), self.begin.clone());
        application_fn(move |environ, start_response| {
            begin.send(environ.path_info().to_owned())?;
            state.pass();
            start_response("200 OK", &[("Content-Type", "text/plain")])?;
            Ok(Chunks::new(["ok"]))
        })
    }

    /// Waits for the next call, and gives its path.
    pub async fn begun(&mut self) -> String {
        self.begun.recv().await.expect("the gate holds a sender")
    }

    /// Lets one call pass.
    pub fn let_one(&self) {
        self.state.add(1);
    }

    /// Lets everybody pass, for good.
    pub fn open(&self) {
        self.state.add(usize::MAX / 2);
    }
}

/// A gate that is gone holds nobody back.
impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
