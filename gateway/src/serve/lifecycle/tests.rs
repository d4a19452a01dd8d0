//! Orders of events that a connection on HTTP/1 can have.

use super::machine::Machine;
use super::state::{RequestBodyState, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Bytes,
    Begin { has_body: bool },
    BodyEnds,
    BodyAbandoned,
    Responds,
    HandedOver,
    Flushed,
}

const EVENTS: [Event; 8] = [
    Event::Bytes,
    Event::Begin { has_body: true },
    Event::Begin { has_body: false },
    Event::BodyEnds,
    Event::BodyAbandoned,
    Event::Responds,
    Event::HandedOver,
    Event::Flushed,
];

/// What is known of the exchange at hand without a state machine. `None` if hyper never has the events in this order.
fn may_be_idle(events: &[Event]) -> Option<bool> {
    let start = events.iter().rposition(|event| matches!(event, Event::Begin { .. }));
    for (at, event) in events.iter().enumerate() {
        let begun = events[..at].iter().rposition(|event| matches!(event, Event::Begin { .. }));
        let since = begun.map_or(&events[..0], |begun| &events[begun..at]);
        let has_body = matches!(since.first(), Some(Event::Begin { has_body: true }));
        let body_is_over = since.contains(&Event::BodyEnds) || since.contains(&Event::BodyAbandoned);
        let in_order = match event {
            Event::Bytes | Event::Flushed => true,
            Event::Begin { .. } => begun.is_none() || since.contains(&Event::HandedOver),
            Event::BodyEnds | Event::BodyAbandoned => has_body && !body_is_over,
            Event::Responds => begun.is_some() && !since.contains(&Event::Responds),
            Event::HandedOver => since.contains(&Event::Responds) && !since.contains(&Event::HandedOver),
        };
        if !in_order {
            return None;
        }
    }
    let Some(start) = start else { return Some(false) };
    let since = &events[start..];
    let is_read = since[0] == Event::Begin { has_body: false } || since.contains(&Event::BodyEnds);
    let handed_over = since.iter().position(|event| *event == Event::HandedOver);
    let is_flushed = handed_over.is_some_and(|at| since[at..].contains(&Event::Flushed));
    Some(is_read && is_flushed)
}

fn apply(machine: &mut Machine, event: Event) {
    let exchange = machine.exchange;
    match event {
        Event::Bytes => machine.receive(b"x").unwrap(),
        Event::Begin { has_body } => assert!(machine.begin(has_body, false)),
        Event::BodyEnds => machine.body_is(exchange, RequestBodyState::Read),
        Event::BodyAbandoned => machine.body_is(exchange, RequestBodyState::Abandoned),
        Event::Responds => machine.respond(false),
        Event::HandedOver => machine.hand_over(),
        Event::Flushed => machine.flush(),
    }
}

/// HTTP-10, IN-22: in every order of seven events: buffers are released only after a request whose body was read to its end and whose response
/// has been flushed, and such a connection waits for a request or for the rest of a head.
#[test]
fn a_connection_with_an_unread_body_is_never_idle() {
    let mut idle = 0;
    for length in 0..=7_u32 {
        for number in 0..8_usize.pow(length) {
            let events: Vec<Event> = (0..length).map(|at| EVENTS[number >> (3 * at) & 7]).collect();
            let Some(may_be_idle) = may_be_idle(&events) else { continue };
            let mut machine = Machine::new();
            machine.open();
            events.iter().for_each(|event| apply(&mut machine, *event));
            if machine.idle_since().is_some() {
                idle += 1;
                assert!(may_be_idle, "{events:?}: {machine:?}");
            } else if may_be_idle {
                assert!(matches!(machine.state, State::Head { .. }), "{events:?}: {machine:?}");
            }
        }
    }
    assert!(idle > 100, "{idle}");
}
