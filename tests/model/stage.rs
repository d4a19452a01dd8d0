//! The server under test, and the run of one sequence against it.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::applications::{Call, Ledger, app};
use crate::frames::Frame;
use crate::generated::take_panic;
use crate::link::{Client, Clock, Connections, ServerEnd, Wire, link};
use crate::sequence::{FILL, Sequence, Settings, Step};
use crate::threads::Threads;

/// The actions of one client, and their results.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) opened: u64,
    pub(crate) sent: Vec<u8>,
    /// The client's HTTP/2 frames, with their times.
    pub(crate) frames: Vec<(u64, Frame)>,
    /// The stamps of the writes: the time, and the number of bytes sent up to that time.
    pub(crate) stamps: Vec<(u64, usize)>,
    pub(crate) ended: Option<u64>,
    pub(crate) reset: Option<u64>,
    /// The periods in which the client did not read.
    pub(crate) stalls: Vec<(u64, Option<u64>)>,
    pub(crate) wire: Wire,
}

/// The record of a run. Times are milliseconds since its start.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) conversations: Vec<Option<Conversation>>,
    pub(crate) calls: Vec<Call>,
    /// The bodies that applications have read completely: the client, the target and the length of each.
    pub(crate) bodies: Vec<(usize, String, usize)>,
    pub(crate) opened: usize,
    pub(crate) closed: usize,
    /// When a step requested the shutdown; far in the future if no step did.
    pub(crate) stop_asked: u64,
    /// When the final shutdown was requested, and when it was complete.
    pub(crate) stopping: u64,
    pub(crate) stopped: Option<u64>,
    pub(crate) tasks_left: usize,
    pub(crate) threads_left: usize,
    /// A panic that no application raised.
    pub(crate) panic: Option<String>,
}

/// The maximum lifetime of a connection after the last step of its client, in milliseconds.
pub(crate) fn longest_life(settings: &Settings) -> u64 {
    let Settings { header_timeout, keep_alive, body_idle, write_stall, linger, .. } = settings;
    header_timeout + keep_alive + body_idle + write_stall + linger + 45_000
}

/// The longest wait of a run. It exceeds every timeout of the server.
const LAST_WAIT: Duration = Duration::from_secs(40);

struct Actor {
    client: Client,
    opened: u64,
    sent: Vec<u8>,
    frames: Vec<(u64, Frame)>,
    stamps: Vec<(u64, usize)>,
    ended: Option<u64>,
    reset: Option<u64>,
    stalls: Vec<(u64, Option<u64>)>,
}

struct Stage {
    clock: Clock,
    settings: Settings,
    ledger: Arc<Ledger>,
    actors: Vec<Option<Actor>>,
    connect: mpsc::UnboundedSender<(ServerEnd, SocketAddr)>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<u64>,
    stop_asked: Option<u64>,
}

/// Runs the steps in virtual time, waits for the end of all connections, and stops the server.
pub(crate) fn run(sequence: &Sequence) -> Record {
    let threads = Threads::default();
    let settled = threads.clone();
    let mut runtime = Builder::new_current_thread();
    runtime.enable_time().start_paused(true).on_thread_park(move || settled.settle());
    let runtime = runtime.build().expect("a runtime");
    let run = || {
        runtime.block_on(gateway_tests::within(async {
            let mut stage = Stage::new(sequence.settings, &threads);
            for step in &sequence.steps {
                stage.take(step).await;
            }
            stage.finish().await
        }))
    };
    let mut record = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(record) => record,
        Err(_) => panic!("a run of {sequence:?} panicked: {:?}", take_panic()),
    };
    drop(runtime);
    record.panic = take_panic();
    // A thread that was woken by the end of its connection may not have exited yet.
    threads.settle();
    record.threads_left = threads.alive();
    record
}

impl Stage {
    fn new(settings: Settings, threads: &Threads) -> Self {
        let (clock, ledger) = (Clock::start(), Arc::new(Ledger::default()));
        let (connect, connections) = mpsc::unbounded_channel();
        let (stop, stopping) = oneshot::channel::<()>();
        let server = gateway::serve(Connections(connections), app(&settings, &ledger, &clock, threads))
            .header_timeout(Duration::from_millis(settings.header_timeout))
            .keep_alive(Duration::from_millis(settings.keep_alive))
            .grace(Duration::from_millis(settings.grace))
            .half_close(settings.half_close)
            .write_stall(Duration::from_millis(settings.write_stall))
            .linger(Duration::from_millis(settings.linger))
            .with_graceful_shutdown(stopping);
        let time = clock.clone();
        let server = tokio::spawn(async move {
            server.run().await.expect("no failure ends a server");
            time.now()
        });
        let stop = Some(stop);
        Self { clock, settings, ledger, actors: Vec::new(), connect, stop, server, stop_asked: None }
    }

