//! Sequences of steps that clients perform against a server.

use std::fmt;

use crate::frames::Frame;

/// The settings in which the servers under test differ. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) header_timeout: u64,
    pub(crate) keep_alive: u64,
    pub(crate) grace: u64,
    pub(crate) half_close: bool,
    pub(crate) body_limit: u64,
    pub(crate) read_ahead: usize,
    pub(crate) body_idle: u64,
    pub(crate) write_stall: u64,
    pub(crate) linger: u64,
    pub(crate) response_buffer: usize,
    /// Blocking applications have threads. Otherwise the runtime's thread runs them.
    pub(crate) threads: bool,
    /// The receive window of a client that does not read, in bytes.
    pub(crate) window: usize,
}

/// The server's own defaults, with a client that has a small window.
pub(crate) const DEFAULTS: Settings = Settings {
    header_timeout: 30_000,
    keep_alive: 75_000,
    grace: 30_000,
    half_close: false,
    body_limit: 16 << 20,
    read_ahead: 64 << 10,
    body_idle: 30_000,
    write_stall: 60_000,
    linger: 30_000,
    response_buffer: 256 << 10,
    threads: false,
    window: 4096,
};

/// One step of a client, which is identified by its number. A client connects with its first step.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Send(usize, Vec<u8>),
    /// Sends this number of repetitions of [`FILL`].
    Fill(usize, usize),
    /// Sends an HTTP/2 frame.
    Send2(usize, Frame),
    /// Lets this number of milliseconds pass. With 0, the server is not polled.
    Pause(u64),
    /// Shuts down the client's write side.
    End(usize),
    Reset(usize),
    /// The client stops reading until its next `Read`.
    Stall(usize),
    Read(usize),
    /// Shuts the server down.
    Stop,
}

/// The unit of large bodies.
pub(crate) const FILL: &[u8] = b"GET /smuggled/0 HTTP/1.1\r\nHost: a\r\n\r\n";

pub(crate) fn send(client: usize, bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(client, bytes.as_ref().to_vec())
}

pub(crate) fn fill(client: usize, count: usize) -> Step {
    Step::Fill(client, count)
}

pub(crate) fn pause(milliseconds: u64) -> Step {
    Step::Pause(milliseconds)
}

/// Prints the step as Rust code for a test.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(client, bytes) => write!(f, "send({client}, b\"{}\")", bytes.escape_ascii()),
            Self::Fill(client, count) => write!(f, "fill({client}, {count})"),
            Self::Send2(client, Frame::Headers(stream, method, route, is_end)) => {
                write!(f, "Step::Send2({client}, Frame::Headers({stream}, {method:?}, Route::{route:?}, {is_end}))")
            }
            Self::Send2(client, frame) => write!(f, "Step::Send2({client}, Frame::{frame:?})"),
            Self::Pause(time) => write!(f, "pause({time})"),
            Self::End(client) => write!(f, "Step::End({client})"),
            Self::Reset(client) => write!(f, "Step::Reset({client})"),
            Self::Stall(client) => write!(f, "Step::Stall({client})"),
            Self::Read(client) => write!(f, "Step::Read({client})"),
            Self::Stop => write!(f, "Step::Stop"),
        }
    }
}

/// The settings of a server, and the steps of its clients.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
}

/// Prints the sequence as Rust code for a test.
impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, steps } = self;
        if *settings == DEFAULTS {
            writeln!(f, "holds(DEFAULTS, &[")?;
        } else {
            writeln!(f, "holds({settings:?}, &[")?;
        }
        for step in steps {
            writeln!(f, "    {step:?},")?;
        }
        write!(f, "]);")
    }
}

/// The limit for the number of runs while a failing sequence is shrunk.
const MOST_TRIES: usize = 3000;

impl Sequence {
    /// The smallest sequence found for which `fails` holds, starting with this one. Stops after a limited number of
    /// runs.
    pub(crate) fn shrunk(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut tries = MOST_TRIES;
        loop {
            let mut candidates = self.smaller().into_iter().take(tries);
            tries -= candidates.len().min(tries);
            let smaller = candidates.find(|candidate| fails(candidate));
            // Return the tries of the candidates that did not run.
            tries += candidates.len();
            let Some(smaller) = smaller else { return self };
            self = smaller;
        }
    }

    /// Sequences that are simpler in one respect, the simplest first.
    fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut with = |steps: Vec<Step>| found.push(Self { settings: self.settings, steps });
        let count = self.steps.len();
        // Remove parts of the sequence: halves, quarters, and so on to single steps.
        let mut length = count.div_ceil(2);
        while length > 0 {
            for start in (0..count).step_by(length) {
                let end = count.min(start + length);
                with([&self.steps[..start], &self.steps[end..]].concat());
            }
            length = if length == 1 { 0 } else { length.div_ceil(2) };
        }
        for at in 0..count {
            let mut replace = |step: Step| {
                let mut steps = self.steps.clone();
                steps[at] = step;
                with(steps);
            };
            match &self.steps[at] {
                Step::Pause(time) if matches!(self.steps.get(at + 1), Some(Step::Pause(_))) => {
                    // Merge this step into the next one.
                    let mut steps = self.steps.clone();
                    steps.remove(at);
                    if let Step::Pause(next) = &mut steps[at] {
                        *next += time;
                    }
                    with(steps);
                }
                Step::Pause(time) if *time > 1 => {
                    for shorter in [1, 1100, 2100, 31_000] {
                        if shorter < *time {
                            replace(pause(shorter));
                        }
                    }
                }
                Step::Fill(client, count) if *count > 1 => {
                    replace(fill(*client, 1));
                    replace(fill(*client, count / 2));
                }
                Step::Send(client, bytes) => {
                    if let Some(Step::Send(next, more)) = self.steps.get(at + 1)
                        && client == next
                    {
                        let mut steps = self.steps.clone();
                        steps[at] = send(*client, [bytes.as_slice(), more].concat());
                        steps.remove(at + 1);
                        with(steps);
                    }
                }
                _ => {}
            }
        }
        if self.settings != DEFAULTS {
            found.push(Self { settings: DEFAULTS, steps: self.steps.clone() });
            for setting in 0..12 {
                let mut settings = self.settings;
                match setting {
                    0 => settings.header_timeout = DEFAULTS.header_timeout,
                    1 => settings.keep_alive = DEFAULTS.keep_alive,
                    2 => settings.grace = DEFAULTS.grace,
                    3 => settings.half_close = DEFAULTS.half_close,
                    4 => settings.body_limit = DEFAULTS.body_limit,
                    5 => settings.read_ahead = DEFAULTS.read_ahead,
                    6 => settings.body_idle = DEFAULTS.body_idle,
                    7 => settings.write_stall = DEFAULTS.write_stall,
                    8 => settings.linger = DEFAULTS.linger,
                    9 => settings.response_buffer = DEFAULTS.response_buffer,
                    10 => settings.threads = DEFAULTS.threads,
                    _ => settings.window = DEFAULTS.window,
                }
                if settings != self.settings {
                    found.push(Self { settings, steps: self.steps.clone() });
                }
            }
        }
        found
    }
}
