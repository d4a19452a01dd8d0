//! Sends the chunks of a response, and closes them: the only place that does.
//!
//! Threads: pool; blocks.

use crate::catch_panic::catch_panic;
use crate::error::{Disconnected, Result};
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::chunks::Chunks;
use crate::response::exchange::Exchange;

/// Sends the chunks and closes them.
pub(crate) fn send_and_close(mut chunks: Chunks<'_>, exchange: &Exchange) -> Result<()> {
    let sent = send(&mut chunks, exchange).and_then(|()| {
        // A complete message does not wait for the close. Without a close, the message is sent a moment later, together
        // with the state.
        if !chunks.has_close() {
            return Ok(());
        }
        catch_panic(|| exchange.deliver_known())?
    });
    // The only place that closes, on every path. The closures above do not own the chunks, so that an unwinding stack
    // never drops them: a second panic would abort the process.
    let closed = chunks.close();
    match (sent, closed) {
        (sent, Ok(())) => sent,
        (Ok(()), Err(panicked)) => Err(panicked.into()),
        (Err(error), Err(panicked)) => {
            // The message and the destructor of the error are code of the application, too.
            let both = catch_panic(|| panicked.after(&error));
            let both = catch_panic(|| drop(error)).and(both);
            Err(both.unwrap_or_else(|again| again).into())
        }
    }
}

/// Pulls the chunks and sends them, until they end, the message is complete or the client has disconnected.
fn send(chunks: &mut Chunks<'_>, exchange: &Exchange) -> Result<()> {
    let declared = exchange.declared_length();
    if let Some(names) = chunks.announced().filter(|_| declared.is_none()) {
        exchange.announce(names)?;
        // A body with trailers cannot be sent as one message.
        iterate(chunks, exchange, false)?;
        if !exchange.is_complete() {
            exchange.trailers(catch_panic(|| chunks.compute_trailers())??)?;
        }
        return Ok(());
    }
    if let Some(declared) = declared {
        chunks.limit(declared);
    }
    if let Some(length) = chunks.length() {
        exchange.settle_length(length)?;
    }
    if exchange.can_offload()
        && let Some(file) = chunks.take_large_file()
    {
        return exchange.offload(file);
    }
    iterate(chunks, exchange, true)
}

/// Pulls and sends. With `may_hold`, may hold the only chunk back to send it together with the end, in one message.
fn iterate(chunks: &mut Chunks<'_>, exchange: &Exchange, may_hold: bool) -> Result<()> {
    while !exchange.is_complete() {
        if exchange.is_abandoned() {
            return Err(Disconnected.into());
        }
        let Some(bytes) = pull(chunks)? else { break };
        if bytes.is_empty() {
            // Nothing is sent, which would report the deadline; a runtime thread does not close the pipe meanwhile.
            exchange.check_in_time()?;
            continue;
        }
        // The hint is code of the application, and may be wrong: the next pull decides.
        if may_hold && exchange.is_fresh() && catch_panic(|| chunks.claims_to_be_done()).unwrap_or(false) {
            exchange.hold(bytes)?;
        } else {
            exchange.chunk(bytes)?;
        }
    }
    Ok(())
}

fn pull(chunks: &mut Chunks<'_>) -> Result<Option<ChunkBytes>> {
    let pulled = catch_panic(|| chunks.pull())?.transpose()?;
    Ok(pulled.map(|bytes| ChunkBytes::new(bytes, chunks.may_have_owners())))
}