    fn actor(&mut self, number: usize) -> &mut Actor {
        if self.actors.len() <= number {
            self.actors.resize_with(number + 1, || None);
        }
        self.actors[number].get_or_insert_with(|| {
            let (client, server) = link(&self.clock, self.settings.window);
            // The port is the number of the client. After a shutdown the server accepts no connection, and this one is
            // dropped.
            let port = u16::try_from(number).expect("few clients");
            let _ = self.connect.send((server, SocketAddr::from(([127, 0, 0, 1], port))));
            Actor {
                client,
                opened: self.clock.now(),
                sent: Vec::new(),
                frames: Vec::new(),
                stamps: Vec::new(),
                ended: None,
                reset: None,
                stalls: Vec::new(),
            }
        })
    }

    async fn take(&mut self, step: &Step) {
        let now = self.clock.now();
        match step {
            Step::Pause(time) => sleep(Duration::from_millis(*time)).await,
            Step::Stop => self.ask_to_stop(),
            Step::Send(number, bytes) => self.actor(*number).send(bytes, now),
            Step::Fill(number, count) => self.actor(*number).send(&FILL.repeat(*count), now),
            Step::Send2(number, frame) => {
                let actor = self.actor(*number);
                if actor.ended.is_none() && actor.reset.is_none() {
                    actor.frames.push((now, frame.clone()));
                }
                actor.send(&frame.encoded(), now);
            }
            Step::End(number) => {
                let actor = self.actor(*number);
                actor.ended.get_or_insert(now);
                actor.client.end();
            }
            Step::Reset(number) => {
                let actor = self.actor(*number);
                actor.reset.get_or_insert(now);
                actor.client.reset();
            }
            Step::Stall(number) => {
                let actor = self.actor(*number);
                if actor.stalls.last().is_none_or(|(_, end)| end.is_some()) {
                    actor.stalls.push((now, None));
                }
                actor.client.stall();
            }
            Step::Read(number) => {
                let actor = self.actor(*number);
                if let Some((_, end)) = actor.stalls.last_mut() {
                    end.get_or_insert(now);
                }
                actor.client.read();
            }
        }
    }

    fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            self.stop_asked = Some(self.clock.now());
            let _ = stop.send(());
        }
    }

    async fn finish(mut self) -> Record {
        let all_over = async {
            loop {
                let dropped = self.clock.dropped.notified();
                if self.actors.iter().flatten().all(|actor| actor.client.is_over()) {
                    break;
                }
                dropped.await;
            }
        };
        let _ = timeout(Duration::from_millis(longest_life(&self.settings)), all_over).await;
        let stop_asked = self.stop_asked.unwrap_or(u64::MAX);
        let kept = std::mem::take(&mut *self.ledger.kept.lock().expect("no panic"));
        // Drop the bodies in a task of their own, so that a panic in their drop does not end the run.
        let _ = tokio::spawn(async move { drop(kept) }).await;
        self.ask_to_stop();
        let grace = Duration::from_millis(self.settings.grace);
        let stopped = timeout(grace + LAST_WAIT, &mut self.server).await;
        let stopped =
            stopped.ok().map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
        // A task that discards a body may run longer than its connection.
        sleep(LAST_WAIT).await;
        let tasks_left = Handle::current().metrics().num_alive_tasks();
        let conversations = self.actors.into_iter().map(|actor| actor.map(Actor::into_conversation)).collect();
        Record {
            conversations,
            calls: std::mem::take(&mut *self.ledger.calls.lock().expect("no panic")),
            bodies: std::mem::take(&mut *self.ledger.bodies.lock().expect("no panic")),
            opened: self.ledger.opened.load(SeqCst),
            closed: self.ledger.closed.load(SeqCst),
            stop_asked,
            stopping: self.stop_asked.unwrap_or(u64::MAX),
            stopped,
            tasks_left,
            threads_left: 0,
            panic: None,
        }
    }
}

impl Actor {
    fn send(&mut self, bytes: &[u8], now: u64) {
        if self.ended.is_some() || self.reset.is_some() {
            return;
        }
        self.sent.extend_from_slice(bytes);
        self.stamps.push((now, self.sent.len()));
        self.client.send(bytes);
    }

    fn into_conversation(self) -> Conversation {
        let Self { client, opened, sent, frames, stamps, ended, reset, stalls } = self;
        let wire = std::mem::take(&mut *client.wire());
        Conversation { opened, sent, frames, stamps, ended, reset, stalls, wire }
    }
}
