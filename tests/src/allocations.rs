//! What a request costs in memory, counted at the allocator.
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::bound::BOUND;

/// Requests until buffers, pools and maps have their final size.
const WARM_UP: usize = 200;

/// So many that rare allocations are a few hundredths.
const REQUESTS: usize = 2_000;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The allocator of the system, and a count of what it is asked for. For `#[global_allocator]`, in binaries that do
/// nothing else.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

// SAFETY: every method passes its arguments on to the allocator of the system and returns what that returns; the
// counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `realloc`, which is the same, and `block` came from the same
        // allocator.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same, and `block` came from the same
        // allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What one request cost, on average.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Calls of the allocator, those that only grow a block included.
    pub allocations: f64,
    /// Bytes it was asked for; of a block that grows, those it grows by.
    pub bytes: f64,
}

/// Which server serves.
#[derive(Clone, Copy, Debug)]
pub enum Host {
    /// `axum::serve`.
    Axum,
    /// `gateway::serve`.
    Gateway,
}

/// Serves a router on a loopback socket, on a runtime with one worker, and counts what `request` costs the process when
/// it comes again and again on one connection. The client is on this thread, and allocates nothing.
///
/// Counts everything that the process does, so nothing else may happen in it meanwhile; and counts only with
/// [`Counting`] as its allocator.
pub fn per_request(host: Host, app: Router, request: &[u8]) -> Counted {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    match host {
        Host::Axum => {
            // As `gateway::serve` does: otherwise the end of a stream waits for an acknowledgement.
            let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
            drop(runtime.spawn(axum::serve(listener, app).into_future()));
        }
        Host::Gateway => drop(runtime.spawn(gateway::serve(listener, app).into_future())),
    }
    let mut client = Client::connect(address);
    for _ in 0..WARM_UP {
        client.exchange(request);
    }
    let before = (CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    for _ in 0..REQUESTS {
        client.exchange(request);
    }
    let (calls, bytes) = (CALLS.load(Ordering::Relaxed) - before.0, BYTES.load(Ordering::Relaxed) - before.1);
    assert!(CALLS.load(Ordering::Relaxed) > 0, "this binary does not have `Counting` as its global allocator");
    runtime.shutdown_background();
    Counted { allocations: calls as f64 / REQUESTS as f64, bytes: bytes as f64 / REQUESTS as f64 }
}

/// A client with one connection, and one buffer for its responses.
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: std::net::SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("a server");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(BOUND)).expect("a socket");
        Self { socket, buffer: vec![0; 256 * 1024] }
    }

    /// Sends a request, and reads its response to the end.
    fn exchange(&mut self, request: &[u8]) {
        self.socket.write_all(request).expect("the server reads");
        let mut length = 0;
        while !is_whole(&self.buffer[..length]) {
            let read = self.socket.read(&mut self.buffer[length..]).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            length += read;
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "), "{}", self.buffer[..length].escape_ascii());
    }
}

/// Whether a response has ended: by its length, or by its last chunk.
fn is_whole(response: &[u8]) -> bool {
    let Some(end) = find(response, b"\r\n\r\n") else { return false };
    let (head, body) = response.split_at(end + 4);
    match find(head, b"\r\ncontent-length: ") {
        Some(at) => {
            let digits = head[at + 18..].iter().take_while(|byte| byte.is_ascii_digit());
            body.len() == digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
        }
        None => body.ends_with(b"\r\n0\r\n\r\n"),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
