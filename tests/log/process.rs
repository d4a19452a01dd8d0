//! Programs as processes: with a log that cannot be written, a log that is not read, or no log, and with shutdown
//! signals.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use gateway_tests::{Connection, exit_status, lines, recv, run, until, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// An example as a process, which is killed at the end of its test.
struct Program {
    child: Child,
    address: SocketAddr,
    /// The production server's address for operators; of another program, its only address.
    internal: SocketAddr,
}

/// An address that nobody listens on. Below the ports that the system takes for clients and for `bind` to port 0, so
/// that no other test gets it before the program has bound it.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let at = std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + u16::try_from(at).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Program {
    /// The production server, on free ports.
    fn production(flags: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let [address, internal] = [(); 2].map(|()| free_address());
        let child = Command::new(env!("CARGO_BIN_EXE_production_server"))
            .args(["--listen", &address.to_string(), "--internal", &internal.to_string()])
            .args(flags)
            .env_remove("RUST_LOG")
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut server = Self { child, address, internal };
        wait_for("it listens", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "it has ended");
            TcpStream::connect(address).ok()
        });
        server
    }

    /// The conformance application, whose log goes to stderr.
    fn wsgibin(stderr: impl Into<Stdio>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wsgibin_server"))
            .args(["--port", "0", "--threads", "2"])
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let line = recv(&lines(child.stdout.take().unwrap()));
        let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self { child, address, internal: address }
    }

    fn order(&self) -> u16 {
        let body = "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntea";
        Connection::open(self.address).request(body).status()
    }

    /// An upload of which half has arrived: the drain waits for it.
    fn begin_upload(&self) -> Connection {
        let mut connection = Connection::open(self.address);
        connection.send("PUT /uploads HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf!");
        // These answers show that the bytes above have arrived: any of the drivers may have been slow once.
        for _ in 0..3 {
            assert_eq!(self.order(), 201);
        }
        connection
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        exit_status(&mut self.child).code()
    }

    /// Sends the stop signal, and checks that the exit status is success.
    fn ends(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.exit_code(), Some(0));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe whose buffer is full. The reading end keeps it open.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let room = rustix::pipe::fcntl_getpipe_size(&writer).unwrap();
    writer.write_all(&vec![b'.'; room]).unwrap();
    (reader, writer)
}

#[test]
fn a_log_that_cannot_be_written_costs_no_request_and_no_shutdown() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Program::production(&["--notice", "0"], full(), full());
    for _ in 0..20 {
        assert_eq!(server.order(), 201);
    }
    server.ends();
}

#[test]
fn an_unread_log_holds_up_no_request_and_no_shutdown() {
    let (_open, pipe) = full_pipe();
    let server = Program::production(&["--notice", "0"], pipe.try_clone().unwrap(), pipe);
    for _ in 0..20 {
        assert_eq!(server.order(), 201);
    }
    server.ends();
}

/// Rust's own panic hook writes to stderr and would block the panicking thread.
#[test]
fn a_panic_message_that_is_not_read_keeps_no_thread() {
    let (_open, pipe) = full_pipe();
    let server = Program::wsgibin(pipe);
    // More requests than the pool has threads.
    for _ in 0..6 {
        let request = "GET /raise?how=panic HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(Connection::open(server.address).request(request).status(), 500);
    }
    server.ends();
}

/// The queue of the log's writer thread is full.
#[test]
fn a_full_log_does_not_hold_up_the_shutdown() {
    let (_open, pipe) = full_pipe();
    let server = Program::production(&["--notice", "0"], pipe.try_clone().unwrap(), pipe);
    let request = "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntea";
    let mut connection = Connection::open(server.address);
    for _ in 0..5000 {
        assert_eq!(connection.request(request).status(), 201);
    }
    server.ends();
}

/// The first process of a container receives only the signals for which it has a handler.
#[test]
fn a_server_that_stops_on_signals_has_handlers_for_both() {
    let production = Program::production(&["--notice", "0"], Stdio::null(), Stdio::null());
    for program in [production, Program::wsgibin(Stdio::null())] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        let caught = u64::from_str_radix(mask, 16).unwrap();
        for signal in [Signal::INT, Signal::TERM] {
            assert_eq!(caught >> (signal.as_raw() - 1) & 1, 1, "{signal:?} has no handler");
        }
        program.ends();
    }
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    for signals in [[Signal::TERM; 2], [Signal::INT; 2], [Signal::TERM, Signal::INT]] {
        let mut server = Program::production(&["--notice", "0", "--grace", "600"], Stdio::null(), Stdio::null());
        let _upload = server.begin_upload();
        server.signal(signals[0]);
        // The listener is closed: the drain has begun.
        until("it drains", || TcpStream::connect(server.address).is_err());
        assert_eq!(server.child.try_wait().unwrap(), None, "it waits for the upload");
        server.signal(signals[1]);
        assert_eq!(server.exit_code(), Some(0), "{signals:?}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_load_balancer_either() {
    let server = Program::production(&["--notice", "600"], Stdio::null(), Stdio::null());
    server.signal(Signal::TERM);
    let ready = || Connection::open(server.internal).request("GET /ready HTTP/1.1\r\nHost: h\r\n\r\n").status();
    until("it is not ready", || ready() == 503);
    server.ends();
}

#[test]
fn a_program_without_a_log_prints_once_that_it_has_none() {
    let (_, printed, said) = run(&mut Command::new(env!("CARGO_BIN_EXE_without_log")));
    assert_eq!(printed, "500\n500\n500\n");
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in ["the disk\\nis gone", "no `tracing` subscriber", "tracing_subscriber::fmt().init()", "once"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn a_program_with_a_logger_of_the_log_facade_has_a_log() {
    let (_, printed, said) = run(Command::new(env!("CARGO_BIN_EXE_without_log")).arg("logger"));
    assert_eq!((&*printed, &*said), ("500\n500\n500\n3 errors\n", ""));
}

#[test]
fn a_program_without_a_log_and_without_stderr_answers() {
    let script = format!("exec {} 2>/dev/full", env!("CARGO_BIN_EXE_without_log"));
    assert_eq!(run(Command::new("sh").args(["-c", &script])).1, "500\n500\n500\n");
}
