//! The memory that a request allocates, counted in the allocator.
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::bound::BOUND;

/// The number of requests until buffers, pools and maps have their final size.
const WARM_UP: usize = 200;

/// Enough requests that a rare allocation adds only hundredths to the average.
const REQUESTS: usize = 2_000;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system allocator, with counters of the allocations. Install it with `#[global_allocator]`, in binaries that only
/// measure.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

// SAFETY: every method passes its arguments to the system allocator and returns the result unchanged; the counters do
// not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract of `alloc`, which `System` has, too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract of `alloc_zeroed`, which `System` has, too.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: the caller upholds the contract of `realloc`, which `System` has, too, and `block` was allocated by
        // `System`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`, which `System` has, too, and `block` was allocated by
        // `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The average cost of one request.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The number of calls of the allocator, including calls that grow a block.
    pub allocations: f64,
    /// The number of allocated bytes; a block that grows counts with its growth.
    pub bytes: f64,
}

/// The server that runs the router.
#[derive(Clone, Copy, Debug)]
pub enum Host {
    /// `axum::serve`.
    Axum,
    /// `gateway::serve`.
    Gateway,
}

/// Serves a router on a loopback socket, on a runtime with one worker, and counts the allocations of the process for
/// `request`, which is repeated on one connection. The client runs on this thread, and does not allocate.
///
/// Counts all allocations of the process, so nothing else may run in it meanwhile. Requires [`Counting`] as the
/// allocator.
pub fn per_request(host: Host, app: Router, request: &[u8]) -> Counted {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    match host {
        Host::Axum => {
            // As in `gateway::serve`: without `TCP_NODELAY`, the end of a stream waits for an acknowledgement.
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

/// A client with one connection, and one buffer for all responses.
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

/// Whether the response is complete: by its length, or by its last chunk.
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
