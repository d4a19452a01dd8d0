//! `write`, the imperative way to send bytes.
//!
//! Threads: pool; blocks.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{CallError, Result};
use crate::response::chunk::Chunk;
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::exchange::Exchange;
use crate::response::request_end::Wait;

/// Sends bytes at once, before the returned chunks. [`StartResponse`](crate::StartResponse) returns it.
///
/// The first call sends the head, even with no bytes. Each call returns when the bytes are in the response buffer, and
/// waits while the buffer is full because the client reads slowly. An application that writes still returns its chunks,
/// possibly none. `Write` does not buffer: wrap it in a [`std::io::BufWriter`] for many small pieces.
///
/// The chunks may keep a handle, and write while they are iterated over. When they have ended, a message whose length
/// is known is complete, and writes of their destructor are refused.
///
/// Written bytes count towards a declared `Content-Length`. For HEAD requests and for statuses without a body they are
/// dropped. A write without an end ends there, too: with [`Disconnected`](crate::Disconnected) when the connection has
/// ended, as far as the server reports that, or after the [`write_stall`](crate::Gateway::write_stall).
///
/// (PEP 3333, "The `write()` Callable".)
///
/// # Example
///
/// ```
/// use std::io::Write as _;
/// use gateway::{wsgi_app, Environ, StartResponse};
///
/// #[wsgi_app]
/// fn progress(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
///     let mut write = start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     for step in 1..=3 {
///         writeln!(write, "step {step}")?;
///     }
///     Ok(["done\n"])
/// }
/// # assert_eq!(gateway::testing::Client::new(progress).get("/").text(), "step 1\nstep 2\nstep 3\ndone\n");
/// ```
///
/// # Threads
///
/// Bound to the thread and the lifetime of its request; use elsewhere or later does not compile.
#[derive(Clone)]
pub struct Write<'r> {
    exchange: &'r Exchange,
    /// How middleware changes the bytes.
    change: Option<Rc<Change<'r>>>,
}

pub(crate) type Change<'r> = dyn Fn(Bytes) -> Result<Bytes> + 'r;

impl<'r> Write<'r> {
    pub(crate) fn new(exchange: &'r Exchange) -> Self {
        Self { exchange, change: None }
    }

    /// A handle that applies `change` before the change of this one.
    pub(crate) fn map(self, change: Rc<Change<'r>>) -> Self {
        let change: Rc<Change<'r>> = match self.change {
            None => change,
            Some(next) => Rc::new(move |bytes| next(change(bytes)?)),
        };
        Self { exchange: self.exchange, change: Some(change) }
    }

    /// Sends a chunk without copying it, if it owns its bytes.
    ///
    /// # Errors
    ///
    /// * [`Disconnected`](crate::Disconnected) when the client has disconnected.
    /// * [`ContractError`](crate::ContractError) for bytes beyond the declared `Content-Length`. The bytes that fit are
    ///   sent, the others are dropped.
    /// * [`DeadlineExceeded`](crate::DeadlineExceeded) when the mount's deadline has passed.
    pub fn send<C: Chunk>(&self, chunk: C) -> Result<(), CallError> {
        let bytes = ChunkBytes::new(chunk.into_bytes()?, C::MAY_HAVE_OWNER);
        let Some(change) = &self.change else { return Ok(self.exchange.write(bytes)?) };
        let changed = change(bytes.into_bytes()).inspect_err(|_| {
            // The written bytes are lost: the message must fail even if the application ignores the error.
            self.exchange.poison("middleware failed to change what was written");
        });
        Ok(self.exchange.write(ChunkBytes::new(changed?, true))?)
    }

    /// Waits until the client has disconnected or the server stops, for at most `timeout`: the pause between two writes
    /// of a stream that has no other end. As [`Environ::wait`](crate::Environ::wait).
    pub fn wait(&self, timeout: Duration) -> Wait {
        self.exchange.wait(timeout)
    }
}

/// `write` takes and copies the whole buffer; `flush` does nothing.
impl io::Write for Write<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.send(buffer.to_vec())?;
        Ok(buffer.len())
    }

    /// Formats into one string first, so that one `write!` is one chunk.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(self.send(arguments.to_string())?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

partial_debug!(Write<'r>);
