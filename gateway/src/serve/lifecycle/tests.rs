//! All orders of events of a connection on HTTP/1.
//!
//! Threads: the test's.

use super::machine::Machine;
use super::state::{ConnectionState, RequestBodyState};
use crate::serve::request_scanner::Framing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Bytes,
    AwaitsBytes,
    Begin { has_body: bool },
    BodyEnds,
    BodyAbandoned,
    Responds,
    HandedOver,
    Flushed,
}

const EVENTS: [Event; 9] = [
    Event::Bytes,
    Event::AwaitsBytes,
    Event::Begin { has_body: true },
    Event::Begin { has_body: false },
    Event::BodyEnds,
    Event::BodyAbandoned,
    Event::Responds,
    Event::HandedOver,
    Event::Flushed,
];

/// The bytes of one `Bytes` event: the machine takes them for a head. A body is the first byte; empty lines follow.
const BYTES: &[u8] = b"x\n\n";

/// The expected state, derived from the events without the state machine.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// Something of a request is outstanding.
    Busy,
    /// A part of the next head was received.
    InHead,
    Idle,
}

/// `None` if hyper never produces this order.
fn known(events: &[Event]) -> Option<Known> {
    // The number of `Bytes` events that the heads and bodies so far need.
    let mut needed = 0;
    for (at, event) in events.iter().enumerate() {
        let begun = events[..at].iter().rposition(|event| matches!(event, Event::Begin { .. }));
        let since = begun.map_or(&events[..0], |begun| &events[begun..at]);
        let has_body = matches!(since.first(), Some(Event::Begin { has_body: true }));
        let body_is_over = since.contains(&Event::BodyEnds) || since.contains(&Event::BodyAbandoned);
        let came = count(&events[..at]);
        let in_order = match event {
            Event::Bytes | Event::Flushed => true,
            Event::Begin { .. } => came > needed && (begun.is_none() || since.contains(&Event::HandedOver)),
            // hyper reads nothing more if it cannot discard an abandoned body to its end.
            Event::AwaitsBytes => came >= needed || !since.contains(&Event::BodyAbandoned),
            Event::BodyEnds => has_body && !body_is_over && came >= needed,
            Event::BodyAbandoned => has_body && !body_is_over,
            Event::Responds => begun.is_some() && !since.contains(&Event::Responds),
            Event::HandedOver => since.contains(&Event::Responds) && !since.contains(&Event::HandedOver),
        };
        if !in_order {
            return None;
        }
        if let Event::Begin { has_body } = event {
            needed += 1 + usize::from(*has_body);
        }
    }
    let Some(start) = events.iter().rposition(|event| matches!(event, Event::Begin { .. })) else {
        return Some(if count(events) > 0 { Known::InHead } else { Known::Busy });
    };
    let since = &events[start..];
    let abandoned = since.iter().position(|event| *event == Event::BodyAbandoned);
    let is_read = since[0] == Event::Begin { has_body: false }
        || since.contains(&Event::BodyEnds)
        || abandoned.is_some_and(|at| since[at..].contains(&Event::AwaitsBytes));
    let handed_over = since.iter().position(|event| *event == Event::HandedOver);
    let is_flushed = handed_over.is_some_and(|at| since[at..].contains(&Event::Flushed));
    Some(match is_read && is_flushed {
        false => Known::Busy,
        true if count(events) > needed => Known::InHead,
        true => Known::Idle,
    })
}

fn count(events: &[Event]) -> usize {
    events.iter().filter(|event| **event == Event::Bytes).count()
}

/// Returns whether the connection continues.
fn apply(machine: &mut Machine, event: Event) -> bool {
    let exchange = machine.exchange;
    match event {
        Event::Bytes => machine.receive(BYTES).unwrap(),
        Event::AwaitsBytes => machine.await_bytes().unwrap(),
        Event::Begin { has_body } => return machine.begin(Framing::Sized(u64::from(has_body))),
        Event::BodyEnds => machine.set_body(exchange, RequestBodyState::Read),
        Event::BodyAbandoned => machine.set_body(exchange, RequestBodyState::Abandoned),
        Event::Responds => _ = machine.respond(false),
        Event::HandedOver => machine.hand_over(),
        Event::Flushed => machine.flush(),
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
            let events: Vec<Event> =
                (0..length).map(|at| EVENTS[number / EVENTS.len().pow(at) % EVENTS.len()]).collect();
            let Some(known) = known(&events) else { continue };
            let mut machine = Machine::new();
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
