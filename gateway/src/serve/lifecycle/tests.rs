//! All orders of events of a connection on HTTP/1.
//!
//! Threads: the test's.

use super::machine::Machine;
#[cfg(test)]
use super::state::ConnectionState;
use super::state::RequestBodyState;
use crate::serve::request_scanner::Framing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionEvent {
    Bytes,
    AwaitsBytes,
    Begin { has_body: bool },
    BodyEnds,
    BodyAbandoned,
    Responds,
    HandedOver,
    Flushed,
}

pub(super) const EVENTS: [ConnectionEvent; 9] = [
    ConnectionEvent::Bytes,
    ConnectionEvent::AwaitsBytes,
    ConnectionEvent::Begin { has_body: true },
    ConnectionEvent::Begin { has_body: false },
    ConnectionEvent::BodyEnds,
    ConnectionEvent::BodyAbandoned,
    ConnectionEvent::Responds,
    ConnectionEvent::HandedOver,
    ConnectionEvent::Flushed,
];

/// The bytes of one `Bytes` event: the machine takes them for a head. A body is the first byte; empty lines follow.
const BYTES: &[u8] = b"x\n\n";

/// The expected state, derived from the events without the state machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Something of a request is outstanding.
    Busy,
    /// A part of the next head was received.
    InHead,
    Idle,
}

/// `None` if hyper never produces this order.
pub(super) fn known(events: &[ConnectionEvent]) -> Option<Known> {
    // The number of `Bytes` events that the heads and bodies so far need.
    let mut needed = 0;
    for (at, event) in events.iter().enumerate() {
        let begun = events[..at].iter().rposition(|event| matches!(event, ConnectionEvent::Begin { .. }));
        let since = begun.map_or(&events[..0], |begun| &events[begun..at]);
        let has_body = matches!(since.first(), Some(ConnectionEvent::Begin { has_body: true }));
        let body_is_over =
            since.contains(&ConnectionEvent::BodyEnds) || since.contains(&ConnectionEvent::BodyAbandoned);
        let came = count(&events[..at]);
        let in_order = match event {
            ConnectionEvent::Bytes | ConnectionEvent::Flushed => true,
            ConnectionEvent::Begin { .. } => {
                came > needed && (begun.is_none() || since.contains(&ConnectionEvent::HandedOver))
            }
            // hyper reads nothing more if it cannot discard an abandoned body to its end.
            ConnectionEvent::AwaitsBytes => came >= needed || !since.contains(&ConnectionEvent::BodyAbandoned),
            ConnectionEvent::BodyEnds => has_body && !body_is_over && came >= needed,
            ConnectionEvent::BodyAbandoned => has_body && !body_is_over,
            ConnectionEvent::Responds => begun.is_some() && !since.contains(&ConnectionEvent::Responds),
            ConnectionEvent::HandedOver => {
                since.contains(&ConnectionEvent::Responds) && !since.contains(&ConnectionEvent::HandedOver)
            }
        };
        if !in_order {
            return None;
        }
        if let ConnectionEvent::Begin { has_body } = event {
            needed += 1 + usize::from(*has_body);
        }
    }
    let Some(start) = events.iter().rposition(|event| matches!(event, ConnectionEvent::Begin { .. })) else {
        return Some(if count(events) > 0 { Known::InHead } else { Known::Busy });
    };
    let since = &events[start..];
    let abandoned = since.iter().position(|event| *event == ConnectionEvent::BodyAbandoned);
    let is_read = since[0] == ConnectionEvent::Begin { has_body: false }
        || since.contains(&ConnectionEvent::BodyEnds)
        || abandoned.is_some_and(|at| since[at..].contains(&ConnectionEvent::AwaitsBytes));
    let handed_over = since.iter().position(|event| *event == ConnectionEvent::HandedOver);
    let is_flushed = handed_over.is_some_and(|at| since[at..].contains(&ConnectionEvent::Flushed));
    Some(match is_read && is_flushed {
        false => Known::Busy,
        true if count(events) > needed => Known::InHead,
        true => Known::Idle,
    })
}

fn count(events: &[ConnectionEvent]) -> usize {
    events.iter().filter(|event| **event == ConnectionEvent::Bytes).count()
}

/// Returns whether the connection continues.
pub(super) fn apply(machine: &mut Machine, event: ConnectionEvent) -> bool {
    let exchange = machine.exchange;
    match event {
        ConnectionEvent::Bytes => machine.receive(BYTES).unwrap(),
        ConnectionEvent::AwaitsBytes => machine.await_bytes().unwrap(),
        ConnectionEvent::Begin { has_body } => return machine.begin(Framing::Sized(u64::from(has_body))),
        ConnectionEvent::BodyEnds => machine.set_body(exchange, RequestBodyState::Read),
        ConnectionEvent::BodyAbandoned => machine.set_body(exchange, RequestBodyState::Abandoned),
        ConnectionEvent::Responds => _ = machine.respond(false),
        ConnectionEvent::HandedOver => machine.hand_over(),
        ConnectionEvent::Flushed => _ = machine.flush(),
    }
    true
}

/// HTTP-10, IN-22: in every order of seven events: buffers are released only after a request whose body was read to its
/// end, by its reader or by hyper, and whose response has been flushed, with nothing of the next one; and a connection
/// that has a part of the next head waits for the rest of it.
#[test]
fn a_connection_is_idle_only_if_nothing_of_a_request_is_outstanding() {
    let mut seen = [0; 2];
    for length in 0..=7_u32 {
        for number in 0..EVENTS.len().pow(length) {
            let events: Vec<ConnectionEvent> =
                (0..length).map(|at| EVENTS[number / EVENTS.len().pow(at) % EVENTS.len()]).collect();
            let Some(known) = known(&events) else { continue };
            let mut machine = Machine::new(false);
            machine.open();
            if !events.iter().all(|event| apply(&mut machine, *event)) {
                continue;
            }
            assert_eq!(machine.idle_since().is_some(), known == Known::Idle, "{events:?}: {machine:?}");
            assert_eq!(
                matches!(machine.state, ConnectionState::Head { .. }),
                known == Known::InHead,
                "{events:?}: {machine:?}"
            );
            seen[0] += usize::from(known == Known::Idle);
            seen[1] += usize::from(known == Known::InHead);
        }
    }
    assert!(seen.iter().all(|seen| *seen > 30), "{seen:?}");
}
