//! Faults between a client and an application.
//!
//! Threads: any; `join` blocks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame};

use crate::Gateway;
use crate::executor::{Accepted, Executor, Refused};
use crate::job::Job;
use crate::sync::{Arc, Mutex, lock};

/// The faults that a test has requested.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// The largest frame of the request body.
    pub(super) frame: Option<usize>,
    /// The length after which the request body fails.
    pub(super) cut: Option<usize>,
    pub(super) read_mode: ReadMode,
    pub(super) queue_full: bool,
}

/// How the client reads its response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// Without a delay.
    #[default]
    Eager,
    /// One chunk at a time; the application is at most one chunk ahead.
    Slow,
    /// The head and nothing more, without a disconnect.
    Stalled,
    /// This many bytes, then it disconnects.
    DisconnectAfter(usize),
}

impl Faults {
    /// A cut beyond the end would never happen.
    pub(super) fn check_cut(&self, length: usize) {
        if let Some(cut) = self.cut {
            assert!(cut <= length, "the request body has {length} bytes: it cannot be cut after {cut}");
        }
    }

    /// The gateways of a router have their own settings and executors.
    pub(super) fn check_router(&self) {
        assert!(
            !self.queue_full,
            "`queue_full` is for a client of one gateway; give the router a pool with `queue(0)`"
        );
        assert!(self.read_mode != ReadMode::Stalled, "`stop_reading` is for a client of one gateway, not of a router");
    }

    /// The gateway with these faults, and the threads it uses, if any.
    pub(super) fn apply(&self, gateway: &Gateway) -> (Gateway, Option<ThreadPerJob>) {
        let gateway = gateway.clone();
        if self.queue_full {
            return (gateway.executor(RefuseAll), None);
        }
        if self.read_mode == ReadMode::Eager {
            return (gateway, None);
        }
        // The application must observe the client while it runs, so the two need different threads.
        let threads = ThreadPerJob::default();
        let gateway = gateway.executor(threads.clone());
        let gateway = match self.read_mode {
            ReadMode::Stalled => gateway.write_stall(Duration::from_millis(20)),
            ReadMode::Eager | ReadMode::Slow | ReadMode::DisconnectAfter(_) => gateway.response_buffer(1),
        };
        (gateway, Some(threads))
    }
}

/// An executor that refuses every job.
struct RefuseAll;

#[async_trait]
impl Executor for RefuseAll {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        Err(Refused::new(job))
    }
}

/// An executor with a thread for each job.
#[derive(Clone, Default)]
pub(super) struct ThreadPerJob {
    running: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl ThreadPerJob {
    fn start(&self, job: Job) {
        lock(&self.running).push(std::thread::spawn(move || job.run()));
    }

    /// Waits until all jobs have ended. A job catches its panics.
    pub(super) fn join(&self) {
        for thread in std::mem::take(&mut *lock(&self.running)) {
            drop(thread.join());
        }
    }
}

#[async_trait]
impl Executor for ThreadPerJob {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.start(job);
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        self.start(job);
        Ok(Accepted::at_once())
    }
}

/// A request body in frames, which may fail.
#[derive(Debug)]
pub(crate) struct Frames {
    left: Bytes,
    frame: usize,
    is_cut: bool,
}

impl Frames {
    pub(super) fn new(mut bytes: Bytes, faults: &Faults) -> Self {
        bytes.truncate(faults.cut.unwrap_or(usize::MAX));
        Self { left: bytes, frame: faults.frame.unwrap_or(usize::MAX), is_cut: faults.cut.is_some() }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let size = self.frame.min(self.left.len());
        Poll::Ready(if size > 0 {
            Some(Ok(Frame::data(self.left.split_to(size))))
        } else if self.is_cut {
            Some(Err(io::ErrorKind::UnexpectedEof.into()))
        } else {
            None
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.is_cut
    }
}
