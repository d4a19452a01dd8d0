//! Any order of events on a connection: what `tests` checks for all short orders on HTTP/1, for long ones; and rules
//! that hold in every order, with all events of both protocols.
//!
//! Threads: the caller's.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use tokio::time::Instant;

use super::machine::Machine;
use super::state::{ConnectionState, LingerPolicy, RequestBodyState, TimeoutKind, Timeouts};
use super::tests::{EVENTS, Known, apply, known};
use crate::serve::request_scanner::Framing;

const TIMEOUTS: Timeouts = Timeouts {
    header_timeout: Duration::from_secs(1),
    keep_alive: Duration::from_secs(2),
    write_stall: Duration::from_secs(3),
};

/// One order of events.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let _ = match input.ratio(1, 2) {
        Ok(true) => in_order(&mut input),
        _ => in_any_order(&mut input),
    };
}

/// Events in an order that hyper produces; `known` derives the state from the whole history.
fn in_order(input: &mut Unstructured<'_>) -> Result<()> {
    let mut machine = Machine::new(false);
    machine.open();
    let mut events = Vec::new();
    while !input.is_empty() && events.len() < 64 {
        events.push(*input.choose(&EVENTS)?);
        let Some(known) = known(&events) else {
            events.pop();
            continue;
        };
        if !apply(&mut machine, events[events.len() - 1]) {
            return Ok(());
        }
        assert_eq!(machine.idle_since().is_some(), known == Known::Idle, "{events:?}: {machine:?}");
        let is_in_head = matches!(machine.state, ConnectionState::Head { .. });
        assert_eq!(is_in_head, known == Known::InHead, "{events:?}: {machine:?}");
    }
    Ok(())
}

/// All events, in any order.
fn in_any_order(input: &mut Unstructured<'_>) -> Result<()> {
    let half_close = input.arbitrary()?;
    let mut machine = Machine::new(half_close);
    machine.open();
    let (mut is_cut, mut is_over) = (false, false);
    let mut events = Vec::new();
    while !input.is_empty() && events.len() < 100 {
        let event = input.int_in_range(0..=20_u8)?;
        events.push(event);
        let exchange = machine.exchange.saturating_sub(u64::from(input.ratio(1, 8)?));
        let bytes: &[u8] = match input.int_in_range(0..=3)? {
            0 => b"POST / HTTP/1.1\r\n\r\n",
            1 => b"\r\n",
            2 => b"0\r\n\r\n",
            _ => b"x",
        };
        let before = machine.state;
        let fails = match event {
            0 => machine.receive(bytes).is_err(),
            1 => machine.await_bytes().is_err(),
            2 => machine.write().is_err(),
            3 => machine.block_write(input.ratio(1, 2)?.then_some(u64::from(event))).is_err(),
            _ => {
                other_event(&mut machine, event, exchange, input)?;
                false
            }
        };
        // A connection that was cut, or is over, takes nothing.
        is_cut |= matches!(machine.state, ConnectionState::Cut | ConnectionState::Reset);
        assert!(!fails || is_cut, "{events:?}: {machine:?}");
        is_over |= before == ConnectionState::Ended;
        assert!(!is_over || machine.state == ConnectionState::Ended, "{events:?}: {machine:?}");
        holds(&machine, half_close, &events);
    }
    Ok(())
}

fn other_event(machine: &mut Machine, event: u8, exchange: u64, input: &mut Unstructured<'_>) -> Result<()> {
    let states = [
        RequestBodyState::Read,
        RequestBodyState::Reading,
        RequestBodyState::ReadTooFar,
        RequestBodyState::Abandoned,
        RequestBodyState::Broken,
    ];
    match event {
        4 => _ = machine.begin(if input.arbitrary()? { Framing::Chunked } else { Framing::Sized(0) }),
        5 => _ = machine.begin(Framing::Sized(input.int_in_range(0..=9)?)),
        6 => machine.set_body(exchange, *input.choose(&states)?),
        7 => _ = machine.read_trailers(exchange),
        8 | 9 => _ = machine.respond(input.ratio(1, 4)?),
        10 | 11 => machine.hand_over(),
        12 | 13 => {
            let awaits_response = machine.flush();
            assert_eq!(awaits_response, machine.awaits_only_response());
        }
        // The first bytes decide, so nothing has happened before.
        14 if matches!(machine.state, ConnectionState::Idle { first: true, .. }) => machine.set_http2(),
        15 if input.ratio(1, 4)? => {
            let had_ended = machine.state == ConnectionState::Ended;
            assert_eq!(machine.upgrade(), !had_ended);
        }
        16 => machine.add_upgraded_stream(),
        17 => machine.remove_upgraded_stream(),
        18 if input.ratio(1, 4)? => machine.cut(),
        19 if input.ratio(1, 4)? => {
            let policy = machine.shut_down();
            // A second shutdown does not linger again.
            assert!(policy == LingerPolicy::Never || machine.shut_down() == LingerPolicy::Never);
        }
        20 if input.ratio(1, 8)? => {
            machine.end();
        }
        _ => {}
    }
    Ok(())
}

/// Rules for every state.
fn holds(machine: &Machine, half_close: bool, events: &[u8]) {
    // Buffers are released only if nothing of a request is outstanding.
    let is_idle = matches!(machine.state, ConnectionState::Idle { first: false, .. });
    assert!(machine.idle_since().is_none() || is_idle, "{events:?}: {machine:?}");
    let deadline = machine.deadline(&TIMEOUTS);
    // A timeout is of this moment, or of an earlier one; and no state that waits for the client alone lasts for ever.
    let latest = Instant::now() + Duration::from_secs(3);
    assert!(deadline.is_none_or(|(at, _)| at <= latest), "{events:?}: {machine:?}");
    let waits = matches!(machine.state, ConnectionState::Idle { .. } | ConnectionState::Unread { .. });
    assert!(!waits || deadline.is_some(), "{events:?}: {machine:?}");
    let of_request = deadline.is_some_and(|(_, kind)| kind == TimeoutKind::Request);
    let in_exchange = matches!(machine.state, ConnectionState::Exchange { .. });
    assert!(!(in_exchange && of_request), "{events:?}: {machine:?}");
    assert!(!(half_close && machine.awaits_only_response()), "{events:?}: {machine:?}");
}

#[cfg(test)]
mod tests {
    use crate::fuzz_corpora::replay;

    /// HTTP-10, IN-22.
    #[test]
    fn no_order_of_events_breaks_a_rule_of_a_connection() {
        replay("lifecycle", super::check);
    }
}
